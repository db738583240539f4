"""Which utterances are worked on together."""

from __future__ import annotations

from pathlib import Path

from asr_ligru.data.parts import whole_speakers
from asr_ligru.typing import Utterance

SPOKEN = [
    Utterance(f"{name}{i}", Path("x.wav"), 36.0, "", name if name != "-" else "") for i in range(4) for name in "ab-"
]


def test_whole_speakers_are_never_parted() -> None:
    parts = whole_speakers(SPOKEN, 0.05)  # a and b say 0.04 h each, four unknown speakers 0.01 each
    assert [[u.utt_id for u in part] for part in parts] == [
        ["a0", "a1", "a2", "a3", "b0", "b1", "b2", "b3"],
        ["-0", "-1", "-2", "-3"],
    ]
    assert whole_speakers([], 1.0) == []
