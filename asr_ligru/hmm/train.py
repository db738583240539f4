"""Training of a GMM-HMM by Viterbi alignments: align now and then, update always, let the mixtures grow."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from asr_ligru import ranks
from asr_ligru.hmm.align import Aligner, Transcript
from asr_ligru.hmm.alignment import Alignment, join
from asr_ligru.hmm.diag_gmm import DiagGmm, GmmStats, extend
from asr_ligru.hmm.gmm_set import GmmSet
from asr_ligru.hmm.gmm_update import UpdateOptions, split, split_targets, update
from asr_ligru.hmm.model import AcousticModel
from asr_ligru.hmm.topology import Topology, Transitions
from asr_ligru.hmm.tree import ContextTree

log = logging.getLogger(__name__)

_PART_FRAMES = 8192  # accumulated at a time


@dataclass(frozen=True)
class Schedule:
    """How long a stage trains and how its mixtures grow.

    Attributes:
        iterations: updates.
        realign: iterations, from 0 on, before which the frames are aligned anew.
        num_gauss: Gaussians of all tied states together in the end.
        grow_until: the iteration after which they are that many.
        power: a tied state's share of them grows with ``occupancy ** power``.
        first_min_occupancy: frames that a Gaussian needs in the first update.
    """

    iterations: int
    realign: tuple[int, ...]
    num_gauss: int
    grow_until: int
    power: float = 0.25
    first_min_occupancy: float = 10.0

    def gauss_at(self, iteration: int, num_pdfs: int) -> int:
        """Return how many Gaussians the model may have after an iteration."""
        grown = min(iteration, self.grow_until) / max(self.grow_until, 1)
        return int(num_pdfs + max(self.num_gauss - num_pdfs, 0) * grown)


@dataclass(frozen=True)
class Progress:
    """Where a stage stands: handed to whoever watches the training after each iteration.

    Attributes:
        stage: its name.
        iteration: finished iterations, from 1 on.
        iterations: of the stage.
        log_like: mean log-likelihood of a frame given its tied state, nats.
        num_gauss: Gaussians of the model.
        unaligned: utterances without an alignment.
    """

    stage: str
    iteration: int
    iterations: int
    log_like: float
    num_gauss: int
    unaligned: int


Watch = Callable[[Progress], object]


@dataclass
class TrainingState:
    """What changes while a stage trains.

    Attributes:
        model: the acoustic model.
        feats: (T, D) of each utterance.
        alignments: of each utterance; None where it has none yet, or cannot be aligned.
    """

    model: AcousticModel
    feats: list[Tensor]
    alignments: list[Alignment | None]

    def aligned(self) -> tuple[list[int], Tensor, Tensor]:
        """Return the utterances with an alignment, their frames (N, D) and the tied states (N,) of these."""
        indices = [i for i, alignment in enumerate(self.alignments) if alignment is not None]
        pdfs = [a.pdfs(self.model.tree) for a in self.alignments if a is not None]
        none = torch.zeros(0, dtype=torch.int64)
        return indices, torch.cat([self.feats[0][:0], *(self.feats[i] for i in indices)]), torch.cat([none, *pdfs])


Hook = Callable[[TrainingState], None]


def flat_start(feats: list[Tensor], transcripts: Sequence[Transcript], topology: Topology) -> TrainingState:
    """Return a monophone model whose states are all alike, and alignments of equal parts.

    Args:
        feats: (T, D) of each utterance.
        transcripts: pronunciations of the words of each; the first of each word is taken.
        topology: the phones.
    """
    tree = ContextTree.monophone(topology)
    gmms = GmmSet.of([DiagGmm.single(torch.cat(feats))] * tree.num_pdfs)
    model = AcousticModel(tree, Transitions.initial(tree.num_pdfs), gmms)
    alignments = [
        Alignment.equal([word[0] for word in words], topology, len(frames))
        for words, frames in zip(transcripts, feats, strict=True)
    ]
    return TrainingState(model, feats, alignments)


def tied_start(feats: list[Tensor], alignments: list[Alignment | None], tree: ContextTree) -> TrainingState:
    """Return a model of one Gaussian for each tied state of a tree, from the alignments of another model.

    Args:
        feats: (T, D) of each utterance.
        alignments: of each utterance.
        tree: which state each frame is in; one without frames gets the Gaussian of all frames.
    """
    used = [(frames, a) for frames, a in zip(feats, alignments, strict=True) if a is not None]
    everything = torch.cat([frames for frames, _ in used])
    pdfs = torch.cat([a.pdfs(tree) for _, a in used])
    gmms = GmmSet.of([DiagGmm.single(everything)] * tree.num_pdfs)
    stats = GmmStats.zeros(gmms.gauss)
    stats.table.index_add_(0, pdfs, extend(everything))
    gmms, _ = update(gmms, stats, UpdateOptions(min_occupancy=0.0))
    stays = torch.cat([a.stays for _, a in used])
    return TrainingState(
        AcousticModel(tree, Transitions.initial(tree.num_pdfs).updated(pdfs, stays), gmms), feats, alignments
    )


def train(
    stage: str,
    state: TrainingState,
    transcripts: Sequence[Transcript],
    schedule: Schedule,
    *,
    seed: int,
    watch: Watch,
    hooks: Mapping[int, Hook] | None = None,
    near: Sequence[Tensor | None] | None = None,
) -> float:
    """Train the model of ``state``, in place, and return the mean log-likelihood of a frame, nats.

    Several processes of a run align a part of the utterances each, and sum what they count; while they do, the
    alignments of the others' utterances are None.

    Args:
        stage: a name for messages.
        state: the model to begin with, features and alignments.
        transcripts: pronunciations of the words of each utterance.
        schedule: for how long.
        seed: of the random directions in which Gaussians are split.
        watch: called after each iteration.
        hooks: what happens before the alignment and update of an iteration, such as new transforms.
        near: (T, K) phones that each frame of an utterance may belong to, where that is known.

    Source: Kaldi, egs/wsj/s5/steps/train_mono.sh, train_deltas.sh, train_lda_mllt.sh, train_sat.sh.
    """
    generator = torch.Generator().manual_seed(seed)
    own = ranks.share(range(len(state.feats)))
    aligner = Aligner(
        [transcripts[i] for i in own],
        state.model.tree,
        [len(state.feats[i]) for i in own],
        None if near is None else [near[i] for i in own],
    )
    state.alignments = _only(own, state.alignments)
    log_like = 0.0
    for iteration in range(schedule.iterations):
        if hooks and iteration in hooks:
            hooks[iteration](state)
        if iteration in schedule.realign:
            _align(state, aligner, own)
        log_like = _update(state, schedule, iteration, generator)
        unaligned = sum(ranks.gathered(sum(state.alignments[i] is None for i in own)))
        num_gauss = state.model.gmms.gauss.num_gauss
        progress = Progress(stage, iteration + 1, schedule.iterations, log_like, num_gauss, unaligned)
        log.debug("%s", progress)
        watch(progress)
    _align(state, aligner, own)
    state.alignments = join(state.alignments, own)
    return log_like


def _only(own: Sequence[int], alignments: Sequence[Alignment | None]) -> list[Alignment | None]:
    kept = set(own)
    return [alignment if i in kept else None for i, alignment in enumerate(alignments)]


def _align(state: TrainingState, aligner: Aligner, own: Sequence[int]) -> None:
    found = aligner.align(state.model, [state.feats[i] for i in own])
    for i, alignment in zip(own, found, strict=True):
        state.alignments[i] = alignment


def _update(state: TrainingState, schedule: Schedule, iteration: int, generator: torch.Generator) -> float:
    model = state.model
    _, feats, pdfs = state.aligned()
    stays = torch.cat([torch.zeros(0, dtype=torch.bool), *(a.stays for a in state.alignments if a is not None)])
    stats, total_log_like = accumulate(model.gmms, feats, pdfs)
    moves = model.transitions.counts(pdfs, stays)
    frames = torch.tensor([total_log_like, len(feats)], dtype=torch.float64)
    ranks.add_up(stats.table, moves, frames)
    occs = model.gmms.sum_by_pdf(stats.occ)
    options = UpdateOptions() if iteration else UpdateOptions(min_occupancy=schedule.first_min_occupancy)
    gmms, _ = update(model.gmms, stats, options)
    total = schedule.gauss_at(iteration, gmms.num_pdfs)
    if total > gmms.gauss.num_gauss:
        gmms = split(gmms, split_targets(occs, total, schedule.power), generator)
    state.model = AcousticModel(model.tree, model.transitions.updated_by(moves), gmms)
    return float(frames[0]) / max(int(frames[1]), 1)


def accumulate(gmms: GmmSet, feats: Tensor, pdfs: Tensor, sums_of: Tensor | None = None) -> tuple[GmmStats, float]:
    """Return the statistics of aligned frames, a part of them at a time, and the sum of their log-likelihoods.

    Args:
        gmms: the model.
        feats: (N, D).
        pdfs: (N,) int64.
        sums_of: (N, D) what is summed up in place of ``feats``.
    """
    stats, log_like = GmmStats.zeros(gmms.gauss), 0.0
    for part in parts(pdfs):
        other = None if sums_of is None else sums_of[part]
        more, log_likes = gmms.accumulate(feats[part], pdfs[part], sums_of=other)
        stats, log_like = stats + more, log_like + float(log_likes.sum())
    return stats, log_like


def parts(pdfs: Tensor) -> Sequence[Tensor]:
    """Return the numbers of aligned frames, those of a tied state together, in parts that fit into a cache.

    Args:
        pdfs: (N,) int64, the tied state of each frame.
    """
    return torch.split(pdfs.argsort(stable=True), _PART_FRAMES)
