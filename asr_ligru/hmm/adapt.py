"""Two passes over speakers nobody has heard before: decode, estimate fMLLR, decode again, refine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor

from asr_ligru.features.fmllr import Estimate, compose
from asr_ligru.features.fmllr_adapt import Limits, adapt
from asr_ligru.features.fmllr_basis import FmllrBasis
from asr_ligru.features.fmllr_stats import FmllrStats
from asr_ligru.hmm.alignment import Alignment
from asr_ligru.hmm.gmm_set import GmmSet
from asr_ligru.hmm.model import AcousticModel
from asr_ligru.hmm.speakers import Speakers, each_speaker

SILENCE_WEIGHT = 0.01  # Kaldi's, of frames in silence where the words are not known

Label = Callable[[AcousticModel, Sequence[Tensor]], list[Alignment | None]]


@dataclass(frozen=True, eq=False)
class Adapted:
    """What adaptation found out.

    Attributes:
        transforms: (S, D, D + 1) of the speakers.
        first: what was estimated in the first pass: kinds, reasons and improvement of each speaker.
        second: the refinement on top of it.
    """

    transforms: Tensor
    first: Estimate
    second: Estimate


def adapt_speakers(
    model: AcousticModel,
    partner: GmmSet,
    feats: Sequence[Tensor],
    speakers: Speakers,
    label: Label,
    *,
    limits: Limits | None = None,
    basis: FmllrBasis | None = None,
) -> Adapted:
    """Estimate the transforms of speakers by what is recognised, or by what they are known to have said.

    Args:
        model: trained on adapted features.
        partner: its mixtures for unadapted ones.
        feats: (T, D) unadapted features of each utterance.
        speakers: of the utterances.
        label: aligns utterances with a model's states: a decoder, or a forced alignment.
        limits: what kind of transform how much speech allows.
        basis: of the transforms for little speech.

    Source: Kaldi, egs/wsj/s5/steps/decode_fmllr.sh.
    """
    unadapted_model = AcousticModel(model.tree, model.transitions, partner)
    stats = FmllrStats.stack(
        each_speaker(
            model.gmms,
            model.tree,
            feats,
            label(unadapted_model, feats),
            speakers,
            silence_weight=SILENCE_WEIGHT,
            posteriors_from=partner,
        )
    )
    first = adapt(stats, basis, limits)
    adapted = speakers.transform(first.transforms, feats)
    stats = FmllrStats.stack(
        each_speaker(model.gmms, model.tree, adapted, label(model, adapted), speakers, silence_weight=SILENCE_WEIGHT)
    )
    second = adapt(stats, basis, limits)
    return Adapted(compose(second.transforms, first.transforms), first, second)
