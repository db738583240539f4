"""Training from a flat start, on utterances whose boundaries are known because they were drawn from a model."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from asr_ligru.errors import DataError
from asr_ligru.hmm import train as training
from asr_ligru.hmm.graph import SIL
from asr_ligru.hmm.topology import Topology
from asr_ligru.hmm.train import Progress, Schedule, TrainingState, accumulate, flat_start, tied_start, train
from asr_ligru.hmm.tree import ContextTree
from tests.tolerance import assert_close

TOPOLOGY = Topology.of(["a", "b", "c", "d"], num_states=3, num_silence_states=3)
SCHEDULE = Schedule(12, realign=tuple(range(1, 12)), num_gauss=30, grow_until=8, first_min_occupancy=3.0)


def drawn(num_utts: int) -> tuple[list[Tensor], list[list[list[tuple[int, ...]]]], list[list[int]]]:
    """Draw utterances of three words of two phones: features, transcripts and the phone of each frame."""
    generator = torch.Generator().manual_seed(1)
    means = 4 * torch.randn(len(TOPOLOGY.phones), 3, 5, generator=generator)
    feats, transcripts, phones = [], [], []
    for _ in range(num_utts):
        words = [tuple(torch.randint(1, 5, (2,), generator=generator).tolist()) for _ in range(3)]
        spoken = [SIL, *(phone for word in words for phone in word), SIL]
        frames, labels = [], []
        for phone in spoken:
            for state, length in enumerate(torch.randint(2, 7, (3,), generator=generator).tolist()):
                frames.append(means[phone, state] + torch.randn(length, 5, generator=generator))
                labels += [phone] * length
        feats.append(torch.cat(frames))
        transcripts.append([[word] for word in words])
        phones.append(labels)
    return feats, transcripts, phones


def trained(num_utts: int, seed: int) -> tuple[TrainingState, list[Progress], list[list[int]]]:
    feats, transcripts, phones = drawn(num_utts)
    state = flat_start(feats, transcripts, TOPOLOGY)
    seen: list[Progress] = []
    train("mono", state, transcripts, SCHEDULE, seed=seed, watch=seen.append)
    return state, seen, phones


def test_train_flat_start_finds_the_phones_that_were_drawn() -> None:
    state, seen, phones = trained(30, seed=0)
    right = total = 0
    for alignment, labels in zip(state.alignments, phones, strict=True):
        assert alignment is not None
        right += sum(a == b for a, b in zip(alignment.phone_of_frame.tolist(), labels, strict=True))
        total += len(labels)
    assert right > 0.97 * total
    assert seen[-1].log_like > seen[0].log_like + 3
    assert [p.iteration for p in seen] == list(range(1, 13))
    assert seen[-1].num_gauss == 30


def test_train_same_seed_gives_the_same_model() -> None:
    (first, *_), (second, *_) = trained(5, seed=3), trained(5, seed=3)
    for name, tensor in first.model.tensors().items():
        assert torch.equal(tensor, second.model.tensors()[name]), name


def test_train_utterance_too_short_is_counted_and_left_out() -> None:
    feats, transcripts, _ = drawn(6)
    feats[2] = feats[2][:10]
    state = flat_start(feats, transcripts, TOPOLOGY)
    seen: list[Progress] = []
    train("mono", state, transcripts, SCHEDULE, seed=0, watch=seen.append)
    assert [a is None for a in state.alignments] == [False, False, True, False, False, False]
    assert {p.unaligned for p in seen} == {1}


def test_train_no_utterance_long_enough_is_an_error() -> None:
    feats, transcripts, _ = drawn(3)
    feats = [frames[:10] for frames in feats]
    state = flat_start(feats, transcripts, TOPOLOGY)
    with pytest.raises(DataError, match="mono: none of 3 utterances can be aligned"):
        train("mono", state, transcripts, SCHEDULE, seed=0, watch=lambda progress: None)


@pytest.mark.parametrize("held", [1, 100, 350])
def test_accumulate_some_utterances_at_a_time_counts_the_same(held: int, monkeypatch: pytest.MonkeyPatch) -> None:
    state, _, _ = trained(6, seed=0)
    state.alignments[2] = None
    others = [frames.square() for frames in state.feats]
    whole = [accumulate(state.model, state.aligned(), sums) for sums in (None, others)]
    monkeypatch.setattr(training, "_HELD_FRAMES", held)
    groups = [some.utterances for some in state.aligned()]
    assert len(groups) > 1
    assert [i for group in groups for i in group] == [0, 1, 3, 4, 5]
    for sums, expected in zip((None, others), whole, strict=True):
        stats, moves, log_like = accumulate(state.model, state.aligned(), sums)
        assert torch.equal(moves, expected[1])
        assert_close(stats.table, expected[0].table)
        assert_close(log_like, expected[2])


def test_tied_start_has_mean_and_variance_of_each_state_and_of_all_where_there_are_no_frames() -> None:
    state, _, _ = trained(6, seed=0)
    tree = ContextTree.monophone(Topology.of(["a", "b", "c", "d", "never"], num_states=3, num_silence_states=3))
    frames = torch.cat(state.feats).double()
    pdfs = torch.cat([a.pdfs(tree) for a in state.alignments if a is not None])
    gauss = tied_start(state.feats, state.alignments, tree).model.gmms.gauss
    without = set(range(tree.num_pdfs)) - set(pdfs.tolist())
    assert len(without) == 3
    for pdf in range(tree.num_pdfs):
        expected = frames if pdf in without else frames[pdfs == pdf]
        assert_close(gauss.means[pdf], expected.mean(0))
        assert_close(gauss.variances[pdf], expected.var(0, correction=0))
