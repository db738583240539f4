"""G: an n-gram language model as a transducer over the words of a lexicon."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

from asr_ligru.decode.wfst.libraries import kaldifst, kaldilm
from asr_ligru.errors import DataError
from asr_ligru.safety import printable
from asr_ligru.text.arpa import write_arpa
from asr_ligru.text.ngram import BOS, EOS, SPECIAL, Gram, NgramModel

_EPSILON, _BACKOFF = "<eps>", "#0"


def restrict(model: NgramModel, words: Collection[str]) -> tuple[NgramModel, Counter[str]]:
    """Return the n-grams of ``words`` alone, and each other word with the number of n-grams that went with it."""
    kept = {*words, BOS, EOS}
    lost: Counter[str] = Counter()
    orders: list[dict[Gram, tuple[float, float]]] = []
    for grams in model.orders:
        orders.append({gram: numbers for gram, numbers in grams.items() if kept.issuperset(gram)})
        lost.update(word for gram in grams for word in {*gram} - kept - SPECIAL)
    return NgramModel(tuple(orders), model.units), lost


def grammar(model: NgramModel, words: Sequence[str]) -> tuple[Any, int]:
    """Return G and the number that backing off has in it.

    A word may be reached by its own n-gram and by backing off; the likelier way counts.

    Args:
        model: has no words but ``words``.
        words: the words 1, 2, ... of the graph.

    Returns:
        G of kaldifst, and the label of its back-off.

    Raises:
        DataError: ``words`` has one that stands for something else in graphs.
    """
    taken = sorted({*words} & {_EPSILON, _BACKOFF, BOS, EOS})
    if taken:
        raise DataError(f"the lexicon has the word '{taken[0]}', which has a meaning of its own", fix="remove it")
    symbols = [_EPSILON, *words, BOS, EOS, _BACKOFF]
    with tempfile.TemporaryDirectory() as name:
        table, arpa, out = (Path(name) / part for part in ("words", "arpa", "fst"))
        table.write_text("".join(f"{word} {i}\n" for i, word in enumerate(symbols)), encoding="utf-8")
        write_arpa(arpa, model)
        with _heard(Path(name) / "log") as log:
            kaldilm().arpa2fst(str(arpa), str(out), disambig_symbol=_BACKOFF, read_symbol_table=str(table))
        fst = kaldifst().StdVectorFst.read(str(out))
        if fst is None or not fst.num_states:
            what = f"the language model makes no graph: {printable(log.read_text(encoding='utf-8', errors='replace'))}"
            raise DataError(what, fix="asr-ligru lm check FILE")
    return fst, len(symbols) - 1


@contextlib.contextmanager
def _heard(log: Path) -> Iterator[Path]:
    """Write to ``log`` what a library prints to the standard error from below Python, for the time of the block."""
    sys.stderr.flush()
    before = os.dup(2)
    try:
        with log.open("wb") as stream:
            os.dup2(stream.fileno(), 2)
        yield log
    finally:
        os.dup2(before, 2)
        os.close(before)
