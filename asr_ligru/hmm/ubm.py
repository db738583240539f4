"""A universal background model: one mixture for the frames of all speakers, and fMLLR on it without any transcript.

``train`` makes one from the training speakers: a mixture grows by splitting, then transforms of the speakers and the
mixture of the transformed frames are estimated in turn. ``Ubm.adapt`` gives any speaker, or any file, a transform.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from asr_ligru import ranks
from asr_ligru.errors import ConfigError, DataError
from asr_ligru.features import fmllr, fmllr_basis
from asr_ligru.features.fmllr import Estimate
from asr_ligru.features.fmllr_adapt import Limits, adapt
from asr_ligru.features.fmllr_basis import BasisStats, FmllrBasis
from asr_ligru.features.fmllr_stats import FmllrStats
from asr_ligru.hmm.diag_gmm import DiagGmm, GmmStats
from asr_ligru.hmm.gmm_set import GmmSet
from asr_ligru.hmm.gmm_update import split, update

_CHUNK_FRAMES = 8192  # whose posteriors are kept at a time
_PERTURB = 0.3  # standard deviations: with the 0.01 of labelled frames the halves take many updates to part
_FRAMES_PER_GAUSSIAN = 20  # at least
_NUM_MATRICES = 400  # that speakers with the most frames who need a basis have coefficients for
_FRAMES_IN_PART = 500  # of a speaker, as much as one more speaker in the training of the basis

Frames = Iterable[Tensor]
"""(T, D) of each utterance of a speaker: a list, or something that reads them again each time it is iterated over."""


@dataclass(frozen=True)
class UbmOptions:
    """How a model is trained.

    Attributes:
        num_gauss: Gaussians in the end, >= 1.
        iterations: updates before the first transforms, >= 1; the mixture grows during three quarters of them.
        rounds: how often the training speakers' transforms are estimated, >= 0.
        updates: updates after each of them.
        seed: of the directions in which Gaussians are split.
    """

    num_gauss: int = 256
    iterations: int = 20
    rounds: int = 3
    updates: int = 4
    seed: int = 1

    def gauss_after(self, iteration: int, num_frames: int) -> int:
        """Return how many Gaussians there may be after an update, numbered from 0."""
        grown = min(1.0, (iteration + 1) / max(1.0, 0.75 * self.iterations))
        largest = max(1, min(self.num_gauss, num_frames // _FRAMES_PER_GAUSSIAN))
        return round(math.pow(largest, grown))


@dataclass(frozen=True)
class Progress:
    """Where training stands.

    Attributes:
        iteration: finished updates, from 1 on.
        iterations: updates altogether.
        log_like: mean log-likelihood of a (transformed) frame before the update, nats, log|det A| included.
        num_gauss: Gaussians after it.
    """

    iteration: int
    iterations: int
    log_like: float
    num_gauss: int


@dataclass(frozen=True, eq=False)
class Ubm:
    """A trained model.

    Attributes:
        gmm: the mixture.
        basis: for speakers with little data; None during training.
    """

    gmm: DiagGmm
    basis: FmllrBasis | None = None

    def statistics(self, frames: Frames, transform: Tensor | None = None) -> FmllrStats:
        """Return the fMLLR statistics of one speaker.

        Args:
            frames: of the speaker.
            transform: (D, D + 1) that the frames are transformed with first.

        Raises:
            DataError: features of another dimension, or not finite.
        """
        gmm = self.gmm
        stats = FmllrStats.zeros(gmm.dim, device=gmm.means.device)
        for feats in _chunks(gmm, frames, transform):
            stats = stats.accumulate(feats, gmm.posteriors(feats)[0], gmm.means, gmm.inv_vars)
        return stats

    def adapt(
        self, speakers: Sequence[Frames], passes: int = 3, limits: Limits | None = None, start: Tensor | None = None
    ) -> Estimate:
        """Estimate a transform for each speaker, ``passes`` times, each time of the frames transformed so far.

        Args:
            speakers: frames of S speakers, or of S utterances whose speakers are unknown.
            passes: the first one brings most, >= 1.
            limits: frames that decide on the kind of transform.
            start: (S, D, D + 1) transforms to begin with; [I 0] when omitted.

        Returns:
            The transforms, all passes and ``start`` composed, and the improvement of all passes; what kind each speaker
            got and why as of the first pass.

        Raises:
            DataError: features of another dimension, or not finite.
        """
        if start is None:
            start = fmllr.identity(self.gmm.dim, len(speakers)).to(self.gmm.means.device)
        batches = range(0, len(speakers), fmllr.BATCH)
        parts = (slice(first, first + fmllr.BATCH) for first in batches)
        return fmllr.join([self._adapt(speakers[part], passes, limits, start[part]) for part in parts])

    def _adapt(self, speakers: Sequence[Frames], passes: int, limits: Limits | None, start: Tensor) -> Estimate:
        total = None
        for _ in range(passes):
            stats = [self.statistics(frames, transform) for frames, transform in zip(speakers, start, strict=True)]
            more = adapt(FmllrStats.stack(stats), self.basis, limits)
            start = fmllr.compose(more.transforms, start)
            gain = more.improvement if total is None else total.improvement + more.improvement
            total = replace(total or more, transforms=start, improvement=gain)
        if total is None:
            raise ConfigError(f"passes of adaptation: expected 1 or more, got {passes}")
        return total

    def tensors(self) -> dict[str, Tensor]:
        """Return the tensors that ``load`` makes an equal model from."""
        tensors = {"weights": self.gmm.weights, "means": self.gmm.means, "inv_vars": self.gmm.inv_vars}
        return tensors if self.basis is None else tensors | {"basis": self.basis.matrices}

    @classmethod
    def load(cls, tensors: Mapping[str, Tensor]) -> Ubm:
        """Return the model that ``tensors`` were taken from."""
        gmm = DiagGmm(tensors["weights"], tensors["means"], tensors["inv_vars"])
        return cls(gmm, FmllrBasis(tensors["basis"]) if "basis" in tensors else None)


def train(
    speakers: Sequence[Frames],
    options: UbmOptions | None = None,
    watch: Callable[[Progress], object] = lambda progress: None,
) -> Ubm:
    """Train a model on the frames of the training speakers; several processes of a run take a part of them each.

    Args:
        speakers: frames of each.
        options: how; the defaults when omitted.
        watch: called after each update.

    Raises:
        DataError: there are no frames, or they are of several dimensions or not finite.
    """
    options = options or UbmOptions()
    generator = torch.Generator().manual_seed(options.seed)
    gmm = _unit_gaussian(speakers)
    transforms = fmllr.identity(gmm.dim, len(speakers)).to(gmm.means.device)
    iterations = options.iterations + options.rounds * options.updates
    for iteration in range(iterations):
        if iteration >= options.iterations and (iteration - options.iterations) % options.updates == 0:
            transforms = _adapted(Ubm(gmm), speakers, transforms)
        stats, log_like = _accumulate(gmm, speakers, transforms)
        gmm = update(GmmSet.of([gmm]), stats)[0][0]
        target = torch.tensor([options.gauss_after(iteration, int(stats.occ.sum()))])
        gmm = split(GmmSet.of([gmm]), target, generator, _PERTURB)[0]
        watch(Progress(iteration + 1, iterations, log_like, gmm.num_gauss))
    return Ubm(gmm, _train_basis(Ubm(gmm), speakers))


def _adapted(model: Ubm, speakers: Sequence[Frames], start: Tensor) -> Tensor:
    """Return the transforms (S, D, D + 1) of all speakers, those of others than this process' from theirs."""
    own = list(ranks.share(range(len(speakers))))
    transforms = torch.zeros_like(start)
    if own:
        transforms[own] = model.adapt([speakers[i] for i in own], passes=1, start=start[own]).transforms
    ranks.add_up(transforms)
    return transforms


