"""When each word and phone is said, from the events of the synthesiser."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from .espeak import SAMPLE_RATE_HZ, Event

_STRESS_AND_VARIANT = re.compile(r"^[',%=]+|(?<=.)[2#-]$")


@dataclass(frozen=True, slots=True)
class Span:
    """A word or a phone and when it is said.

    Attributes:
        label: the word, or the phone without stress.
        start_s: where it begins, seconds from the start of the utterance.
        end_s: where it ends.
    """

    label: str
    start_s: float
    end_s: float

    def moved(self, by_s: float) -> Span:
        """Return the span ``by_s`` seconds later."""
        return Span(self.label, self.start_s + by_s, self.end_s + by_s)


def plain_phone(mnemonic: str) -> str:
    """Return a phone without stress and allophone marks; empty for a pause or a mere modifier.

    Args:
        mnemonic: as espeak-ng writes it: ``'aI``, ``t#``, ``@2``, ``_:``, ``;``.
    """
    phone = _STRESS_AND_VARIANT.sub("", mnemonic)
    return "" if not phone or phone[0] in "_;" else phone


def spans(text: str, events: Sequence[Event]) -> tuple[list[Span], list[Span]]:
    """Return the words and the phones of a sentence with their times.

    espeak-ng reports a sonorant before a vowel of the next word at the instant of the word boundary although it is
    still heard; there the word begins with its own first phone.

    Args:
        text: words separated by single spaces.
        events: of the sentence, in order.

    Raises:
        ValueError: espeak-ng said some words in one piece, so that they have no times of their own.
    """
    starts = [index for index, event in enumerate(events) if event.kind == "word"]
    chars = [match.start() for match in re.finditer(r"\S+", text)]
    if [events[index].char for index in starts] != chars:
        raise ValueError(f"espeak-ng gave {len(starts)} word times for {text!r}")
    begins = [_word_begin(events, index) for index in starts]
    words: list[Span] = []
    phones: list[Span] = []
    for word, begin, first, last in zip(text.split(), begins, starts, [*starts[1:], len(events)], strict=True):
        inside = [event for event in events[first:last] if event.kind == "phone"]
        heard = [event for event in inside if plain_phone(event.phone)]
        pauses = [event.sample for event in inside if event.phone.startswith("_") and event.sample > heard[-1].sample]
        limit = begins[starts.index(last)] if last < len(events) else events[-1].sample
        end = min([*pauses, limit])
        words.append(_span(word, begin, end))
        borders = [begin, *(event.sample for event in heard[1:]), end]
        phones += [_span(plain_phone(event.phone), *borders[i : i + 2]) for i, event in enumerate(heard)]
    return words, phones


def _word_begin(events: Sequence[Event], index: int) -> int:
    """Return the sample at which the word of ``events[index]`` begins."""
    before = events[index - 1] if index else None
    if before is not None and before.kind == "phone" and before.sample == events[index].sample:
        return next(event.sample for event in events[index:] if event.kind == "phone")
    return events[index].sample


def _span(label: str, begin: int, end: int) -> Span:
    return Span(label, begin / SAMPLE_RATE_HZ, end / SAMPLE_RATE_HZ)
