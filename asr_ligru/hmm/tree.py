"""Which tied state (pdf) a state of a phone has between its neighbours."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from asr_ligru.hmm.topology import Topology


@dataclass(frozen=True, eq=False)
class ContextTree:
    """A decision tree over neighbours, as the table of its answers.

    Attributes:
        topology: the phones.
        table: (phones, phones, phones, states) int32: the pdf of a phone's state by phone, left neighbour, right
            neighbour and state; -1 where the phone has no such state.
    """

    topology: Topology
    table: Tensor

    @classmethod
    def monophone(cls, topology: Topology) -> ContextTree:
        """Return the tree that asks nothing: a pdf for each state of each phone."""
        size, states = len(topology.phones), topology.max_states
        present = torch.tensor([[s < topology.states_of(p) for s in range(states)] for p in range(size)])
        pdfs = torch.full((size, states), -1, dtype=torch.int32)
        pdfs[present] = torch.arange(int(present.sum()), dtype=torch.int32)
        return cls(topology, pdfs[:, None, None].expand(size, size, size, states).contiguous())

    @cached_property
    def num_pdfs(self) -> int:
        """P, the number of tied states."""
        return int(self.table.max()) + 1

    @cached_property
    def phone_of(self) -> Tensor:
        """(P,) int64, the phone of each tied state; the last of them where several share it."""
        found = torch.zeros(self.num_pdfs, dtype=torch.int64)
        for phone, pdfs in enumerate(self.table):
            found[pdfs[pdfs >= 0].long()] = phone
        return found

    @property
    def complete(self) -> bool:
        """Whether every state that a phone has is one of the tied states, and no other."""
        there = [
            [s < self.topology.states_of(p) for s in range(self.topology.max_states)] for p in range(len(self.table))
        ]
        return bool(((self.table >= 0) == torch.tensor(there)[:, None, None]).all())

    @cached_property
    def _array(self) -> np.ndarray:
        return self.table.numpy()

    def states(self, left: int, phone: int, right: int) -> tuple[int, ...]:
        """Return the pdfs of a phone between its neighbours, one for each of its states."""
        return tuple(self._array[phone, left, right, : self.topology.states_of(phone)].tolist())