def _unit_gaussian(speakers: Sequence[Frames]) -> DiagGmm:
    """Return what the first update makes one Gaussian of all frames of."""
    feats = next((feats for frames in speakers for feats in frames if len(feats)), None)
    if feats is None:
        raise DataError("training of a background model: no speaker has any frames")
    unit = feats.new_ones(1, feats.shape[1], dtype=torch.float64)
    return DiagGmm(unit[:, 0], torch.zeros_like(unit), unit)


def _accumulate(gmm: DiagGmm, speakers: Sequence[Frames], transforms: Tensor) -> tuple[GmmStats, float]:
    """Return the statistics for an update, and the mean log-likelihood of a frame."""
    stats, log_like, count = GmmStats.zeros(gmm), 0.0, 0
    for i in ranks.share(range(len(speakers))):
        for feats in _chunks(gmm, speakers[i], transforms[i]):
            post, log_likes = gmm.posteriors(feats)
            stats, count = stats.accumulate(feats, post), count + len(feats)
            log_like += float(log_likes.sum() + len(feats) * fmllr.log_det(transforms[i]))
    sums = torch.tensor([log_like, count], dtype=torch.float64)
    ranks.add_up(stats.table, sums)
    return stats, float(sums[0] / sums[1])


def _chunks(gmm: DiagGmm, frames: Frames, transform: Tensor | None, size: int = _CHUNK_FRAMES) -> Iterator[Tensor]:
    """Yield the frames of a speaker, transformed, ``size`` at a time."""
    held: list[Tensor] = []
    for feats in frames:
        gmm.check(feats)
        held.append(feats.to(gmm.means))
        if sum(map(len, held)) >= size:
            *whole, rest = torch.split(torch.cat(held), size)
            yield from (part if transform is None else fmllr.apply(transform, part) for part in whole)
            held = [rest]
    if held and (rest := torch.cat(held)).numel():
        yield rest if transform is None else fmllr.apply(transform, rest)


def _train_basis(model: Ubm, speakers: Sequence[Frames]) -> FmllrBasis:
    """Learn the matrices from parts of the speakers' frames, each of which counts as a speaker."""
    gmm = model.gmm
    stats = BasisStats.zeros(gmm.dim, device=gmm.means.device)
    for frames in ranks.share(speakers):
        parts = [model.statistics([part]) for part in _chunks(gmm, frames, None, _FRAMES_IN_PART)]
        for first in range(0, len(parts), fmllr.BATCH):
            stats = stats.accumulate(FmllrStats.stack(parts[first : first + fmllr.BATCH]))
    ranks.add_up(stats.table)
    expected = fmllr_basis.preconditioner(gmm.weights, gmm.means, gmm.inv_vars, num_pdfs=1)
    return fmllr_basis.estimate_basis(stats, expected, size=_NUM_MATRICES)
