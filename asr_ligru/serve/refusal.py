"""Requests that are not answered as asked: what is wrong and what to do, as JSON with a status that fits."""

from __future__ import annotations

from starlette.responses import JSONResponse

from asr_ligru.errors import AsrLigruError, DataError, EnvironmentError_
from asr_ligru.safety import printable


class Refusal(Exception):
    """What the client is told instead.

    Args:
        status: of HTTP, 4xx or 5xx.
        what: what is wrong, with what was expected and got.
        fix: what the user can do; empty when nothing sensible can be said.
        retry_after_s: when it may be tried again, seconds; None when that is of no use.
    """

    def __init__(self, status: int, what: str, fix: str = "", retry_after_s: int | None = None) -> None:
        super().__init__(what)
        self.status = status
        self.what = what
        self.fix = fix
        self.retry_after_s = retry_after_s

    def response(self) -> JSONResponse:
        """Return it as ``{"status", "error", "fix"}``."""
        body = {"status": self.status, "error": printable(self.what), "fix": printable(self.fix)}
        headers = {} if self.retry_after_s is None else {"Retry-After": str(self.retry_after_s)}
        return JSONResponse(body, self.status, headers)


def refusal_of(error: AsrLigruError) -> Refusal:
    """Return what a client is told of an error of the toolkit: 422 for audio that is no good, 503 for the machine.

    Where it happened is left out: clients learn no paths.
    """
    if isinstance(error, DataError):
        return Refusal(422, error.what, error.fix)
    return Refusal(503 if isinstance(error, EnvironmentError_) else 500, error.what, error.fix)
