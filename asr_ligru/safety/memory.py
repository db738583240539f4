"""Running out of memory, said in terms of what it was needed for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from asr_ligru.errors import EnvironmentError_
from asr_ligru.safety.text import printable

_SIGNS = ("can't allocate memory", "out of memory", "Unable to allocate")  # of torch on a CPU, on a GPU, and of numpy


@contextmanager
def memory_errors(what: str, where: str, fix: str) -> Iterator[None]:
    """Turn the block's lack of memory into an error that says what it did.

    Args:
        what: what was under way, such as "on 3 utterances".
        where: what it was about, of unknown origin.
        fix: what to lower.

    Raises:
        EnvironmentError_: memory did not suffice.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if isinstance(error, RuntimeError) and not any(sign in str(error) for sign in _SIGNS):
            raise
        detail = next((line for line in str(error).splitlines() if any(sign in line for sign in _SIGNS)), "")
        raise EnvironmentError_(
            f"out of memory {what}" + (f": {printable(detail)}" if detail else ""), where=printable(where), fix=fix
        ) from error
