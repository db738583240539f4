"""Maximum-likelihood updates of mixtures, and their growth by splitting."""

from __future__ import annotations

import heapq
from dataclasses import dataclass

import torch
from torch import Tensor

from asr_ligru.hmm.diag_gmm import DiagGmm, GmmStats
from asr_ligru.hmm.gmm_set import GmmSet


@dataclass(frozen=True)
class UpdateOptions:
    """What keeps an update from overfitting.

    Attributes:
        min_occupancy: frames a Gaussian needs, more than; 10 in Kaldi, 3 in the first update of a flat start.
        min_weight: the weight it needs, more than.
        min_variance: variances are at least this.
        remove_low_count: remove Gaussians that get less, but never the last of a pdf; otherwise they stay as they are.
    """

    min_occupancy: float = 10.0
    min_weight: float = 1e-5
    min_variance: float = 0.001
    remove_low_count: bool = True


@dataclass(frozen=True)
class UpdateReport:
    """What an update did.

    Attributes:
        objective_change: gain of the auxiliary function, nats, over all frames; before anything is removed.
        count: occupancy, frames.
        floored_elements: how many variances were raised.
        floored_gaussians: in how many Gaussians.
        removed_gaussians: how many were removed.
        low_count_gaussians: how many got too little and stayed as they were.
    """

    objective_change: float
    count: float
    floored_elements: int
    floored_gaussians: int
    removed_gaussians: int
    low_count_gaussians: int


def update(gmms: GmmSet, stats: GmmStats, options: UpdateOptions | None = None) -> tuple[GmmSet, UpdateReport]:
    """Estimate weights, means and variances anew.

    Args:
        gmms: the model the statistics were taken with. One mixture ``gmm`` is ``GmmSet.of([gmm])``.
        stats: of all M Gaussians.
        options: Kaldi's defaults when omitted.

    Returns:
        The new model and what was done to it.

    Source: Kaldi, src/gmm/mle-diag-gmm.cc (MleDiagGmmUpdate). As there, the weights of a pdf sum to 1 again only when
        Gaussians were removed from it.
    """
    options = options or UpdateOptions()
    old, occ = gmms.gauss, stats.occ
    pdf_occ = gmms.sum_by_pdf(occ)[gmms.pdf_of_gauss]
    share = torch.where(pdf_occ > 0, occ / pdf_occ, gmms.sizes[gmms.pdf_of_gauss].double().reciprocal())
    enough = (occ > options.min_occupancy) & (share > options.min_weight)
    removed = ~enough & _spare(gmms, enough) if options.remove_low_count else torch.zeros_like(enough)
    weights = torch.where(enough, share, share.clamp(min=options.min_weight))
    weights = torch.where(removed, old.weights, weights)
    scale = torch.where(enough, occ, 1.0)[:, None]
    means = torch.where(enough[:, None], stats.mean_acc / scale, old.means)
    variances = stats.var_acc / scale - means.square()
    floored = enough[:, None] & (variances < options.min_variance)
    inv_vars = variances.clamp(min=options.min_variance).reciprocal()
    new = DiagGmm(weights, means, torch.where(enough[:, None], inv_vars, old.inv_vars))
    report = UpdateReport(
        objective_change=float(((new.coefficients - old.coefficients) * stats.table).sum()),
        count=float(occ.sum()),
        floored_elements=int(floored.sum()),
        floored_gaussians=int(floored.any(1).sum()),
        removed_gaussians=int(removed.sum()),
        low_count_gaussians=int((~enough & ~removed).sum()),
    )
    return _without(GmmSet(new, gmms.offsets), removed), report


def _spare(gmms: GmmSet, enough: Tensor) -> Tensor:
    """Say (M,) which Gaussians may go: all but the last of a pdf in which no one gets enough."""
    none_enough = gmms.sum_by_pdf(enough.double()) == 0
    spare = torch.ones_like(enough)
    spare[gmms.offsets[1:][none_enough] - 1] = False
    return spare


