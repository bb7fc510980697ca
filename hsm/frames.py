"""Frames on a pipe between a process and its child: four bytes of length, then that many bytes."""

import asyncio
from collections.abc import Iterator
from typing import BinaryIO


class BadFrame(ValueError):
    """The bytes on the pipe are not a message."""


def framed(body: bytes) -> bytes:
    """Return the body as one frame, including its length."""
    return len(body).to_bytes(4, "big") + body


def frame_length(header: bytes, limit: int) -> int:
    """Return the length of the body that follows these four bytes. Raises BadFrame."""
    length = int.from_bytes(header, "big")
    if len(header) != 4 or length > limit:
        raise BadFrame(f"a frame of {length} bytes was announced by {len(header)} bytes of header")
    return length


def frames(source: BinaryIO, limit: int = 2**32) -> Iterator[bytes]:
    """Yield the bodies on a pipe until it ends. Raises BadFrame on anything else. A truncated body is dropped."""
    while header := source.read(4):
        length = frame_length(header, limit)
        body = source.read(length)
        if len(body) < length:
            return
        yield body


async def next_frame(source: asyncio.StreamReader, limit: int) -> bytes:
    """Return the next body on the pipe. Raises BadFrame, and IncompleteReadError at the end of the pipe."""
    return await source.readexactly(frame_length(await source.readexactly(4), limit))
