"""A tiny HMM of two words whose states a test can name."""

from __future__ import annotations

import torch
from torch import Tensor

from asr_ligru.hmm.decode_words import Unigram
from asr_ligru.hmm.hybrid import HybridHmm, TiedStates, log_priors
from asr_ligru.hmm.topology import Transitions
from asr_ligru.hmm.tree import ContextTree
from asr_ligru.hmm.vocabulary import Vocabulary
from asr_ligru.text.lexicon import Lexicon

LEXICON = Lexicon({"go": [("G", "O")], "no": [("N", "O"), ("N",)]})


def tiny_hmm() -> HybridHmm:
    """Return an HMM of monophones: silence is states 0 to 2, G, N and O three each."""
    vocabulary = Vocabulary(LEXICON)
    tree = ContextTree.monophone(vocabulary.topology)
    states = TiedStates(tree, Transitions.initial(tree.num_pdfs), log_priors([], tree.num_pdfs))
    return HybridHmm(vocabulary, Unigram.of(["go no"], ("go", "no")).model(), states)


def sure_of(path: list[int], num_states: int = 12, sharpness: float = 8.0) -> Tensor:
    """Return log probabilities (T, P) that prefer a path of states."""
    logits = sharpness * torch.nn.functional.one_hot(torch.tensor(path), num_states).float()
    return logits.log_softmax(1)


def path_of(phones: str, hmm: HybridHmm, frames: int = 2) -> list[int]:
    """Return the states of phones, such as "SIL G O SIL", ``frames`` frames in each."""
    names = hmm.vocabulary.topology.phones
    return [3 * names.index(phone) + s for phone in phones.split() for s in range(3) for _ in range(frames)]
