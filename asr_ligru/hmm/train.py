"""Training of a GMM-HMM by Viterbi alignments: align now and then, update always, let the mixtures grow."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate as running_totals
from itertools import groupby

import torch
from torch import Tensor

from asr_ligru import ranks
from asr_ligru.errors import DataError
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
_HELD_FRAMES = 500_000  # sorted by tied state at a time, 80 MB


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


@dataclass(frozen=True, eq=False)
class Aligned:
    """Some aligned utterances, one after another.

    Attributes:
        utterances: their numbers.
        alignments: theirs.
        feats: (N, D) frames.
        pdfs: (N,) int64 tied states.
    """

    utterances: list[int]
    alignments: list[Alignment]
    feats: Tensor
    pdfs: Tensor

    @property
    def stays(self) -> Tensor:
        """(N,) bool, whether the next frame is in the same state; False for the last of an utterance."""
        return torch.cat([alignment.stays for alignment in self.alignments])

    def parts(self) -> Sequence[Tensor]:
        """Return the numbers of the frames, those of a tied state together, in parts that fit into a cache."""
        return torch.split(self.pdfs.argsort(stable=True), _PART_FRAMES)


def aligned(feats: Sequence[Tensor], alignments: Sequence[Alignment | None], tree: ContextTree) -> Iterator[Aligned]:
    """Yield the utterances that have an alignment, some at a time: a copy of all frames would double the memory."""
    found = [(i, a) for i, a in enumerate(alignments) if a is not None]
    ends = running_totals(len(alignment) for _, alignment in found)
    for _, group in groupby(zip(found, ends, strict=True), key=lambda pair: pair[1] // _HELD_FRAMES):
        used = [pair for pair, _ in group]
        frames, pdfs = torch.cat([feats[i] for i, _ in used]), torch.cat([a.pdfs(tree) for _, a in used])
        yield Aligned([i for i, _ in used], [a for _, a in used], frames, pdfs)


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

    def aligned(self) -> Iterator[Aligned]:
        """Yield the utterances that have an alignment, some at a time."""
        return aligned(self.feats, self.alignments, self.model.tree)


Hook = Callable[[TrainingState], None]


def flat_start(feats: list[Tensor], transcripts: Sequence[Transcript], topology: Topology) -> TrainingState:
    """Return a monophone model whose states are all alike, and alignments of equal parts.

    Args:
        feats: (T, D) of each utterance.
        transcripts: pronunciations of the words of each; the first of each word is taken.
        topology: the phones.
    """
    tree = ContextTree.monophone(topology)
    sums = torch.stack([extend(frames).sum(0) for frames in feats]).sum(0)
    gmms = GmmSet.of([DiagGmm.of_sums(sums)] * tree.num_pdfs)
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
    transitions = Transitions.initial(tree.num_pdfs)
    moves = torch.zeros(2, tree.num_pdfs, dtype=torch.float64)
    table = feats[0].new_zeros(tree.num_pdfs, 1 + 2 * feats[0].shape[1], dtype=torch.float64)
    for some in aligned(feats, alignments, tree):
        moves += transitions.counts(some.pdfs, some.stays)
        for part in some.parts():
            table.index_add_(0, some.pdfs[part], extend(some.feats[part]))
    everything = DiagGmm.of_sums(table.sum(0))
    gmms, _ = update(GmmSet.of([everything] * tree.num_pdfs), GmmStats(table), UpdateOptions(min_occupancy=0.0))
    return TrainingState(AcousticModel(tree, transitions.updated_by(moves), gmms), feats, alignments)


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

    Raises:
        DataError: no utterance can be aligned.

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
        if unaligned == len(state.feats):
            what = f"{stage}: none of {unaligned} utterances can be aligned, their texts have too many phones"
            raise DataError(what, fix="check that each text belongs to its recording")
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
    stats, moves, log_like = accumulate(model, state.aligned())
    ranks.add_up(stats.table, moves, log_like)
    occs = model.gmms.sum_by_pdf(stats.occ)
    options = UpdateOptions() if iteration else UpdateOptions(min_occupancy=schedule.first_min_occupancy)
    gmms, _ = update(model.gmms, stats, options)
    total = schedule.gauss_at(iteration, gmms.num_pdfs)
    if total > gmms.gauss.num_gauss:
        gmms = split(gmms, split_targets(occs, total, schedule.power), generator)
    state.model = AcousticModel(model.tree, model.transitions.updated_by(moves), gmms)
    return float(log_like) / max(float(moves[0].sum()), 1.0)


def accumulate(
    model: AcousticModel, utterances: Iterable[Aligned], sums_of: Sequence[Tensor] | None = None
) -> tuple[GmmStats, Tensor, Tensor]:
    """Count aligned frames.

    Args:
        model: the model.
        utterances: aligned with it.
        sums_of: (T, D) of each utterance, what is summed up in place of its features.

    Returns:
        The statistics, how many frames (2, P) are in each tied state and are followed by one in the same, and the sum
        of their log-likelihoods () float64.
    """
    gmms = model.gmms
    stats = GmmStats.zeros(gmms.gauss)
    log_like = stats.table.new_zeros(())
    moves = torch.zeros(2, gmms.num_pdfs, dtype=torch.float64)
    for some in utterances:
        summed = some.feats if sums_of is None else torch.cat([sums_of[i] for i in some.utterances])
        moves += model.transitions.counts(some.pdfs, some.stays)
        for part in some.parts():
            more, log_likes = gmms.accumulate(some.feats[part], some.pdfs[part], sums_of=summed[part])
            stats, log_like = stats + more, log_like + log_likes.sum()
    return stats, moves, log_like
