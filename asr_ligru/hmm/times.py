"""Alignments as times in files other programs read: CTM for scoring tools, TextGrid for Praat."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from asr_ligru.config import FeaturesConfig
from asr_ligru.hmm.alignment import Alignment, Span
from asr_ligru.hmm.topology import Topology


@dataclass(frozen=True)
class Interval:
    """A word or phone and when it is spoken.

    Attributes:
        label: its name.
        start_s: seconds from the utterance's beginning.
        end_s: later than ``start_s``.
    """

    label: str
    start_s: float
    end_s: float


@dataclass(frozen=True)
class Timed:
    """An aligned utterance.

    Attributes:
        utt_id: its id.
        duration_s: how long it is.
        words: without silences.
        phones: silences among them.
    """

    utt_id: str
    duration_s: float
    words: tuple[Interval, ...]
    phones: tuple[Interval, ...]


def timed(
    utt_id: str,
    words: Sequence[str],
    alignment: Alignment,
    topology: Topology,
    features: FeaturesConfig,
    duration_s: float,
) -> Timed:
    """Return when the words and phones of an aligned utterance are spoken.

    A boundary lies in the middle between the middles of the frames' windows; the first frame begins with the utterance
    and the last ends with it.

    Args:
        utt_id: its id.
        words: that the alignment's word numbers point into.
        alignment: of its frames.
        topology: the phones.
        features: for the frames' shift and window.
        duration_s: of the utterance.
    """
    shift, window = features.frame_shift_ms / 1000, features.frame_length_ms / 1000

    def time(frame: int) -> float:
        if frame == 0:
            return 0.0
        return duration_s if frame >= len(alignment) else min(frame * shift + (window - shift) / 2, duration_s)

    def intervals(spans: Iterable[Span], names: Sequence[str]) -> tuple[Interval, ...]:
        return tuple(Interval(names[label], time(first), time(end)) for label, first, end in spans)

    phones = intervals(alignment.phone_spans(), topology.phones)
    return Timed(utt_id, duration_s, intervals(alignment.word_spans(), words), phones)


def ctm(utterances: Iterable[Timed], tier: str = "words") -> str:
    """Return CTM lines: utterance, channel 1, beginning and length in seconds, label.

    Args:
        utterances: aligned.
        tier: "words" or "phones".
    """
    return "".join(
        f"{u.utt_id} 1 {interval.start_s:.3f} {interval.end_s - interval.start_s:.3f} {interval.label}\n"
        for u in utterances
        for interval in getattr(u, tier)
    )


def text_grid(utterance: Timed) -> str:
    """Return a Praat TextGrid with a tier of words and one of phones, the gaps between them empty."""
    tiers = [("words", utterance.words), ("phones", utterance.phones)]
    lines = ['File type = "ooTextFile"', 'Object class = "TextGrid"', "", "xmin = 0", f"xmax = {utterance.duration_s}"]
    lines += ["tiers? <exists>", f"size = {len(tiers)}", "item []:"]
    for number, (name, intervals) in enumerate(tiers, start=1):
        filled = list(_filled(intervals, utterance.duration_s))
        lines += [f"    item [{number}]:", '        class = "IntervalTier"', f'        name = "{name}"']
        lines += ["        xmin = 0", f"        xmax = {utterance.duration_s}"]
        lines.append(f"        intervals: size = {len(filled)}")
        for place, interval in enumerate(filled, start=1):
            label = interval.label.replace('"', '""')
            lines += [f"        intervals [{place}]:", f"            xmin = {interval.start_s:.6f}"]
            lines += [f"            xmax = {interval.end_s:.6f}", f'            text = "{label}"']
    return "\n".join(lines) + "\n"


def _filled(intervals: Sequence[Interval], duration_s: float) -> Iterable[Interval]:
    """Yield the intervals with empty ones between them."""
    reached = 0.0
    for interval in intervals:
        if interval.start_s > reached:
            yield Interval("", reached, interval.start_s)
        yield interval
        reached = interval.end_s
    if reached < duration_s:
        yield Interval("", reached, duration_s)


def file_names(utt_ids: Sequence[str], suffix: str) -> dict[str, str]:
    """Return a file name for each utterance, all different: its id, all but letters, digits and ``._-`` replaced.

    Args:
        utt_ids: any strings.
        suffix: such as ".TextGrid".
    """
    names: dict[str, str] = {}
    taken: set[str] = set()
    for utt_id in utt_ids:
        stem = re.sub(r"[^A-Za-z0-9._-]", "_", utt_id).lstrip(".")[:100] or "_"
        name, number = f"{stem}{suffix}", 1
        while name.lower() in taken:
            number += 1
            name = f"{stem}-{number}{suffix}"
        taken.add(name.lower())
        names[utt_id] = name
    return names
