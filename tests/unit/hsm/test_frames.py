from __future__ import annotations

import asyncio
import io

import pytest

from hsm.frames import BadFrame, framed, frames, next_frame

SENT = [b"", b"a", b"b" * 70_000]
PIPE = b"".join(map(framed, SENT))


def test_frames_come_whole_or_not_at_all() -> None:
    assert list(frames(io.BytesIO(PIPE))) == SENT
    for cut in (1, 4, 60_000):
        assert list(frames(io.BytesIO(PIPE[:-cut]))) == SENT[:-1]
    with pytest.raises(BadFrame, match="a frame of 70000 bytes"):
        list(frames(io.BytesIO(PIPE), limit=69_999))


async def test_a_stream_gives_them_one_by_one() -> None:
    stream = asyncio.StreamReader()
    stream.feed_data(PIPE + b"\0\0\0\4abc")
    stream.feed_eof()
    assert [await next_frame(stream, 70_000) for _ in SENT] == SENT
    with pytest.raises(asyncio.IncompleteReadError):
        await next_frame(stream, 70_000)


async def test_a_length_beyond_the_limit_is_read_no_further() -> None:
    stream = asyncio.StreamReader()
    stream.feed_data(b"Traceback")
    with pytest.raises(BadFrame, match="was announced"):
        await next_frame(stream, 2**20)
