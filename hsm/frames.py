"""Frames on a pipe between a process and its child: four bytes of length, then so many bytes."""

import asyncio
from collections.abc import Iterator
from typing import BinaryIO


class BadFrame(ValueError):
    """The bytes on the pipe are not a message."""


def framed(body: bytes) -> bytes:
    """The body as one frame, length included."""
    return len(body).to_bytes(4, "big") + body


def frame_length(header: bytes, limit: int) -> int:
    """The length of the body that follows these four bytes, or `BadFrame`."""
    length = int.from_bytes(header, "big")
    if len(header) != 4 or length > limit:
        raise BadFrame(f"a frame of {length} bytes was announced by {len(header)} bytes of header")
    return length


def frames(source: BinaryIO, limit: int = 2**32) -> Iterator[bytes]:
    """The bodies on a pipe until it ends; `BadFrame` on anything else. A body that is cut off is none."""
    while header := source.read(4):
        length = frame_length(header, limit)
        body = source.read(length)
        if len(body) < length:
            return
        yield body


async def next_frame(source: asyncio.StreamReader, limit: int) -> bytes:
    """The next body on the pipe. `BadFrame`, and `IncompleteReadError` where the pipe ends."""
    return await source.readexactly(frame_length(await source.readexactly(4), limit))
