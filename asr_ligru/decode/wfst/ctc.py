"""Graphs for CTC models: tokens, lexicon and language model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from asr_ligru.decode.wfst.fst import Fst
from asr_ligru.decode.wfst.lexicon import Units


def token_topology(vocab_size: int, used: Sequence[int], units: Units) -> Fst:
    """Return T: blanks and repeats of a token are read as nothing; equal neighbours need a blank between them.

    Labels to read are 1 + id, and 1 + ``vocab_size`` + id for the first frame of a word.

    Args:
        vocab_size: V, the outputs of the model, the blank (0) included.
        used: the tokens that words are spelled with, rising, without the blank.
        units: the labels of the tokens.
    """
    n = len(used)
    tokens = np.array(used, np.int64)
    states = np.arange(1, n + 1)
    before, after = (grid.ravel() for grid in np.meshgrid(np.arange(n + 1), states, indexing="ij"))
    goes_on = before != after
    before, after = before[goes_on], after[goes_on]
    written = tokens[after - 1]
    blank, none = np.ones(n + 1, np.int64), np.zeros(n + 1, np.int64)
    parts = [
        (before, after, 1 + written, written),
        (before, after, 1 + vocab_size + written, units.num + written),
        (states, states, 1 + tokens, none[1:]),
        (np.arange(n + 1), none, blank, none),
    ]
    columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
    return Fst.of_columns([*columns, np.zeros(len(columns[0]))], np.zeros(n + 1, np.float32))
