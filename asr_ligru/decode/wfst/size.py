"""How much memory a graph will need, before it is made."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from asr_ligru.decode.wfst.lexicon import Spelling
from asr_ligru.errors import EnvironmentError_
from asr_ligru.text.ngram import NgramModel

_BYTES_AN_ARC = 100  # measured: 50 to 100 at the worst moment, for 2000 words and 20,000 pairs to 8000 and 100,000


def check_size(model: NgramModel, spellings: Sequence[Spelling], states_a_unit: int) -> None:
    """Raise if a graph would not fit into the free memory.

    Args:
        model: the language model.
        spellings: the words.
        states_a_unit: arcs that a unit becomes.

    Raises:
        EnvironmentError_: says how much is needed and how much there is.
    """
    needed, free = estimate_bytes(model, spellings, states_a_unit), free_bytes()
    if needed > free:
        grams = sum(map(len, model.orders))
        raise EnvironmentError_(
            f"the graph of {len(spellings)} pronunciations and {grams} n-grams needs about {needed / 1e9:.1f} GB of "
            f"memory, {free / 1e9:.1f} GB are free",
            fix="take a smaller lexicon, or a language model of lower order or with fewer n-grams",
        )


def estimate_bytes(model: NgramModel, spellings: Sequence[Spelling], states_a_unit: int) -> int:
    """Return about how many bytes making a graph takes: a path of its word's units for each n-gram.

    Args:
        model: the language model.
        spellings: the words.
        states_a_unit: arcs that a unit becomes.
    """
    units = sum(len(spelled) for _, spelled in spellings)
    grams, words = sum(map(len, model.orders)), len(model.orders[0])
    return _BYTES_AN_ARC * states_a_unit * units * grams // words


def free_bytes() -> int:
    """Return how much memory is free, or all there is where the system does not say."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
