"""How much one server accepts, and the gate that keeps to it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from asr_ligru.serve.refusal import Refusal

_RETRY_AFTER_S = 5


@dataclass(frozen=True)
class Limits:
    """What a server accepts.

    Attributes:
        max_bytes: of one upload.
        max_seconds: of one recording.
        jobs: recordings transcribed at the same time.
        queue: requests that are received, wait or are transcribed at the same time.
        total_bytes: of all their uploads together; as many may lie on the disk.
        timeout_s: for receiving an upload, and again for waiting and transcribing.
        stall_s: longest pause within an upload.
    """

    max_bytes: int = 100_000_000
    max_seconds: float = 3600.0
    jobs: int = 2
    queue: int = 256
    total_bytes: int = 1_000_000_000
    timeout_s: float = 600.0
    stall_s: float = 30.0


class Gate:
    """Counts requests and their bytes. Any thread may use it."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._lock = threading.Lock()
        self._requests = 0
        self._bytes = 0

    @contextmanager
    def admit(self, num_bytes: int) -> Iterator[None]:
        """Hold a place, and room for an upload, as long as the block runs.

        Args:
            num_bytes: that the upload has at most.

        Raises:
            Refusal: 429, there is none.
        """
        with self._lock:
            what = self._reason(num_bytes)
            if what:
                raise Refusal(429, what, "try again in a moment", _RETRY_AFTER_S)
            self._requests += 1
            self._bytes += num_bytes
        try:
            yield
        finally:
            with self._lock:
                self._requests -= 1
                self._bytes -= num_bytes

    def _reason(self, num_bytes: int) -> str:
        if self._requests >= self._limits.queue:
            return f"too many requests at once: {self._requests} are being worked on, as many as are allowed"
        if self._bytes and self._bytes + num_bytes > self._limits.total_bytes:
            return f"too many uploads at once: {self._bytes / 1e6:.0f} MB are waiting"
        return ""
