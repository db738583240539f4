"""Sentences of spoken commands: a small closed vocabulary with words that are easily taken for each other."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from numpy.random import Generator

SLOTS: dict[str, tuple[str, ...]] = {
    "digit": ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"),
    "hour": ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"),
    "minute": ("ten", "thirteen", "fourteen", "fifteen", "twenty", "thirty", "forty", "fifty"),
    "number": ("eleven", "twelve", "thirteen", "thirty", "fourteen", "forty", "fifteen", "fifty", "twenty"),
    "unit": ("seconds", "minutes", "hours", "days"),
    "when": ("now", "today", "tonight", "tomorrow", "later", "at noon", "at midnight"),
    "day_part": ("morning", "evening"),
    "toward": ("to", "past"),
    "name": ("anna", "maria", "john", "joan", "tim", "kim", "ben", "dan", "peter", "sarah"),
    "room": ("kitchen", "bedroom", "hall", "cellar", "garage", "office", "garden", "attic"),
    "device": ("light", "lamp", "fan", "heater", "radio", "oven", "camera", "clock"),
    "place": ("door", "window", "wall", "floor", "gate", "van", "box"),
    "object": ("pin", "pen", "ship", "sheep", "chip", "cup", "cap", "bag", "coat", "goat", "book", "boat"),
    "colour": ("red", "green", "blue", "white", "black", "pink", "yellow"),
    "way": ("left", "right", "up", "down"),
    "power": ("turn", "switch"),
    "on_off": ("on", "off"),
    "handle": ("open", "shut", "lock", "check", "fix", "paint"),
    "fetch": ("bring", "give", "show", "send"),
    "run": ("start", "stop"),
    "clock": ("alarm", "timer"),
    "reach": ("call", "wake", "find"),
}

TEMPLATES: tuple[str, ...] = (
    "{digit} {digit} {digit}",
    "dial {digit} {digit} {digit} {digit}",
    "{digit} {digit} {digit} {digit} {digit} {digit}",
    "{power} {device} {on_off}",
    "{power} the {room} {device} {on_off}",
    "{power} {on_off} {room} {device} {number}",
    "{run} the {device} {when}",
    "{run} {room} {device} and {room} {device}",
    "{handle} and {handle} the {place}",
    "{handle} the {room} {place}",
    "{handle} {colour} {place} and {room} {place} {when}",
    "{fetch} {name} {object} and {object}",
    "{fetch} {name} the {colour} {object}",
    "{fetch} {name} {colour} {object} {colour} {object}",
    "{fetch} {name} {number} {unit} {when}",
    "move {colour} {object} {way} {way}",
    "{object} {object} and {object} {way}",
    "{reach} {name}",
    "{reach} {name} and {name} {when}",
    "{reach} {name} at {hour} {minute}",
    "{reach} {name} half past {hour} this {day_part}",
    "quarter {toward} {hour} {when}",
    "quarter {toward} {hour} this {day_part}",
    "{clock} {number} {unit}",
    "set {clock} to {number} {unit}",
    "set {room} {clock} to {hour} {minute} {when}",
    "find {object} {object} and {colour} {place}",
)

_SLOT = re.compile(r"{(\w+)}")
_TRIES = 12  # candidates of which the one with the rarest words is taken


def vocabulary() -> tuple[str, ...]:
    """Return every word a sentence can have, sorted."""
    fixed = _SLOT.sub(" ", " ".join(TEMPLATES))
    return tuple(sorted({word for phrase in (fixed, *sum(SLOTS.values(), ())) for word in phrase.split()}))


class SentenceSource:
    """Draws sentences, none twice, so that all words become about equally frequent.

    Args:
        taken: sentences never to draw; those drawn are added to it.
    """

    def __init__(self, taken: set[str]) -> None:
        self._taken = taken
        self._counts: Counter[str] = Counter()

    def draw(self, rng: Generator) -> str:
        """Return a new sentence of 2 to 8 lower-case words separated by single spaces."""
        candidates: list[str] = []
        while not candidates:
            drawn = (_fill(rng) for _ in range(_TRIES))
            candidates = [sentence for sentence in drawn if sentence not in self._taken]
        sentence = max(candidates, key=self._rarity)
        self._taken.add(sentence)
        self._counts.update(sentence.split())
        return sentence

    def _rarity(self, sentence: str) -> float:
        words = sentence.split()
        return sum((1 + self._counts[word]) ** -2 for word in words) / len(words)


def _fill(rng: Generator) -> str:
    """Return a random template with each of its slots filled at random."""
    return _SLOT.sub(lambda slot: _pick(rng, SLOTS[slot[1]]), _pick(rng, TEMPLATES))


def _pick(rng: Generator, choices: Sequence[str]) -> str:
    return choices[int(rng.integers(len(choices)))]
