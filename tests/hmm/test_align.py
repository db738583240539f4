"""Forced alignment against Kaldi's."""

from __future__ import annotations

from typing import Any

import torch

from asr_ligru.hmm.align import Aligner
from asr_ligru.hmm.alignment import Alignment
from asr_ligru.hmm.graph import NO_WORD
from asr_ligru.hmm.model import AcousticModel


def align_all(data: dict[str, Any], model: AcousticModel) -> dict[str, Alignment | None]:
    names = sorted({key.split("/")[1] for key in data if key.startswith("utt/")})
    phones = list(model.topology.phones)
    spoken = [[[tuple(phones.index(str(p)) for p in data[f"utt/{n}/phones_without_silence"])]] for n in names]
    feats = [torch.from_numpy(data[f"utt/{n}/feats"]) for n in names]
    found = Aligner(spoken, model.tree, [len(f) for f in feats]).align(model, feats)
    return dict(zip(names, found, strict=True))


def test_align_kaldi_model_gives_kaldi_paths_and_scores(
    kaldi_alignments: dict[str, Any], kaldi_model: AcousticModel
) -> None:
    found = align_all(kaldi_alignments, kaldi_model)
    assert len(found) == 10
    for name, alignment in found.items():
        assert alignment is not None
        assert alignment.pdfs(kaldi_model.tree).tolist() == kaldi_alignments[f"utt/{name}/pdfs"].tolist()
        assert abs(alignment.score - float(kaldi_alignments[f"utt/{name}/score"])) < 1e-3  # Kaldi's is in float32


def test_align_spans_cover_every_frame_and_hold_the_phones_in_order(
    kaldi_alignments: dict[str, Any], kaldi_model: AcousticModel
) -> None:
    for name, alignment in align_all(kaldi_alignments, kaldi_model).items():
        assert alignment is not None
        spans = alignment.phone_spans()
        assert [span.first for span in spans] == [0, *(span.end for span in spans[:-1])]
        assert spans[-1].end == len(kaldi_alignments[f"utt/{name}/pdfs"])
        spoken = [span for span, word in zip(spans, alignment.words.tolist(), strict=True) if word != NO_WORD]
        expected = kaldi_alignments[f"utt/{name}/phones_without_silence"].tolist()
        assert [kaldi_model.topology.phones[span.label] for span in spoken] == expected
        assert [(w.label, w.first, w.end) for w in alignment.word_spans()] == [(0, spoken[0].first, spoken[-1].end)]


def test_align_too_few_frames_gives_none_and_others_stay(
    kaldi_alignments: dict[str, Any], kaldi_model: AcousticModel
) -> None:
    feats = torch.from_numpy(kaldi_alignments["utt/7_theo_7/feats"])
    phones = list(kaldi_model.topology.phones)
    word = tuple(phones.index(str(p)) for p in kaldi_alignments["utt/7_theo_7/phones_without_silence"])
    parts = [feats[: 3 * len(word) - 1], feats]
    short, whole = Aligner([[[word]], [[word]]], kaldi_model.tree, [len(f) for f in parts]).align(kaldi_model, parts)
    assert short is None
    assert whole is not None
    assert len(whole) == len(feats)


def test_align_other_pronunciation_is_taken_when_it_fits(
    kaldi_alignments: dict[str, Any], kaldi_model: AcousticModel
) -> None:
    phones = list(kaldi_model.topology.phones)
    right, wrong = (
        tuple(phones.index(str(p)) for p in kaldi_alignments[f"utt/{name}/phones_without_silence"])
        for name in ("7_theo_7", "2_theo_7")
    )
    feats = torch.from_numpy(kaldi_alignments["utt/7_theo_7/feats"])
    (found,) = Aligner([[[wrong, right]]], kaldi_model.tree, [len(feats)]).align(kaldi_model, [feats])
    assert found is not None
    assert tuple(found.phones[found.words != NO_WORD].tolist()) == right
