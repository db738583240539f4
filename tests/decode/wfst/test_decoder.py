from __future__ import annotations

import math
import random
from collections.abc import Sequence

import numpy as np
import pytest
import torch

from asr_ligru.decode.wfst import lattice
from asr_ligru.decode.wfst.build import ctc_graph, hmm_graph
from asr_ligru.decode.wfst.decoder import SearchOptions, WfstDecoder, confidences
from asr_ligru.decode.wfst.lattice import Reading
from asr_ligru.text.lexicon import Lexicon
from asr_ligru.text.phones import BOUNDARY, PhoneTokenizer
from asr_ligru.text.units import BLANK, CharTokenizer, Tokenizer
from tests.decode.wfst.cases import language_model, random_tree, spellings
from tests.decode.wfst.reference import Found, ctc_best, hmm_best

pytest.importorskip("kaldi_decoder")
WORDS = ["ONE", "TWO", "THREE", "FOUR"]
PHONES = ["A", "B", "C"]
EXHAUSTIVE = {"beam": 1e4, "lattice_beam": 1e4}


def check_equal(decoder: WfstDecoder, scores: np.ndarray, expected: list[Found]) -> None:
    result = decoder(torch.from_numpy(scores)[None], torch.tensor([len(scores)]), n_best=5)[0]
    best = expected[0]
    assert result.complete
    assert result.text == " ".join(best.words)
    assert result.score == pytest.approx(best.score, abs=1e-4)
    assert [word.text for word in result.words] == [*best.words]
    assert [(word.start, word.end) for word in result.words] == [*best.spans]
    scored = [score for _, score in result.n_best]
    assert scored == pytest.approx([found.score for found in expected[:5]], abs=1e-4)
    of_text = {" ".join(found.words): found.score for found in expected}  # equal scores: any order will do
    assert scored == pytest.approx([of_text[text] for text, _ in result.n_best], abs=1e-4)
    assert len({text for text, _ in result.n_best}) == len(result.n_best)


def random_scores(seed: int, frames: int, columns: int) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(scale=2.0, size=(frames, columns))
    return (noise - np.log(np.exp(noise).sum(1, keepdims=True))).astype(np.float32)


class LetterTokenizer(CharTokenizer):
    """Characters, and nothing between words."""

    kind = "letter"

    def _items(self, text: str) -> list[str]:
        return list(text.replace(" ", ""))


def in_phones(spelled: dict[str, list[tuple[int, ...]]], first: int) -> Lexicon:
    return Lexicon({w: [tuple(PHONES[u - first] for u in units) for units in found] for w, found in spelled.items()})


@pytest.mark.parametrize("seed", range(50))
def test_decoder_phone_tokens_equals_every_sentence_aligned(seed: int) -> None:
    rng = random.Random(seed)
    spelled = spellings(rng, WORDS, range(2, 5), 2)
    tokenizer = PhoneTokenizer([BLANK, BOUNDARY, *PHONES], "error", Lexicon({"OTHER": [tuple(PHONES)]}))
    check_ctc(rng, tokenizer, in_phones(spelled, 2), spelled, 1)


@pytest.mark.parametrize("seed", range(50, 100))
def test_decoder_tokens_without_boundary_equals_every_sentence_aligned(seed: int) -> None:
    rng = random.Random(seed)
    tokenizer = LetterTokenizer([BLANK, *PHONES], "error")
    words = sorted({"".join(rng.choices(PHONES, k=rng.randint(1, 3))) for _ in range(4)})
    check_ctc(rng, tokenizer, None, {word: [tuple(tokenizer.encode(word))] for word in words}, None)


def check_ctc(
    rng: random.Random,
    tokenizer: Tokenizer,
    lexicon: Lexicon | None,
    spelled: dict[str, list[tuple[int, ...]]],
    boundary: int | None,
) -> None:
    model = language_model(rng, [*spelled], rng.randint(1, 3))
    scale, bonus = rng.choice([0.5, 1.0]), rng.choice([0.0, -1.0])
    penalty = rng.choice([0.0, 1.5])
    options = SearchOptions(scale, bonus, blank_penalty=penalty, **EXHAUSTIVE)
    scores = random_scores(rng.randrange(1000), rng.randint(3, 5), tokenizer.vocab_size)
    taken = penalty * (np.arange(tokenizer.vocab_size) == 0)
    expected = weighed(ctc_best(scale * (scores - taken), spelled, boundary, model), bonus)
    check_equal(WfstDecoder(ctc_graph(tokenizer, model, lexicon), options), scores, expected)


@pytest.mark.parametrize("seed", range(100, 200))
def test_decoder_hmm_case_equals_every_sentence_aligned(seed: int) -> None:
    check_hmm(seed)


