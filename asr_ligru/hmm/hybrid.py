"""The HMM of a hybrid system: words, phones and tied states, whose probabilities a network gives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from asr_ligru.errors import ConfigError, DataError
from asr_ligru.hmm.align import Aligner, Transcript
from asr_ligru.hmm.alignment import Alignment
from asr_ligru.hmm.decode_words import SearchOptions, Unigram, WordLoop
from asr_ligru.hmm.topology import PAUSES, Pauses, Transitions
from asr_ligru.hmm.tree import ContextTree
from asr_ligru.hmm.vocabulary import Vocabulary
from asr_ligru.models.tensors import pack, unpack
from asr_ligru.safety import printable
from asr_ligru.text.arpa import arpa_lines, read_arpa
from asr_ligru.text.lexicon import Lexicon
from asr_ligru.text.ngram import BOS, EOS, NgramModel

_TENSORS = "hmm.safetensors"
_LEXICON = "lexicon.txt"
_LM = "lm.arpa"
_FIX = "use another copy of the model, or train again"


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
        lm: how likely words are.
        states: what the network tells apart.
    """

    vocabulary: Vocabulary
    lm: NgramModel
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
        """Return a decoder of words that takes each by itself, whatever the order of the language model."""
        topology = self.states.tree.topology
        return WordLoop(self.vocabulary.entries, Unigram.of_model(self.lm), options, topology.pauses)

    def align(self, transcripts: Sequence[Transcript], log_probs: Sequence[Tensor]) -> list[Alignment | None]:
        """Return the best alignment of each utterance by the network's own states, None where there is none.

        Args:
            transcripts: pronunciations of the words of each utterance.
            log_probs: (T, P) of each.
        """
        aligner = Aligner(transcripts, self.states.tree, [len(frames) for frames in log_probs])
        return aligner.align(self.states, log_probs)

    def with_lm(self, lm: NgramModel) -> HybridHmm:
        """Return it with another language model, of single words.

        Raises:
            ConfigError: a longer one.
            DataError: it has none of the lexicon's words.
        """
        if lm.order > 1 and lm.orders[1].keys() - {(BOS, EOS)}:
            what = f"the language model has {lm.order}-grams, this search takes words one by one"
            raise ConfigError(what, fix="--decoder wfst")
        if not any(word in lm for word, _ in self.vocabulary.entries):
            fix = "check that both are in the same case and language"
            raise DataError("no word of the lexicon is in the language model", fix=fix)
        return replace(self, lm=lm)

    def with_priors(self, targets: Sequence[Tensor]) -> HybridHmm:
        """Return it with priors counted over other alignments."""
        priors = log_priors(targets, self.num_states)
        return replace(self, states=replace(self.states, log_priors=priors))

    def files(self) -> dict[str, bytes]:
        """Return the files that ``read`` makes an equal HMM from."""
        topology = self.states.tree.topology
        tensors = {
            "tree": self.states.tree.table,
            "stay": self.states.transitions.stay,
            "log_priors": self.states.log_priors,
            "num_states": torch.tensor([topology.num_states, topology.num_silence_states]),
            "edge_silence": torch.tensor(topology.pauses.edge, dtype=torch.float64),
            "inner_silence": torch.tensor(topology.pauses.between, dtype=torch.float64),
        }
        return {
            _TENSORS: pack(tensors),
            _LEXICON: self.vocabulary.lexicon.text().encode(),
            _LM: "".join(f"{line}\n" for line in arpa_lines(self.lm)).encode(),
        }

    @classmethod
    def read(cls, folder: Path) -> HybridHmm | None:
        """Read the HMM in a model folder; None where there is none.

        Raises:
            DataError: parts are missing, or do not fit together.
        """
        if not (folder / _TENSORS).is_file():
            return None
        tensors = unpack(folder / _TENSORS)
        missing = {"tree", "stay", "log_priors", "num_states", "edge_silence"} - tensors.keys()
        if missing:
            raise DataError(f"no {sorted(missing)[0]} in {_TENSORS}", where=printable(str(folder)), fix=_FIX)
        of_phone, of_silence = tensors["num_states"].tolist()
        between = tensors.get("inner_silence", torch.tensor(PAUSES.between))  # models before 2026-11-21 lack it
        pauses = Pauses(float(tensors["edge_silence"]), float(between))
        vocabulary = Vocabulary(Lexicon.read(folder / _LEXICON), of_phone, of_silence, pauses)
        topology = vocabulary.topology
        tree = ContextTree(topology, tensors["tree"])
        size = len(topology.phones)
        if tree.table.shape != (size, size, size, topology.max_states):
            raise DataError(f"{_TENSORS} has other phones than the lexicon", where=printable(str(folder)), fix=_FIX)
        if not tree.complete:
            raise DataError(f"the tree in {_TENSORS} lacks states", where=printable(str(folder)), fix=_FIX)
        states = TiedStates(tree, Transitions(tensors["stay"]), tensors["log_priors"])
        if not tree.num_pdfs == len(states.transitions.stay) == len(states.log_priors):
            what = f"tree, transitions and priors in {_TENSORS} have other numbers of states"
            raise DataError(what, where=printable(str(folder)), fix=_FIX)
        return cls(vocabulary, read_arpa(folder / _LM), states)
