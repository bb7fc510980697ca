"""Every operation has a flow, and every flow ends in an answer or in one of the three ways a request may fail."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings

from proxy.oci import operation as o
from proxy.oci.faults import Corrupt, Fault, Unavailable
from proxy.registry.request import Response
from tests.worlds.conversation import REPO, world
from tests.worlds.images import image
from tests.worlds.strategies import operations

BODIES = (o.PushManifest, o.UploadChunk, o.FinishUpload)


@given(operations())
@settings(max_examples=150, deadline=None)
def test_whatever_is_asked_is_answered_or_refused_in_words(op: o.Operation) -> None:
    async def said() -> Response | None:
        w = await world()
        w.put_behind(image(), "team/app", "v1")
        try:
            return await w.say(op, body=b"{}" if isinstance(op, BODIES) else None)
        except Fault as fault:
            assert fault.message.isprintable()
        except (Unavailable, Corrupt) as trouble:
            assert trouble.what
        return None

    answer = asyncio.run(said())
    assert answer is None or 200 <= answer.status < 600


@pytest.mark.parametrize(
    "op",
    [
        o.CheckApi(),
        o.ListRepositories(n=3),
        o.UploadStatus(REPO, "session", (("state", "x"),)),
        o.CancelUpload(REPO, "session", ()),
    ],
    ids=lambda op: type(op).__name__,
)
async def test_what_is_upstream_s_alone_reaches_it_once_and_as_it_was_asked(op: o.Operation) -> None:
    w = await world()
    await w.say(op)
    assert [seen.operation for seen in w.registry.seen] == [op]
    assert w.store.journal.events == []


async def test_a_chunk_takes_its_body_along_and_a_question_none() -> None:
    w = await world()
    await w.say(o.UploadChunk(REPO, "session", ()), body=b"some bytes", content_range="0-9")
    await w.say(o.UploadStatus(REPO, "session", ()))
    chunk, status = w.registry.seen
    assert (chunk.body, status.body) == (b"some bytes", b"")
    assert ("content-range", "0-9") in chunk.headers