def check_hmm(seed: int) -> None:
    rng = random.Random(seed)
    spelled = spellings(rng, WORDS[:3], range(1, 4), 2)
    states = rng.randint(1, 2)
    tree, transitions = random_tree(rng, PHONES, states)
    model = language_model(rng, [*spelled], rng.randint(1, 3))
    scale, bonus = rng.choice([0.2, 1.0]), rng.choice([0.0, -1.0])
    graph = hmm_graph(tree, transitions, model, in_phones(spelled, 1))
    scores = random_scores(seed, rng.randint(2, 1 + 2 * states), tree.num_pdfs)
    expected = hmm_best(scale * scores, spelled, tree, transitions, model)
    check_equal(WfstDecoder(graph, SearchOptions(scale, bonus, **EXHAUSTIVE)), scores, weighed(expected, bonus))


def of_text(texts: Sequence[str]) -> list[float]:
    """Return scores that change the order of readings."""
    return [3.0 * text.count("W") - 2.0 * len(text.split(" ")) for text in texts]


@pytest.mark.parametrize("seed", range(10))
def test_decoder_rescored_equals_every_sentence_with_what_was_added(seed: int) -> None:
    rng = random.Random(seed)
    spelled = spellings(rng, WORDS[:3], range(1, 4), 2)
    tree, transitions = random_tree(rng, PHONES, 1)
    model = language_model(rng, [*spelled], 2)
    scores = random_scores(seed, 4, tree.num_pdfs)
    found = hmm_best(scores, spelled, tree, transitions, model)
    added = of_text([" ".join(f.words) for f in found])
    expected = [Found(f.words, f.score + more, f.spans) for f, more in zip(found, added, strict=True)]
    graph = hmm_graph(tree, transitions, model, in_phones(spelled, 1))
    decoder = WfstDecoder(graph, SearchOptions(**EXHAUSTIVE), rescorer=of_text)
    check_equal(decoder, scores, sorted(expected, key=lambda f: -f.score))


@pytest.mark.parametrize("seed", range(100, 105))
def test_decoder_readings_one_by_one_equal_every_sentence_aligned(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lattice, "_MAX_STATES", 1)
    check_hmm(seed)


def weighed(found: list[Found], bonus: float) -> list[Found]:
    return sorted((Found(f.words, f.score + bonus * len(f.words), f.spans) for f in found), key=lambda f: -f.score)


def letters_decoder(options: SearchOptions | None = None) -> WfstDecoder:
    model = language_model(random.Random(1), ["AB", "BA", "C"], 2)
    return WfstDecoder(ctc_graph(CharTokenizer([BLANK, " ", *PHONES], "error"), model), options)


def test_decoder_batch_equals_single_utterances() -> None:
    decoder = letters_decoder()
    rows = [torch.from_numpy(random_scores(n, n, 5)) for n in (9, 4, 7)]
    padded = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=float("nan"))
    together = decoder(padded, torch.tensor([9, 4, 7]), n_best=3)
    assert together == [decoder(row[None], torch.tensor([len(row)]), n_best=3)[0] for row in rows]


def test_decoder_audio_that_ends_inside_a_word_is_partial_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    decoder = letters_decoder(SearchOptions(beam=2.0))
    inside = torch.eye(5)[[2, 1, 1]].mul(30).log_softmax(1)  # A and two spaces, which no word is
    results = decoder(torch.stack([inside, torch.eye(5)[[4, 4, 0]].mul(30).log_softmax(1)]), torch.tensor([3, 3]))
    assert [result.complete for result in results] == [False, True]
    assert results[1].text == "C"
    assert decoder.partial == 1
    assert "1 of 2 texts" in caplog.text


def test_decoder_that_compares_no_readings_finds_the_same_text_and_score() -> None:
    model = language_model(random.Random(1), ["AB", "BA", "C"], 2)
    graph = ctc_graph(CharTokenizer([BLANK, " ", *PHONES], "error"), model)
    scores, lens = torch.from_numpy(random_scores(3, 9, 5))[None], torch.tensor([9])
    (all_of_them,), (alone,) = (WfstDecoder(graph, compared=n)(scores, lens) for n in (100, 1))
    assert (alone.text, alone.score, alone.n_best) == (all_of_them.text, all_of_them.score, all_of_them.n_best)
    assert [word.confidence for word in alone.words] == [1.0] * len(alone.words) != []
    assert min(word.confidence for word in all_of_them.words) < 1.0


def test_decoder_no_frames_is_partial_and_empty() -> None:
    result = letters_decoder()(torch.zeros(1, 0, 5), torch.tensor([0]))[0]
    assert (result.text, result.words, result.complete) == ("", (), False)


def test_confidences_are_posteriors_of_readings_with_the_word_in_its_place() -> None:
    found = [Reading((1, 2), math.log(0.5)), Reading((1, 3), math.log(0.3)), Reading((2,), math.log(0.2))]
    assert confidences(found) == pytest.approx([0.8, 0.7])


def test_readings_of_a_lattice_too_large_to_determinize_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    decoder, scores = letters_decoder(SearchOptions(lattice_beam=4.0)), torch.from_numpy(random_scores(1, 8, 5))[None]
    whole = decoder(scores, torch.tensor([8]), n_best=2)
    monkeypatch.setattr(lattice, "_MAX_STATES", 1)
    again = decoder(scores, torch.tensor([8]), n_best=2)
    assert [text for text, _ in again[0].n_best] == [text for text, _ in whole[0].n_best]
