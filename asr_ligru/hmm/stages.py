"""The chain of models: monophones, triphones, LDA with MLLT, and training adapted to the speakers.

Each stage begins with the alignments of the one before. Numbers of iterations and when to realign are Kaldi's.

Source: Kaldi, egs/wsj/s5/steps/train_mono.sh, train_deltas.sh, train_lda_mllt.sh, train_sat.sh.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

import torch
from torch import Tensor

from asr_ligru import ranks
from asr_ligru.config import HmmConfig
from asr_ligru.features.deltas import add_deltas
from asr_ligru.features.fmllr import compose
from asr_ligru.features.fmllr_adapt import Limits, adapt
from asr_ligru.features.fmllr_basis import BasisStats, estimate_basis, preconditioner
from asr_ligru.features.fmllr_stats import FmllrStats
from asr_ligru.features.lda_mllt import LdaStats, MlltStats, estimate_lda, estimate_mllt
from asr_ligru.features.splice import splice
from asr_ligru.hmm.alignment import Alignment
from asr_ligru.hmm.diag_gmm import DiagGmm
from asr_ligru.hmm.gmm_set import GmmSet
from asr_ligru.hmm.gmm_update import UpdateOptions, update
from asr_ligru.hmm.material import Material
from asr_ligru.hmm.model import AcousticModel
from asr_ligru.hmm.speakers import Speakers, each_speaker, speech_weights
from asr_ligru.hmm.train import Hook, Schedule, TrainingState, Watch, accumulate, flat_start, tied_start, train
from asr_ligru.hmm.tree_build import TreeOptions, build_tree

log = logging.getLogger(__name__)

_MONO_REALIGN = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 14, 16, 18, 20, 23, 26, 29, 32, 35, 38)
_REALIGN = (10, 20, 30)
_ESTIMATE = (2, 4, 6, 12)  # iterations with new MLLT matrices, or new fMLLR transforms
_DELTAS = 2
ITERATIONS = {"mono": 40, "tri": 35, "lda_mllt": 35, "sat": 35}  # of the stages, in their order
_STRETCH = 5  # utterances of a speaker that count as a speaker when the basis is trained
_HELD_SPEAKERS = 64  # whose statistics are held at a time, 0.3 MB each


@dataclass(frozen=True, eq=False)
class Trained:
    """A finished stage.

    Attributes:
        model: reads ``project(base)``, or that moved by ``transforms`` where there are any.
        alignments: of each utterance; None where it could not be aligned.
        projection: (D, F * (2 context + 1)) of spliced frames; None for differences.
        partner: mixtures like the model's, Gaussian by Gaussian, for features without transform; of ``sat`` only.
        transforms: (S, D, D + 1) of the training speakers; of ``sat`` only.
        basis: (N, D, D + 1) matrices that transforms for little speech are combined of; of ``sat`` only.
        log_like: mean log-likelihood of a training frame, nats.
    """

    model: AcousticModel
    alignments: list[Alignment | None]
    projection: Tensor | None = None
    partner: GmmSet | None = None
    transforms: Tensor | None = None
    basis: Tensor | None = None
    log_like: float = 0.0


def project(base: Sequence[Tensor], projection: Tensor | None, context: int) -> list[Tensor]:
    """Return the features (T, D) that a stage reads, without transforms of speakers.

    Args:
        base: (T, F) normalised cepstra of each utterance.
        projection: of frames spliced with their neighbours; None for first and second differences instead.
        context: neighbours on each side.
    """
    if projection is None:
        return [add_deltas(frames, _DELTAS) for frames in base]
    return [splice(frames, context, context) @ projection.T.to(frames.dtype) for frames in base]


def train_mono(material: Material, config: HmmConfig, seed: int, watch: Watch) -> Trained:
    """Train monophones from a flat start."""
    state = flat_start(project(material.base, None, 0), material.transcripts, material.topology)
    schedule = Schedule(ITERATIONS["mono"], _MONO_REALIGN, config.mono_gauss, 30, first_min_occupancy=3.0)
    log_like = _train("mono", material, state, schedule, seed, watch)
    return Trained(state.model, state.alignments, log_like=log_like)


def train_tri(material: Material, config: HmmConfig, seed: int, watch: Watch, before: Trained) -> Trained:
    """Train triphones with tied states."""
    feats = project(material.base, None, 0)
    state = _tied(material, feats, before, config.tri_leaves)
    log_like = _train("tri", material, state, _schedule(config.tri_gauss), seed, watch)
    return Trained(state.model, state.alignments, log_like=log_like)


def train_lda_mllt(material: Material, config: HmmConfig, seed: int, watch: Watch, before: Trained) -> Trained:
    """Train triphones on spliced frames, projected by LDA and rotated by MLLT."""
    context = config.lda_context
    rotation = _Rotation(_lda(material, config, before))
    feats = project(material.base, rotation.matrix, context)
    state = _tied(material, feats, before, config.lda_leaves)
    hooks: dict[int, Hook] = dict.fromkeys(_ESTIMATE, rotation.update)
    schedule = _schedule(config.lda_gauss)
    log_like = _train("lda_mllt", material, state, schedule, seed, watch, hooks)
    return Trained(state.model, state.alignments, rotation.matrix, log_like=log_like)


def train_sat(material: Material, config: HmmConfig, seed: int, watch: Watch, before: Trained) -> Trained:
    """Train triphones on features moved by fMLLR transforms of the speakers, and their partner for other features."""
    unadapted = project(material.base, before.projection, config.lda_context)
    adaptation = _Adaptation(material.speakers, unadapted, limits(config))
    feats = adaptation.begin(before)
    state = _tied(material, feats, before, config.sat_leaves)
    hooks: dict[int, Hook] = dict.fromkeys(_ESTIMATE, adaptation.update)
    schedule = _schedule(config.sat_gauss, power=0.2)
    log_like = _train("sat", material, state, schedule, seed, watch, hooks)
    partner = partner_of(state, unadapted)
    basis = _basis(state, partner, unadapted, material)
    transforms = adaptation.transforms
    return Trained(state.model, state.alignments, before.projection, partner, transforms, basis, log_like)


def _train(
    name: str,
    material: Material,
    state: TrainingState,
    schedule: Schedule,
    seed: int,
    watch: Watch,
    hooks: Mapping[int, Hook] | None = None,
) -> float:
    return train(name, state, material.transcripts, schedule, seed=seed, watch=watch, hooks=hooks, near=material.near)


def partner_of(state: TrainingState, unadapted: Sequence[Tensor]) -> GmmSet:
    """Return mixtures that do for unadapted features what the model does for adapted ones, Gaussian by Gaussian.

    Source: Kaldi, src/gmmbin/gmm-acc-stats-twofeats.cc: posteriors from the one, sums of the other.
    """
    stats, _, _ = accumulate(state.model, state.aligned(), sums_of=unadapted)
    partner, _ = update(state.model.gmms, stats, UpdateOptions(remove_low_count=False))
    return partner


def _basis(state: TrainingState, partner: GmmSet, unadapted: Sequence[Tensor], material: Material) -> Tensor:
    """Return the basis of transforms, from stretches of a few utterances: speakers alone are too few."""
    model = state.model
    gauss = model.gmms.gauss
    found = each_speaker(
        model.gmms,
        model.tree,
        unadapted,
        state.alignments,
        material.speakers.stretches(_STRETCH),
        silence_weight=0.0,
        posteriors_from=partner,
    )
    sums = BasisStats.zeros(gauss.dim)
    while some := list(islice(found, _HELD_SPEAKERS)):
        sums = sums.accumulate(FmllrStats.stack(some))
    curvature = preconditioner(gauss.weights, gauss.means, gauss.inv_vars, model.gmms.num_pdfs)
    return estimate_basis(sums, curvature).matrices


def _schedule(num_gauss: int, power: float = 0.25) -> Schedule:
    return Schedule(ITERATIONS["tri"], _REALIGN, num_gauss, 25, power)


def limits(config: HmmConfig) -> Limits:
    """Return what kind of transform how much speech allows."""
    return Limits(config.identity_below, config.full_above)


def _tied(material: Material, feats: list[Tensor], before: Trained, leaves: int) -> TrainingState:
    tree = build_tree(material.topology, feats, before.alignments, TreeOptions(leaves))
    return tied_start(feats, before.alignments, tree)


def _lda(material: Material, config: HmmConfig, before: Trained) -> Tensor:
    """Return the projection that tells the tied states of the stage before apart best."""
    context, tree = config.lda_context, before.model.tree
    stats = LdaStats.zeros(tree.num_pdfs, material.base[0].shape[1] * (2 * context + 1))
    for frames, alignment in zip(material.base, before.alignments, strict=True):
        if alignment is not None:
            weights = speech_weights([alignment], 0.0)
            stats = stats.accumulate(splice(frames, context, context), alignment.pdfs(tree), weights)
    dim = min(config.lda_dim, stats.largest_dim)
    if dim < config.lda_dim:
        log.warning("LDA to %d features instead of %d: so few tied states occur", dim, config.lda_dim)
    return estimate_lda(stats, dim).matrix


@dataclass
class _Rotation:
    """The projection of a stage, rotated now and then.

    Attributes:
        matrix: (D, F) float64.
    """

    matrix: Tensor

    def update(self, state: TrainingState) -> None:
        """Estimate MLLT and rotate features, means and projection."""
        gmms = state.model.gmms
        gauss = gmms.gauss
        stats = MlltStats.zeros(gauss.dim)
        for some in state.aligned():
            weights = speech_weights(some.alignments, 0.0)
            for part in some.parts():
                feats, pdfs = some.feats[part], some.pdfs[part]
                sums, _ = gmms.accumulate(feats, pdfs, weights[part])
                post = gmms.posteriors_within(feats, pdfs)
                more = FmllrStats.zeros(gauss.dim).accumulate(
                    feats, post.post, gauss.means, gauss.inv_vars, gauss=post.gauss, frame_weights=weights[part]
                )
                stats = stats.add(more, sums.table, gauss.means, gauss.inv_vars)
        ranks.add_up(stats.table)
        mllt = estimate_mllt(stats).matrix
        self.matrix = mllt @ self.matrix
        for i, frames in enumerate(state.feats):
            state.feats[i] = frames @ mllt.T.to(frames.dtype)
        turned = DiagGmm(gauss.weights, gauss.means @ mllt.T, gauss.inv_vars)
        state.model = AcousticModel(state.model.tree, state.model.transitions, GmmSet(turned, gmms.offsets))


@dataclass
class _Adaptation:
    """The transforms of the training speakers, estimated now and then.

    Attributes:
        speakers: of the utterances.
        unadapted: (T, D) features of each utterance before any transform.
        limits: what kind of transform how much speech allows.
        transforms: (S, D, D + 1) so far.
    """

    speakers: Speakers
    unadapted: Sequence[Tensor]
    limits: Limits
    transforms: Tensor = field(init=False)

    def begin(self, before: Trained) -> list[Tensor]:
        """Estimate from the model of the stage before, and return the adapted features."""
        self.transforms = self._estimated(before.model, self.unadapted, before.alignments)
        return self.speakers.transform(self.transforms, self.unadapted)

    def update(self, state: TrainingState) -> None:
        """Estimate anew on top of what there is, and move the features."""
        more = self._estimated(state.model, state.feats, state.alignments, add_up=True)
        self.transforms = compose(more, self.transforms)
        state.feats.clear()  # before the new ones need the memory
        state.feats += self.speakers.transform(self.transforms, self.unadapted)

    def _estimated(
        self,
        model: AcousticModel,
        feats: Sequence[Tensor],
        alignments: Sequence[Alignment | None],
        add_up: bool = False,
    ) -> Tensor:
        """Return transforms (S, D, D + 1); ``add_up`` where each process of a run has a part of the alignments."""
        found = each_speaker(model.gmms, model.tree, feats, alignments, self.speakers, silence_weight=0.0)
        transforms = []
        while some := list(islice(found, _HELD_SPEAKERS)):
            stats = FmllrStats.stack(some)
            if add_up:
                ranks.add_up(stats.table)
            transforms.append(adapt(stats, limits=self.limits).transforms)
        return torch.cat(transforms)
