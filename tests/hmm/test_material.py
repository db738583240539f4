"""Which utterances a GMM-HMM is trained on, and which are aligned together."""

from __future__ import annotations

from pathlib import Path

from asr_ligru.hmm.material import drawn
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
