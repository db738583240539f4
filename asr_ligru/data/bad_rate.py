"""How many unusable utterances are borne."""

from __future__ import annotations

from collections.abc import Sequence

from asr_ligru.config import CorpusConfig
from asr_ligru.errors import DataError
from asr_ligru.safety import printable
from asr_ligru.typing import BadUtterance


def check_rate(unusable: Sequence[BadUtterance], total: int, corpus: CorpusConfig) -> None:
    """Refuse to go on without too large a part of a corpus.

    Raises:
        DataError: more than ``corpus.max_bad_rate`` of ``total`` utterances are unusable.
    """
    # One is always borne: a single bad file must not cost a small corpus its run.
    if len(unusable) > max(1, corpus.max_bad_rate * total):
        first = printable(f"{unusable[0].utt_id}: {unusable[0].reason}")
        raise DataError(
            f"{len(unusable)} of {total} utterances are unusable, allowed are {corpus.max_bad_rate:.2%}; {first}",
            where="corpus.max_bad_rate",
            fix=f"asr-ligru validate {corpus.dir}; repair the files or raise the limit",
        )
