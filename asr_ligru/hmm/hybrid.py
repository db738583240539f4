"""The HMM of a hybrid system: words, phones and tied states, whose probabilities a network gives."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import torch
from torch import Tensor

from asr_ligru.errors import DataError
from asr_ligru.hmm.align import Aligner, Transcript
from asr_ligru.hmm.alignment import Alignment
from asr_ligru.hmm.decode_words import SearchOptions, Unigram, WordLoop
from asr_ligru.hmm.store import topology_json, topology_of
from asr_ligru.hmm.topology import Transitions
from asr_ligru.hmm.tree import ContextTree
from asr_ligru.hmm.vocabulary import Vocabulary
from asr_ligru.safety import printable
from asr_ligru.text.lexicon import Lexicon

_JSON = "words_json"


@dataclass(frozen=True, eq=False)
class TiedStates:
    """Tied states without mixtures: frames come as the log probabilities that a network gives.

    Attributes:
        tree: which tied state a state of a phone is in its context.
        transitions: of the tied states.
        log_priors: (P,) float64, how common each state is in training, natural log.
    """

    tree: ContextTree
    transitions: Transitions
    log_priors: Tensor

    def log_likes(self, log_probs: Tensor, pdfs: Tensor) -> Tensor:
        """Return scaled log-likelihoods (T, Q) of states ``pdfs`` (Q,) from log probabilities (T, P).

        Source: Bourlard and Morgan 1994: p(x|s) / p(x) = p(s|x) / p(s).
        """
        return log_probs[:, pdfs].double() - self.log_priors[pdfs]


def log_priors(targets: Sequence[Tensor], num_states: int) -> Tensor:
    """Return how common each tied state is, natural log, (P,) float64; every state counts once more than it occurs.

    Args:
        targets: (T,) int64 tied states of each utterance's frames.
        num_states: P.
    """
    none = torch.zeros(0, dtype=torch.int64)
    counts = torch.bincount(torch.cat([none, *targets]), minlength=num_states).double() + 1.0
    return (counts / counts.sum()).log()


@dataclass(frozen=True, eq=False)
class HybridHmm:
    """All that turns a network's states into words.

    Attributes:
        vocabulary: words and phones.
        unigram: how likely each word is.
        states: what the network tells apart.
    """

    vocabulary: Vocabulary
    unigram: Unigram
    states: TiedStates = field(repr=False)

    @property
    def num_states(self) -> int:
        """P, tied states."""
        return self.states.tree.num_pdfs

    @property
    def num_phones(self) -> int:
        """N, phones with silence."""
        return len(self.states.tree.topology.phones)

    @cached_property
    def phone_of_state(self) -> Tensor:
        """(P,) int64, the phone that each tied state is of."""
        table = self.states.tree.table
        phones = torch.arange(len(table)).reshape(-1, 1, 1, 1).expand_as(table)
        found = torch.zeros(self.num_states, dtype=torch.int64)
        found[table[table >= 0].long()] = phones[table >= 0]
        return found

    def loop(self, options: SearchOptions) -> WordLoop:
        """Return a decoder of words."""
        topology = self.states.tree.topology
        return WordLoop(self.vocabulary.entries, self.unigram, options, topology.edge_silence)

    def align(self, transcripts: Sequence[Transcript], log_probs: Sequence[Tensor]) -> list[Alignment | None]:
        """Return the best alignment of each utterance by the network's own states, None where there is none.

        Args:
            transcripts: pronunciations of the words of each utterance.
            log_probs: (T, P) of each.
        """
        aligner = Aligner(transcripts, self.states.tree, [len(frames) for frames in log_probs])
        return aligner.align(self.states, log_probs)

    def with_priors(self, targets: Sequence[Tensor]) -> HybridHmm:
        """Return it with priors counted over other alignments."""
        priors = log_priors(targets, self.num_states)
        return replace(self, states=replace(self.states, log_priors=priors))

    def tensors(self) -> dict[str, Tensor]:
        """Return the tensors that ``load`` makes an equal HMM from; words are the bytes of a JSON text."""
        head = {
            "topology": topology_json(self.states.tree.topology),
            "lexicon": [[word, list(phones)] for word, phones in self.vocabulary.lexicon],
            "words": self.unigram.log_probs,
            "end": self.unigram.end,
        }
        return {
            "tree": self.states.tree.table,
            "stay": self.states.transitions.stay,
            "log_priors": self.states.log_priors,
            _JSON: torch.frombuffer(bytearray(json.dumps(head).encode()), dtype=torch.uint8),
        }

    @classmethod
    def load(cls, tensors: Mapping[str, Tensor]) -> HybridHmm:
        """Return the HMM whose tensors these are.

        Raises:
            DataError: parts are missing, or do not fit together.
        """
        try:
            head = json.loads(tensors[_JSON].numpy().tobytes())
            entries: dict[str, list[tuple[str, ...]]] = {}
            for word, phones in head["lexicon"]:
                entries.setdefault(word, []).append(tuple(phones))
            topology = topology_of(head["topology"])
            unigram = Unigram(dict(head["words"]), float(head["end"]))
            states = TiedStates(
                ContextTree(topology, tensors["tree"]), Transitions(tensors["stay"]), tensors["log_priors"]
            )
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise DataError(f"the HMM of a hybrid model cannot be read: {printable(str(error))}", fix=_FIX) from error
        vocabulary = Vocabulary(
            Lexicon(entries), topology.num_states, topology.num_silence_states, topology.edge_silence
        )
        size = len(topology.phones)
        shape = (size, size, size, topology.max_states)
        if vocabulary.topology != topology or states.tree.table.shape != shape:
            raise DataError("the HMM of a hybrid model has other phones than its lexicon", fix=_FIX)
        if not states.tree.num_pdfs == len(states.transitions.stay) == len(states.log_priors):
            raise DataError("tree, transitions and priors of a hybrid model have other numbers of states", fix=_FIX)
        return cls(vocabulary, unigram, states)


_FIX = "use another copy of the model, or train again"
