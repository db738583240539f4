"""Where the errors are."""

from __future__ import annotations

from asr_ligru.score.breakdown import by_group, confusion_matrix, confusions, length_group, snr_group, worst
from asr_ligru.score.wer import Counts, score

SCORES = score(
    {"a": "one two three", "b": "one two", "c": "four", "d": ""},
    {"a": "one too three", "b": "one too", "c": "four five", "d": "oh"},
    speakers={"a": "s", "b": "t", "c": "s", "d": "t"},
)


def test_confusions_are_counted_most_frequent_first() -> None:
    assert confusions(SCORES) == [(("two", "too"), 2), ((None, "five"), 1), ((None, "oh"), 1)]
    assert confusions(SCORES, 1) == [(("two", "too"), 2)]


def test_worst_shows_only_errors_and_shorter_references_first() -> None:
    scores = score({"a": "x y", "b": "x", "c": "x"}, {"a": "p", "b": "q", "c": "x"})
    assert [u.utt_id for u in worst(scores, 5)] == ["a", "b"]
    assert [u.utt_id for u in worst(SCORES, 9)] == ["d", "c", "b", "a"]


def test_by_group_sums_to_the_whole() -> None:
    groups = by_group(SCORES, lambda u: u.speaker)
    assert groups == {"s": Counts(ref=4, sub=1, ins=1), "t": Counts(ref=2, sub=1, ins=1)}
    lengths = by_group(SCORES, length_group)
    assert {name: counts.ref for name, counts in lengths.items()} == {"3-5": 3, "1-2": 3, "0": 0}
    assert sum(lengths.values(), Counts()) == SCORES.words


def test_snr_group_is_five_decibels_wide() -> None:
    levels = {"a": -0.1, "b": 0.0, "c": 4.99, "d": 20}
    utterances = score(dict.fromkeys([*levels, "e"], "x"), dict.fromkeys([*levels, "e"], "x"), snr_db=levels).utterances
    assert [snr_group(u) for u in utterances] == ["-5 to 0 dB", "0 to 5 dB", "0 to 5 dB", "20 to 25 dB", "unknown"]


def test_confusion_matrix_holds_substitutions_and_what_was_right() -> None:
    scores = score({"a": "x y z x", "b": "x p"}, {"a": "y y z x", "b": "q p r"})
    words, times = confusion_matrix(scores, 3)
    assert words == ["x", "q", "y"]
    assert times == [[1, 1, 1], [0, 0, 0], [0, 0, 1]]
    assert confusion_matrix(score({"a": "x"}, {"a": "x"}), 3) == ([], [])
