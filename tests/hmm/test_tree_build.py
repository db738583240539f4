"""Trees grown on triphones whose sound depends on a neighbour in a known way."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from asr_ligru.hmm import tree_build
from asr_ligru.hmm.alignment import Alignment
from asr_ligru.hmm.topology import Topology
from asr_ligru.hmm.tree_build import TreeOptions, build_tree, questions

TOPOLOGY = Topology.of(["a", "b", "c", "d"], num_states=2, num_silence_states=2)
A, B, C, D = 1, 2, 3, 4


def utterances() -> tuple[list[Tensor], list[Alignment | None]]:
    """Return words of three phones; the middle of an "a" is louder after "b" and "c" than after "d" and silence."""
    generator = torch.Generator().manual_seed(0)
    feats: list[Tensor] = []
    alignments: list[Alignment | None] = []
    for left in (B, C, D):
        for right in (B, C, D):
            for _ in range(4):
                alignment = Alignment.equal([(left, A, right)], TOPOLOGY, 60)
                assert alignment is not None
                frames = alignment.phone_of_frame[:, None] + 0.1 * torch.randn(60, 3, generator=generator)
                louder = (alignment.phone_of_frame == A) & (alignment.states == 1) & (left in (B, C))
                feats.append(frames + 5.0 * louder[:, None])
                alignments.append(alignment)
    return feats, alignments


def test_build_tree_neighbour_that_matters_is_asked_about() -> None:
    feats, alignments = utterances()
    tree = build_tree(TOPOLOGY, feats, alignments, TreeOptions(40))
    first, second = tree.table[A, :, :, 0], tree.table[A, :, :, 1]
    assert len(set(first.flatten().tolist())) == 1
    after_b_and_c, after_d = second[[B, C]], second[D]
    assert len(set(after_b_and_c.flatten().tolist())) == len(set(after_d.tolist())) == 1
    assert after_b_and_c[0, 0] != after_d[0]


def test_build_tree_states_are_numbered_without_gaps_and_silence_has_its_own() -> None:
    feats, alignments = utterances()
    tree = build_tree(TOPOLOGY, feats, alignments, TreeOptions(40))
    assert sorted(set(tree.table.flatten().tolist())) == list(range(tree.num_pdfs))
    assert len(set(tree.table[0].flatten().tolist())) == TOPOLOGY.num_silence_states


def test_build_tree_of_few_leaves_asks_nothing() -> None:
    feats, alignments = utterances()
    tree = build_tree(TOPOLOGY, feats, [None, *alignments[1:]], TreeOptions(1))
    assert tree.num_pdfs == 5 * 2


def test_build_tree_of_sums_added_up_now_and_then_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = build_tree(TOPOLOGY, *utterances(), TreeOptions(40))
    monkeypatch.setattr(tree_build, "_HELD_UTTERANCES", 5)
    assert torch.equal(build_tree(TOPOLOGY, *utterances(), TreeOptions(40)).table, whole.table)


def test_questions_are_each_phone_and_clusters_without_silence() -> None:
    keys = torch.tensor([[p, 0, 0, 1] for p in range(5)])
    sums = torch.tensor([[10.0, 10.0 * x, 10.0 * x * x + 10.0] for x in (0.0, 1.0, 1.1, 9.0, 9.1)]).double()
    asked = {frozenset(row.nonzero()[:, 0].tolist()) for row in questions(TOPOLOGY, keys, sums)}
    assert {frozenset([p]) for p in range(5)} < asked
    assert {frozenset([A, B]), frozenset([C, D]), frozenset([A, B, C, D])} < asked
