"""Times of phones that are known: read, turned into frames, and kept to by training."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from asr_ligru.config import FeaturesConfig
from asr_ligru.errors import DataError
from asr_ligru.hmm.known_times import COST, costs_outside, phones_near, read_phone_times
from asr_ligru.hmm.times import Interval, ctm, timed
from asr_ligru.hmm.train import flat_start, train
from tests.hmm.test_train import SCHEDULE, TOPOLOGY, drawn

FRAMES = FeaturesConfig(frame_shift_ms=10, frame_length_ms=20)


def test_read_phone_times_ctm_and_json_lines_are_the_same(tmp_path: Path) -> None:
    (tmp_path / "x.ctm").write_text("u1 1 0.1 0.2 a\nu1 1 0.3 0.05 b\nu2 1 0.0 1.0 a\n", encoding="utf-8")
    phones = '{"phone": "a", "start_s": 0.1, "end_s": 0.3}, {"phone": "b", "start_s": 0.3, "end_s": 0.35}'
    lines = f'{{"id": "u1", "phones": [{phones}]}}\n{{"id": "u2", "phones": [{phones.split("}, ")[0]}}}]}}\n'
    (tmp_path / "x.jsonl").write_text(lines, encoding="utf-8")
    from_ctm, from_json = read_phone_times(tmp_path / "x.ctm"), read_phone_times(tmp_path / "x.jsonl")
    for ours, theirs in zip(from_ctm["u1"], from_json["u1"], strict=True):
        assert (ours.label, ours.start_s, ours.end_s) == (theirs.label, theirs.start_s, pytest.approx(theirs.end_s))
    assert from_ctm["u2"] == [Interval("a", 0.0, 1.0)]


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("x.ctm", "u1 1 0.0 0.1 a\nu1 1 0.1 a\n", "line 2"),
        ("x.ctm", "u1 1 0.0 nan a\n", "line 1"),
        ("x.ctm", "u1 1 -1 0.5 a\n", "line 1"),
        ("x.ctm", "", "no times"),
        ("x.jsonl", '{"id": "u1"}\n', "line 1"),
        ("x.jsonl", "[]\n", "line 1"),
    ],
)
def test_read_phone_times_malformed_line_is_named(tmp_path: Path, name: str, text: str, expected: str) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=expected):
        read_phone_times(tmp_path / name)
    with pytest.raises(DataError, match="cannot read"):
        read_phone_times(tmp_path / "absent.ctm")


def test_phones_near_middles_of_windows_decide() -> None:
    # Windows' middles: 10, 20, ... 70 ms.
    spoken = [Interval("a", 0.015, 0.040), Interval("?", 0.040, 0.060)]
    near = phones_near(spoken, ["SIL", "a", "b"], 7, FRAMES)
    assert near[:, 1].tolist() == [0, 1, 1, -1, -1, 0, 0]
    assert near[:, 0].tolist() == [0, 0, 1, 1, -1, -1, 0]
    assert near[:, 2].tolist() == [1, 1, -1, -1, 0, 0, 0]
    assert phones_near(spoken, ["SIL"], 0, FRAMES).shape == (0, 3)


def test_costs_outside_only_phones_that_are_not_near_cost() -> None:
    near = torch.tensor([[0, 0, 1], [2, 2, 2], [2, -1, 2]])
    assert (costs_outside(near, torch.tensor([0, 1])) / COST).tolist() == [[0, 0], [1, 1], [0, 0]]


def test_train_known_times_are_kept_to_where_the_sound_says_otherwise() -> None:
    feats, transcripts, labels = drawn(20)
    later = [torch.tensor(phones).roll(4) for phones in labels]
    near = [torch.stack([p.roll(1), p, p.roll(-1)], 1) for p in later]
    near[0] = None  # times of one utterance are not known: it follows its sound
    state = flat_start(feats, transcripts, TOPOLOGY)
    train("mono", state, transcripts, SCHEDULE, seed=0, watch=lambda progress: None, near=near)
    for alignment, phones in zip(state.alignments, near, strict=True):
        assert alignment is not None
        if phones is not None:
            inside = slice(5, -5)  # rolled labels are wrong at the edges
            assert (phones == alignment.phone_of_frame[:, None]).any(1)[inside].float().mean() > 0.98
    first = state.alignments[0]
    assert first is not None
    assert (first.phone_of_frame == torch.tensor(labels[0])).float().mean() > 0.9


def test_read_phone_times_reads_what_align_writes(tmp_path: Path) -> None:
    feats, transcripts, _ = drawn(1)
    state = flat_start(feats, transcripts, TOPOLOGY)
    (alignment,) = state.alignments
    assert alignment is not None
    written = timed("u1", ["x"] * 3, alignment, TOPOLOGY, FRAMES, 0.01 * len(alignment) + 0.02)
    (tmp_path / "phones.ctm").write_text(ctm([written], "phones"), encoding="utf-8")
    read = read_phone_times(tmp_path / "phones.ctm")["u1"]
    near = phones_near(read, TOPOLOGY.phones, len(alignment), FRAMES)
    assert near[:, 1].tolist() == alignment.phone_of_frame.tolist()
