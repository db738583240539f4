"""Which utterances a GMM-HMM is trained on, and which are aligned together."""

from __future__ import annotations

from pathlib import Path

from asr_ligru.hmm.material import drawn, whole_speakers
from asr_ligru.typing import Utterance

SPOKEN = [
    Utterance(f"{name}{i}", Path("x.wav"), 36.0, "", name if name != "-" else "") for i in range(4) for name in "ab-"
]


def test_drawn_hours_are_reached_whatever_the_order() -> None:
    chosen = drawn(SPOKEN, 0.03)
    assert len(chosen) == 3
    assert [u for u in SPOKEN if u in chosen] == chosen
    assert {u.utt_id for u in drawn(SPOKEN[::-1], 0.03)} == {u.utt_id for u in chosen}
    assert len(drawn(SPOKEN, 1e-6)) == 1
    assert drawn(SPOKEN, 0) == drawn(SPOKEN, 9) == SPOKEN


def test_drawn_more_hours_keep_what_fewer_have() -> None:
    assert {u.utt_id for u in drawn(SPOKEN, 0.02)} < {u.utt_id for u in drawn(SPOKEN, 0.06)}


def test_whole_speakers_are_never_parted() -> None:
    parts = whole_speakers(SPOKEN, 0.05)  # a and b say 0.04 h each, four unknown speakers 0.01 each
    assert [[u.utt_id for u in part] for part in parts] == [
        ["a0", "a1", "a2", "a3", "b0", "b1", "b2", "b3"],
        ["-0", "-1", "-2", "-3"],
    ]
    assert whole_speakers([], 1.0) == []
