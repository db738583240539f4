"""Gradients of weights, computed while a process would only wait for others.

Nothing in a backward pass reads the gradient of a weight, so any moment before its end is right for it. Pipelines fill
their gaps in the same way: Qi et al. 2023 (arXiv 2401.10241), section 2.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from torch import Tensor

_postponed: ContextVar[list[Callable[[], None]] | None] = ContextVar("postponed", default=None)


@contextmanager
def postponed() -> Iterator[None]:
    """Postpone those of the backward passes inside, to the next ``catch_up`` or the end of the block.

    What they are computed from is held until then. When the block raises, they are dropped.
    """
    before = _postponed.set([])
    try:
        yield
        catch_up()
    finally:
        _postponed.reset(before)


def catch_up() -> None:
    """Compute those that were postponed, and add them to ``grad`` of their weights.

    After each the core is offered to the threads that carry messages: they would wait for it otherwise.
    """
    waiting = _postponed.get()
    while waiting:
        waiting.pop(0)()
        os.sched_yield()


def of_weight(weight: Tensor, gradient: Callable[[], Tensor]) -> Tensor | None:
    """Return the gradient of a weight for autograd to add; None where it is postponed.

    Args:
        weight: of any shape; only that of a leaf can be postponed.
        gradient: computes it, of the same shape; what it reads must stay as it is until the end of the backward pass.
    """
    waiting = _postponed.get()
    if waiting is None or not weight.is_leaf:
        return gradient()
    waiting.append(lambda: _add(weight, gradient()))
    return None


def _add(weight: Tensor, gradient: Tensor) -> None:
    weight.grad = gradient if weight.grad is None else weight.grad + gradient
