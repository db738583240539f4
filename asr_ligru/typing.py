"""The few records that more than one part of the toolkit hands on."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Utterance:
    """One scored unit: a stretch of one audio file and what was said in it.

    Attributes:
        utt_id: opaque, unique in a manifest; never used as a file name.
        audio_path: the file that holds it.
        duration_s: how long it is, seconds, > 0.
        text: the words, separated by single spaces; may be empty.
        speaker: opaque speaker id; empty when unknown.
        offset_s: where it begins in the file, seconds, >= 0.
        snr_db: power of the speech over that of the noise, decibels; None when unknown.
        part: first byte and number of bytes of the file that are the audio, where it is one member of an archive.
    """

    utt_id: str
    audio_path: Path
    duration_s: float
    text: str
    speaker: str = ""
    offset_s: float = 0.0
    snr_db: float | None = None
    part: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class BadUtterance:
    """An utterance that is left out, and why; a line of ``bad_utterances.jsonl``.

    Attributes:
        utt_id: its id.
        stage: where it was found out ("prepare", "audio", "text", "length", "align"); "sound" for a noise or impulse
            response; "ctc" where it is left out of the loss of a hybrid model's CTC head alone.
        reason: one line.
        path: its audio file.
    """

    utt_id: str
    stage: str
    reason: str
    path: str

    def to_json(self) -> dict[str, str]:
        """Return the record with the keys it has in the file."""
        return {"id": self.utt_id, "stage": self.stage, "reason": self.reason, "path": self.path}


def _none() -> Tensor:
    return torch.zeros(0, dtype=torch.int64)


@dataclass(frozen=True, slots=True)
class Batch:
    """Utterances padded to a common length.

    Attributes:
        utt_ids: B ids.
        feats: (B, T, F) float32; zeros after each utterance's end.
        feat_lens: (B,) int64, frames, 1 <= length <= T.
        tokens: (B, U) int64 target ids, never 0 (the blank); zeros after the end. Of a hybrid model the tied state of
            each frame, U = T; none at all where an utterance could not be aligned.
        token_lens: (B,) int64.
        epoch: the epoch it was drawn for; seeds everything random about it.
        ctc_tokens: (B, U) int64 target ids of a hybrid model's CTC head, as ``tokens`` of a CTC model.
        ctc_token_lens: (B,) int64; 0 where that head learns nothing from an utterance.
    """

    utt_ids: tuple[str, ...]
    feats: Tensor
    feat_lens: Tensor
    tokens: Tensor
    token_lens: Tensor
    epoch: int = 0
    ctc_tokens: Tensor = field(default_factory=_none)
    ctc_token_lens: Tensor = field(default_factory=_none)


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """What a decoder made of one utterance.

    Attributes:
        utt_id: the id of the utterance.
        text: the words; empty when nothing was recognised or decoding failed.
        score: natural-log score of the best path, summed over frames.
        status: "ok", or why there is no text, in words.
    """

    utt_id: str
    text: str
    score: float = 0.0
    status: str = "ok"
