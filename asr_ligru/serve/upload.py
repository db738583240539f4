"""From a request's body to a temporary file of bounded size."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import BinaryIO

from asr_ligru.serve.limits import Limits
from asr_ligru.serve.refusal import Refusal


def announced(content_length: str | None, max_bytes: int) -> int:
    """Return how many bytes an upload has at most, by its header.

    Raises:
        Refusal: 400 or 413, it makes no sense or announces too many.
    """
    if content_length is None:  # sent in chunks
        return max_bytes
    if not (content_length.isascii() and content_length.isdecimal()):
        raise Refusal(400, "Content-Length is no number")
    if len(content_length) > 18 or int(content_length) > max_bytes:
        raise _too_large(max_bytes)
    return int(content_length)


async def receive(chunks: AsyncIterator[bytes], file: BinaryIO, limits: Limits) -> None:
    """Write a body to a file.

    Args:
        chunks: the body.
        file: gets it.
        limits: in bytes and seconds.

    Raises:
        Refusal: 400 for an empty body, 408 for one that comes too slowly, 413 for one that is too long.
    """
    deadline_s = asyncio.get_running_loop().time() + limits.timeout_s
    size = 0
    while True:
        left_s = deadline_s - asyncio.get_running_loop().time()
        try:
            chunk = await asyncio.wait_for(anext(chunks), min(limits.stall_s, left_s))
        except StopAsyncIteration:
            break
        except asyncio.TimeoutError:
            what = f"the upload came too slowly: {size / 1e6:.1f} MB before it was given up"
            raise Refusal(408, what, "send it again, or a smaller file") from None
        size += len(chunk)
        if size > limits.max_bytes:
            raise _too_large(limits.max_bytes)
        file.write(chunk)
    if not size:
        raise Refusal(400, "nothing was uploaded: the body is empty", "send the bytes of an audio file as the body")


def _too_large(max_bytes: int) -> Refusal:
    what = f"the file is too large: at most {max_bytes / 1e6:g} MB are accepted"
    return Refusal(413, what, "send it as FLAC or MP3, cut it, or start the server with a larger --max-mb")
