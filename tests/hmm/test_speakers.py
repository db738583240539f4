"""Who speaks, and the statistics of each, on Kaldi's digits."""

from __future__ import annotations

from typing import Any

import torch

from asr_ligru.features.fmllr_stats import FmllrStats
from asr_ligru.hmm.align import Aligner
from asr_ligru.hmm.alignment import Alignment
from asr_ligru.hmm.graph import SIL
from asr_ligru.hmm.model import AcousticModel
from asr_ligru.hmm.speakers import Speakers, each_speaker
from tests.tolerance import assert_close


def aligned(data: dict[str, Any], model: AcousticModel) -> tuple[list[torch.Tensor], list[Alignment | None]]:
    phones = list(model.topology.phones)
    feats = [torch.from_numpy(data[f"utt/{n}_theo_7/feats"]) for n in range(6)]
    words = [data[f"utt/{n}_theo_7/phones_without_silence"].tolist() for n in range(6)]
    transcripts = [[[tuple(phones.index(str(p)) for p in word)]] for word in words]
    return feats, Aligner(transcripts, model.tree, [len(f) for f in feats]).align(model, feats)


def test_speakers_utterance_without_speaker_is_one_of_its_own() -> None:
    speakers = Speakers.of(["u1", "u2", "u3", "u4"], ["b", "", "b", "a"])
    assert speakers.names == ("b", "u2", "a")
    assert speakers.of_utterance == (0, 1, 0, 2)
    assert speakers.utterances() == [[0, 2], [1], [3]]


def test_speakers_stretches_part_the_utterances_of_each_speaker() -> None:
    stretches = Speakers.of(list("123456"), list("aabaaa")).stretches(2)
    assert stretches.utterances() == [[0, 1], [3, 4], [5], [2]]


def test_each_speaker_equals_all_gaussians_one_utterance_at_a_time(
    kaldi_alignments: dict[str, Any], kaldi_model: AcousticModel
) -> None:
    feats, alignments = aligned(kaldi_alignments, kaldi_model)
    alignments[3] = None
    speakers = Speakers.of([str(n) for n in range(6)], list("ababab"))
    got = FmllrStats.stack(
        each_speaker(kaldi_model.gmms, kaldi_model.tree, feats, alignments, speakers, silence_weight=0.25)
    )
    gmms = kaldi_model.gmms
    expected = [FmllrStats.zeros(gmms.gauss.dim) for _ in speakers.names]
    for speaker, frames, alignment in zip(speakers.of_utterance, feats, alignments, strict=True):
        if alignment is not None:
            own = gmms.pdf_of_gauss == alignment.pdfs(kaldi_model.tree)[:, None]
            post = gmms.gauss.component_log_likes(frames).masked_fill(~own, -torch.inf).softmax(1)
            weights = torch.where(alignment.phone_of_frame == SIL, 0.25, 1.0)
            expected[speaker] = expected[speaker].accumulate(
                frames, post, gmms.gauss.means, gmms.gauss.inv_vars, frame_weights=weights
            )
    assert_close(got.table, torch.stack([stats.table for stats in expected]))
