"""An acoustic model: tied states, how they follow one another, and their mixtures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from asr_ligru.hmm.diag_gmm import DiagGmm
from asr_ligru.hmm.gmm_set import GmmSet
from asr_ligru.hmm.topology import Topology, Transitions
from asr_ligru.hmm.tree import ContextTree


class StateScorer(Protocol):
    """What a search needs of a model."""

    @property
    def tree(self) -> ContextTree:
        """Which tied state a state of a phone is in its context."""
        ...

    @property
    def transitions(self) -> Transitions:
        """Of the tied states."""
        ...

    def log_likes(self, feats: Tensor, pdfs: Tensor) -> Tensor:
        """Return log-likelihoods (T, Q) float64 of frames (T, D) in the tied states ``pdfs`` (Q,) int64."""
        ...


@dataclass(frozen=True, eq=False)
class AcousticModel:
    """A GMM-HMM.

    Attributes:
        tree: which tied state a state of a phone is in its context.
        transitions: of the tied states.
        gmms: the mixture of each tied state.
    """

    tree: ContextTree
    transitions: Transitions
    gmms: GmmSet

    @property
    def topology(self) -> Topology:
        """The phones."""
        return self.tree.topology

    def log_likes(self, feats: Tensor, pdfs: Tensor) -> Tensor:
        """Return log-likelihoods (T, Q) float64 of frames (T, D) in the tied states ``pdfs`` (Q,) int64."""
        return select(self.gmms, pdfs).log_likes(feats)

    def tensors(self) -> dict[str, Tensor]:
        """Return the tensors that ``load`` makes an equal model from."""
        gauss = self.gmms.gauss
        return {
            "tree": self.tree.table,
            "stay": self.transitions.stay,
            "offsets": self.gmms.offsets,
            "weights": gauss.weights,
            "means": gauss.means,
            "inv_vars": gauss.inv_vars,
        }

    @classmethod
    def load(cls, tensors: Mapping[str, Tensor], topology: Topology) -> AcousticModel:
        """Return the model that ``tensors`` was made from."""
        gauss = DiagGmm(tensors["weights"], tensors["means"], tensors["inv_vars"])
        tree = ContextTree(topology, tensors["tree"])
        return cls(tree, Transitions(tensors["stay"]), GmmSet(gauss, tensors["offsets"]))


def select(gmms: GmmSet, pdfs: Tensor) -> GmmSet:
    """Return the mixtures of ``pdfs`` (Q,) int64 alone, in that order."""
    flat = gmms.gauss_of_pdf[pdfs][gmms.present[pdfs]]
    sizes = gmms.sizes[pdfs]
    gauss = DiagGmm(gmms.gauss.weights[flat], gmms.gauss.means[flat], gmms.gauss.inv_vars[flat])
    return GmmSet(gauss, torch.cat([sizes.new_zeros(1), sizes.cumsum(0)]))