def _without(gmms: GmmSet, removed: Tensor) -> GmmSet:
    """Remove Gaussians and make the weights of those pdfs sum to 1 again."""
    if not removed.any():
        return gmms
    gauss, keep = gmms.gauss, ~removed
    kept_weight = gmms.sum_by_pdf(gauss.weights * keep)
    scale = torch.where(gmms.sum_by_pdf(removed.double()) > 0, kept_weight, 1.0)[gmms.pdf_of_gauss]
    sizes = gmms.sum_by_pdf(keep.long())
    offsets = torch.cat([gmms.offsets[:1], sizes.cumsum(0)])
    return GmmSet(DiagGmm((gauss.weights / scale)[keep], gauss.means[keep], gauss.inv_vars[keep]), offsets)


def split_targets(occs: Tensor, total: int, power: float = 0.25, min_count: float = 20.0) -> Tensor:
    """Distribute Gaussians over pdfs by their occupancy.

    Args:
        occs: (P,) frames of each pdf.
        total: Gaussians of all pdfs together; fewer come out when ``min_count`` forbids more.
        power: a pdf's share grows with ``occ ** power``.
        min_count: a pdf of ``n`` Gaussians gets another one only if it has more than ``(n + 1) * min_count`` frames.

    Returns:
        (P,) int64, each at least 1.

    Source: Kaldi, src/gmm/model-common.cc (GetSplitTargets).
    """
    counts: list[float] = occs.double().tolist()
    targets = [1] * len(counts)
    queue = [(-(occ**power) / (1 + 1e-10), pdf) for pdf, occ in enumerate(counts) if occ > 0]
    heapq.heapify(queue)
    spare = total - len(counts)
    while spare > 0 and queue:
        _, pdf = queue[0]
        if (targets[pdf] + 1) * min_count >= counts[pdf]:
            heapq.heappop(queue)
            continue
        targets[pdf] += 1
        spare -= 1
        heapq.heapreplace(queue, (-(counts[pdf] ** power) / (targets[pdf] + 1e-10), pdf))
    return torch.tensor(targets)


def split(gmms: GmmSet, targets: Tensor, generator: torch.Generator, perturb: float = 0.01) -> GmmSet:
    """Split the heaviest Gaussian of each pdf until the pdf has as many as it should.

    Args:
        gmms: the model.
        targets: (P,) Gaussians of each pdf; a pdf that has as many already stays as it is.
        generator: for the directions, on the CPU.
        perturb: how far the halves' means move apart, standard deviations.

    Returns:
        The model with ``max(targets, sizes)`` Gaussians a pdf, the likelihoods almost the same.

    Source: Kaldi, src/gmm/diag-gmm.cc (DiagGmm::Split).
    """
    gauss, device = gmms.gauss, gmms.offsets.device
    sizes = gmms.sizes.clone()
    targets = targets.to(device).maximum(sizes)
    room = int(targets.max()) - gmms.present.shape[1]
    weights, means, inv_vars = (
        torch.cat([padded, padded.new_zeros(gmms.num_pdfs, room, *padded.shape[2:])], 1)
        for padded in map(gmms.pad, (gauss.weights, gauss.means, gauss.inv_vars))
    )
    while (growing := (sizes < targets).nonzero()[:, 0]).numel():
        heaviest, free = weights[growing].argmax(1), sizes[growing]
        weights[growing, heaviest] /= 2
        noise = torch.randn(len(growing), gauss.dim, generator=generator, dtype=torch.float64).to(device)
        shift = perturb * noise * inv_vars[growing, heaviest].rsqrt()
        weights[growing, free] = weights[growing, heaviest]
        inv_vars[growing, free] = inv_vars[growing, heaviest]
        means[growing, free] = means[growing, heaviest] + shift
        means[growing, heaviest] -= shift
        sizes[growing] += 1
    filled = torch.arange(weights.shape[1], device=device) < sizes[:, None]
    offsets = torch.cat([gmms.offsets[:1], sizes.cumsum(0)])
    return GmmSet(DiagGmm(weights[filled], means[filled], inv_vars[filled]), offsets)
