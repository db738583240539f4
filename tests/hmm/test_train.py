"""Training from a flat start, on utterances whose boundaries are known because they were drawn from a model."""

from __future__ import annotations

import torch
from torch import Tensor

from asr_ligru.hmm.graph import SIL
from asr_ligru.hmm.topology import Topology
from asr_ligru.hmm.train import Progress, Schedule, TrainingState, flat_start, train

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
