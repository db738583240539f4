"""The mixtures of all pdfs of a GMM-HMM in one flat array."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

from asr_ligru.errors import DataError
from asr_ligru.hmm.diag_gmm import DiagGmm, GmmStats, extend

_CHUNK_VALUES = 1 << 22  # likelihoods of Gaussians computed at a time, 32 MiB
_BLOCK_FRAMES = 32  # frames of one pdf that are multiplied with its Gaussians together


class AlignedPosteriors(NamedTuple):
    """Posteriors of the Gaussians of each frame's own pdf.

    Attributes:
        post: (T, K) float64, K the largest number of Gaussians of a pdf; 0 beyond those of the frame's pdf.
        gauss: (T, K) int64 index into the flat arrays; 0 beyond.
        log_likes: (T,) of the frame given its pdf.
    """

    post: Tensor
    gauss: Tensor
    log_likes: Tensor


@dataclass(frozen=True, eq=False)
class GmmSet:
    """P mixtures of diagonal Gaussians, one after another.

    Attributes:
        gauss: all M Gaussians; the weights of each pdf sum to 1.
        offsets: (P + 1,) int64; pdf p has the Gaussians ``offsets[p]`` to ``offsets[p + 1]`` (exclusive), at least one.
    """

    gauss: DiagGmm
    offsets: Tensor

    @classmethod
    def of(cls, mixtures: list[DiagGmm]) -> GmmSet:
        """Join mixtures of the same dimension, one for each pdf."""
        sizes = torch.tensor([0, *(gmm.num_gauss for gmm in mixtures)], device=mixtures[0].means.device)
        gauss = DiagGmm(
            torch.cat([gmm.weights for gmm in mixtures]),
            torch.cat([gmm.means for gmm in mixtures]),
            torch.cat([gmm.inv_vars for gmm in mixtures]),
        )
        return cls(gauss, sizes.cumsum(0))

    def __getitem__(self, pdf: int) -> DiagGmm:
        """Return the mixture of one pdf."""
        part = slice(int(self.offsets[pdf]), int(self.offsets[pdf + 1]))
        return DiagGmm(self.gauss.weights[part], self.gauss.means[part], self.gauss.inv_vars[part])

    @property
    def num_pdfs(self) -> int:
        """P, the number of mixtures."""
        return len(self.offsets) - 1

    @cached_property
    def sizes(self) -> Tensor:
        """(P,) int64, how many Gaussians each pdf has."""
        return self.offsets.diff()

    @cached_property
    def pdf_of_gauss(self) -> Tensor:
        """(M,) int64, which pdf each Gaussian belongs to."""
        return torch.repeat_interleave(torch.arange(self.num_pdfs, device=self.offsets.device), self.sizes)

    @cached_property
    def present(self) -> Tensor:
        """(P, K) bool, which places of an array padded to K, the most Gaussians of a pdf, hold one."""
        return torch.arange(int(self.sizes.max()), device=self.offsets.device) < self.sizes[:, None]

    @cached_property
    def gauss_of_pdf(self) -> Tensor:
        """(P, K) int64, the Gaussians of each pdf; 0 in the places that hold none."""
        return self.pad(torch.arange(self.gauss.num_gauss, device=self.offsets.device))

    def pad(self, flat: Tensor) -> Tensor:
        """Spread values (M, ...) of all Gaussians to (P, K, ...), with 0 in the places that hold none."""
        padded = flat.new_zeros(*self.present.shape, *flat.shape[1:])
        padded[self.present] = flat
        return padded

    def sum_by_pdf(self, flat: Tensor) -> Tensor:
        """Sum values (M, ...) of all Gaussians within each pdf, (P, ...)."""
        return flat.new_zeros(self.num_pdfs, *flat.shape[1:]).index_add_(0, self.pdf_of_gauss, flat)

    def log_likes(self, feats: Tensor) -> Tensor:
        """Return the log-likelihood of each frame under each pdf.

        Args:
            feats: (T, D).

        Returns:
            (T, P) float64, natural log.

        Raises:
            DataError: the features have another dimension or are not finite.
        """
        frames = max(1, _CHUNK_VALUES // self.present.numel())
        return torch.cat([self._log_likes(chunk) for chunk in torch.split(feats, frames)])

    def _log_likes(self, feats: Tensor) -> Tensor:
        components = self.gauss.component_log_likes(feats).T  # (M, T)
        padded = components[self.gauss_of_pdf].masked_fill_(~self.present[..., None], -torch.inf)  # (P, K, T)
        return padded.logsumexp(1).T

    def posteriors_within(self, feats: Tensor, pdf_ids: Tensor) -> AlignedPosteriors:
        """Return the posteriors of the Gaussians of the pdf that each frame is aligned with.

        Args:
            feats: (T, D).
            pdf_ids: (T,) int64, from 0 to P - 1.

        Raises:
            DataError: the features have another dimension or are not finite, or there is no such pdf.
        """
        blocks = self._blocks(feats, pdf_ids)
        log_likes, valid = self._block_log_likes(feats, blocks), blocks.valid
        post = log_likes.new_zeros(len(feats), log_likes.shape[2])
        post[blocks.frames[valid]] = log_likes.softmax(2)[valid]
        totals = post.new_zeros(len(feats))
        totals[blocks.frames[valid]] = log_likes.logsumexp(2)[valid]
        return AlignedPosteriors(post, self.gauss_of_pdf[pdf_ids], totals)

    def accumulate(
        self, feats: Tensor, pdf_ids: Tensor, frame_weights: Tensor | None = None, sums_of: Tensor | None = None
    ) -> tuple[GmmStats, Tensor]:
        """Return the statistics for an update from aligned frames, any number of utterances at once.

        Args:
            feats: (T, D).
            pdf_ids: (T,) int64, from 0 to P - 1.
            frame_weights: (T,), >= 0; 1 when omitted.
            sums_of: (T, D) other features of the same frames that are summed up, while the posteriors come from
                ``feats``: how the partner of an adapted model for unadapted features is made.

        Returns:
            The statistics, and the log-likelihoods (T,) of the frames given their pdfs.

        Raises:
            DataError: the features have another dimension or are not finite, or there is no such pdf.
        """
        blocks = self._blocks(feats, pdf_ids)
        log_likes, valid = self._block_log_likes(feats, blocks), blocks.valid
        totals = log_likes.new_zeros(len(feats))
        totals[blocks.frames[valid]] = log_likes.logsumexp(2)[valid]
        weights = valid.double() if frame_weights is None else valid * frame_weights.double()[blocks.frames]
        summed = feats if sums_of is None else sums_of
        self.gauss.check(summed)
        post = log_likes.softmax(2) * weights[..., None]
        sums = post.mT @ extend(summed)[blocks.frames]  # (N, K, 1 + 2 D)
        present = self.present[blocks.pdfs]
        table = torch.zeros_like(self.gauss.coefficients)
        table.index_add_(0, self.gauss_of_pdf[blocks.pdfs][present], sums[present])
        return GmmStats(table), totals

    def _block_log_likes(self, feats: Tensor, blocks: _Blocks) -> Tensor:
        """Return (N, frames of a block, K) log-likelihoods, -inf where the pdf has no such Gaussian."""
        self.gauss.check(feats)
        coefficients = self._padded_coefficients[blocks.pdfs]  # (N, K, 1 + 2 D)
        log_likes = extend(feats)[blocks.frames] @ coefficients.mT
        return log_likes.masked_fill_(~self.present[blocks.pdfs][:, None], -torch.inf)

    @cached_property
    def _padded_coefficients(self) -> Tensor:
        return self.pad(self.gauss.coefficients)

    def _blocks(self, feats: Tensor, pdf_ids: Tensor) -> _Blocks:
        if len(pdf_ids) != len(feats):
            raise DataError(f"an alignment of {len(pdf_ids)} frames for features of {len(feats)}")
        if len(pdf_ids) and not bool(((pdf_ids >= 0) & (pdf_ids < self.num_pdfs)).all()):
            got = f"{int(pdf_ids.min())} to {int(pdf_ids.max())}"
            raise DataError(f"pdf ids of an alignment: expected 0 to {self.num_pdfs - 1}, got {got}")
        return _Blocks.of(pdf_ids, self.num_pdfs)


class _Blocks(NamedTuple):
    """Frames sorted by pdf and cut into blocks of one pdf each, so that one batched product serves all of them.

    Attributes:
        frames: (N, B) int64 frame indices; 0 where a block is not full.
        valid: (N, B) bool, where a block holds a frame.
        pdfs: (N,) int64, the pdf of each block.
    """

    frames: Tensor
    valid: Tensor
    pdfs: Tensor

    @classmethod
    def of(cls, pdf_ids: Tensor, num_pdfs: int) -> _Blocks:
        order = pdf_ids.argsort(stable=True)
        ids = pdf_ids[order]
        counts = pdf_ids.bincount(minlength=num_pdfs)
        num_blocks = -(-counts // _BLOCK_FRAMES)
        first_frame, first_block = counts.cumsum(0) - counts, num_blocks.cumsum(0) - num_blocks
        rank = torch.arange(len(ids), device=ids.device) - first_frame[ids]  # of a frame among those of its pdf
        place = first_block[ids] * _BLOCK_FRAMES + rank
        frames = ids.new_zeros(int(num_blocks.sum()) * _BLOCK_FRAMES)
        frames[place] = order
        valid = torch.zeros_like(frames, dtype=torch.bool)
        valid[place] = True
        pdfs = torch.repeat_interleave(torch.arange(num_pdfs, device=ids.device), num_blocks)
        return cls(frames.view(-1, _BLOCK_FRAMES), valid.view(-1, _BLOCK_FRAMES), pdfs)
