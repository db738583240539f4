from __future__ import annotations

import random

import numpy as np
import pytest
import torch

from asr_ligru.decode.wfst.build import ctc_graph, hmm_graph
from asr_ligru.decode.wfst.decoder import SearchOptions, WfstDecoder
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
    decoder = WfstDecoder(ctc_graph(tokenizer, model, lexicon), SearchOptions(scale, bonus, **EXHAUSTIVE))
    scores = random_scores(rng.randrange(1000), rng.randint(3, 5), tokenizer.vocab_size)
    check_equal(decoder, scores, weighed(ctc_best(scale * scores, spelled, boundary, model), bonus))


@pytest.mark.parametrize("seed", range(100, 200))
def test_decoder_hmm_case_equals_every_sentence_aligned(seed: int) -> None:
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


def weighed(found: list[Found], bonus: float) -> list[Found]:
    return sorted((Found(f.words, f.score + bonus * len(f.words), f.spans) for f in found), key=lambda f: -f.score)
