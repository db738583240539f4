"""Alignments written as CTM and TextGrid."""

from __future__ import annotations

import re

import pytest

from asr_ligru.config import FeaturesConfig
from asr_ligru.hmm.alignment import Alignment
from asr_ligru.hmm.times import Timed, ctm, file_names, text_grid, timed
from asr_ligru.hmm.topology import Topology

TOPOLOGY = Topology.of(["a", "b"], num_states=2, num_silence_states=2)


@pytest.fixture
def utterance() -> Timed:
    """Return two words in ten frames: silence, a, b, silence, two frames each (four in the last)."""
    alignment = Alignment.equal([(1,), (2,)], TOPOLOGY, 8)
    assert alignment is not None
    return timed("utt 1", ["one", 'tw"o'], alignment, TOPOLOGY, FeaturesConfig(), duration_s=0.095)


def test_timed_boundaries_lie_between_the_middles_of_windows(utterance: Timed) -> None:
    # Windows of 25 ms every 10 ms: frame 2 is centred at 32.5 ms, frame 1 at 22.5 ms.
    assert [(w.label, w.start_s, w.end_s) for w in utterance.words] == [
        ("one", pytest.approx(0.0275), pytest.approx(0.0475)),
        ('tw"o', pytest.approx(0.0475), pytest.approx(0.0675)),
    ]
    assert [p.label for p in utterance.phones] == ["SIL", "a", "b", "SIL"]
    assert utterance.phones[0].start_s == 0.0
    assert utterance.phones[-1].end_s == 0.095


def test_ctm_lines_have_five_columns(utterance: Timed) -> None:
    assert ctm([utterance]).splitlines()[0] == "utt 1 1 0.028 0.020 one"
    assert len(ctm([utterance], "phones").splitlines()) == 4


def test_text_grid_intervals_cover_the_utterance_and_quotes_are_doubled(utterance: Timed) -> None:
    text = text_grid(utterance)
    words = text.split("item [2]")[0]
    assert re.findall(r'text = "(.*)"', words) == ["", "one", 'tw""o', ""]
    bounds = [float(x) for x in re.findall(r"xm(?:in|ax) = ([0-9.]+)", words.split("intervals [1]")[1])]
    assert bounds[1:-1:2] == bounds[2::2]
    assert (bounds[0], bounds[-1]) == (0.0, 0.095)
    assert 'File type = "ooTextFile"' in text


def test_file_names_are_safe_and_different() -> None:
    names = file_names(["a/b", "a_b", "../x", "é", "A_B", ""], ".TextGrid")
    assert list(names.values()) == [
        "a_b.TextGrid", "a_b-2.TextGrid", "_x.TextGrid", "_.TextGrid", "A_B-3.TextGrid", "_-2.TextGrid",
    ]  # fmt: skip
