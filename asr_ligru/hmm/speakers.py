"""fMLLR statistics of speakers from aligned utterances, and features moved by the speakers' transforms."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from asr_ligru.features.fmllr import apply
from asr_ligru.features.fmllr_stats import FmllrStats
from asr_ligru.hmm.alignment import Alignment
from asr_ligru.hmm.gmm_set import GmmSet
from asr_ligru.hmm.graph import SIL
from asr_ligru.hmm.tree import ContextTree


@dataclass(frozen=True)
class Speakers:
    """Who says what.

    Attributes:
        names: of S speakers.
        of_utterance: the number of each utterance's speaker.
    """

    names: tuple[str, ...]
    of_utterance: tuple[int, ...]

    @classmethod
    def of(cls, utt_ids: Sequence[str], speakers: Sequence[str]) -> Speakers:
        """Number the speakers as they come; an utterance without one is a speaker of its own."""
        labels = [speaker or utt_id for utt_id, speaker in zip(utt_ids, speakers, strict=True)]
        numbers = {name: i for i, name in enumerate(dict.fromkeys(labels))}
        return cls(tuple(numbers), tuple(numbers[label] for label in labels))

    def utterances(self) -> list[list[int]]:
        """Return the utterances of each speaker."""
        found: list[list[int]] = [[] for _ in self.names]
        for utterance, speaker in enumerate(self.of_utterance):
            found[speaker].append(utterance)
        return found

    def stretches(self, size: int) -> Speakers:
        """Return each ``size`` utterances of a speaker as a speaker of their own."""
        of_utterance = [0] * len(self.of_utterance)
        names = []
        for name, utterances in zip(self.names, self.utterances(), strict=True):
            for place, utterance in enumerate(utterances):
                if place % size == 0:
                    names.append(f"{name}/{place // size}")
                of_utterance[utterance] = len(names) - 1
        return Speakers(tuple(names), tuple(of_utterance))

    def transform(self, transforms: Tensor, feats: Sequence[Tensor]) -> list[Tensor]:
        """Return the features (T, D) of each utterance, moved by the transform of its speaker.

        Args:
            transforms: (S, D, D + 1).
            feats: (T, D) of each utterance.
        """
        return [apply(transforms[speaker], frames) for speaker, frames in zip(self.of_utterance, feats, strict=True)]


def each_speaker(
    gmms: GmmSet,
    tree: ContextTree,
    feats: Sequence[Tensor],
    alignments: Sequence[Alignment | None],
    speakers: Speakers,
    *,
    silence_weight: float,
    posteriors_from: GmmSet | None = None,
) -> Iterator[FmllrStats]:
    """Yield the statistics of one speaker after another, in their order; at 40 features they are 0.3 MB each.

    Args:
        gmms: the mixtures to adapt to.
        tree: which of them each frame is aligned with.
        feats: (T, D) of each utterance.
        alignments: of each; one without is passed over.
        speakers: of the utterances.
        silence_weight: of a frame in silence, >= 0.
        posteriors_from: mixtures that the Gaussians' posteriors are taken from, Gaussian by Gaussian partners of
            ``gmms``; these themselves when omitted.
    """
    source = posteriors_from or gmms
    for utterances in speakers.utterances():
        stats = FmllrStats.zeros(gmms.gauss.dim)
        used = [(feats[u], a) for u in utterances if (a := alignments[u]) is not None]
        if used:
            frames = torch.cat([part for part, _ in used])
            post = source.posteriors_within(frames, torch.cat([a.pdfs(tree) for _, a in used]))
            weights = speech_weights([a for _, a in used], silence_weight)
            gauss = gmms.gauss
            stats = stats.accumulate(
                frames, post.post, gauss.means, gauss.inv_vars, gauss=post.gauss, frame_weights=weights
            )
        yield stats


def speech_weights(alignments: Sequence[Alignment], silence_weight: float) -> Tensor:
    """Return the weight of each frame of aligned utterances one after another: 1 in speech."""
    none = torch.zeros(0, dtype=torch.int64)
    silent = torch.cat([none, *(a.phone_of_frame for a in alignments)]) == SIL
    return torch.where(silent, silence_weight, 1.0).double()
