"""Words with times from a network's states."""

from __future__ import annotations

import torch

from asr_ligru.decode.words import WordDecoder
from asr_ligru.hmm.decode_words import SearchOptions
from tests.hmm.hybrid_case import path_of, sure_of, tiny_hmm


def test_decode_words_have_the_frames_of_their_phones_and_sure_ones_confidence() -> None:
    hmm = tiny_hmm()
    rows = [sure_of(path_of(phones, hmm)) for phones in ("SIL G O SIL N O", "N G O")]
    batch = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
    lens = torch.tensor([len(row) for row in rows])
    first, second = WordDecoder(hmm, SearchOptions(1.0))(batch, lens)
    assert (first.text, second.text) == ("go no", "no go")
    assert [(w.text, w.start, w.end) for w in first.words] == [("go", 6, 18), ("no", 24, 36)]
    assert [(w.start, w.end) for w in second.words] == [(0, 6), (6, 18)]
    assert all(0.99 < word.confidence <= 1.0 for word in (*first.words, *second.words))
    assert first.n_best == ((first.text, first.score),)


def test_decode_unsure_network_has_lower_confidence_and_too_few_frames_no_words() -> None:
    hmm = tiny_hmm()
    unsure = sure_of(path_of("G O", hmm), sharpness=2.0)
    batch = torch.stack([unsure, unsure])
    result, nothing = WordDecoder(hmm, SearchOptions(1.0))(batch, torch.tensor([12, 2]))
    assert 0.3 < result.words[0].confidence < 0.9
    assert (nothing.text, nothing.words, nothing.n_best) == ("", (), (("", 0.0),))
