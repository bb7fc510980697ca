"""What a push does beside other work: while the token signs, and while the tag is written."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from proxy.oci.faults import Fault
from proxy.oci.operation import CancelUpload, FinishUpload, PullManifest, PushManifest, StartUpload
from proxy.oci.reference import fallback_tag, signature_tag
from proxy.trust.ledger import Stage
from tests.worlds.conversation import REPO, World, world
from tests.worlds.images import Image, image, index
from tests.worlds.registry import MemoryRegistry, Seen

ONE = image("one")


async def two_requests(*, referrers: bool = False) -> World:
    """A proxy that knows that upstream takes a blob in two requests."""
    w = await world(registry=MemoryRegistry(referrers=referrers))
    w.registry.single_post = False
    await w.push(image("first"), "team/app", "v0")
    await w.ports.cache.settle()
    w.registry.seen.clear()
    return w


def while_signing(w: World, monkeypatch: pytest.MonkeyPatch, until: Callable[[], Awaitable[object]]) -> None:
    """The token answers only after `until`."""
    sign = w.signer.sign

    async def slow(*given: Any) -> bytes:
        await asyncio.wait_for(until(), 5)
        return await sign(*given)

    monkeypatch.setattr(w.signer, "sign", slow)


async def reached(w: World, *kinds: type) -> None:
    while not w.registry.count(*kinds):  # noqa: ASYNC110  a request of another task
        await asyncio.sleep(0)


@pytest.mark.parametrize("tag", ["v1", None])
async def test_no_upload_was_opened_before_the_token_had_signed(
    tag: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    w = await two_requests()
    while_signing(w, monkeypatch, lambda: reached(w, StartUpload))
    assert (await w.push(ONE, "team/app", tag)).status == 201
    await w.ports.cache.settle()
    assert w.registry.count(StartUpload) == w.registry.count(FinishUpload) == (1 if tag is None else 3)
    assert not w.registry.uploads


async def test_an_upload_that_was_opened_for_nothing_is_cancelled() -> None:
    w = await two_requests()
    w.signer.breaks["soft"] = "its session is gone"
    with pytest.raises(Fault, match="signing device is unavailable"):
        await w.push(ONE, "team/app", "v1")
    await w.ports.cache.settle()
    assert w.registry.count(StartUpload) == w.registry.count(CancelUpload) == 1
    assert not w.registry.uploads
    assert not [seen for seen in w.registry.seen if b"docker-reference" in seen.body], "no payload is sent unsigned"


@pytest.mark.parametrize("status", [401, 403, 429, 500, 0])
async def test_an_upload_that_could_not_be_opened_ahead_is_opened_when_it_is_needed(status: int) -> None:
    w = await two_requests()
    w.registry.fail(StartUpload, status)
    assert (await w.push(ONE, "team/app", "v1")).status == 201
    await w.ports.cache.settle()
    assert not w.registry.uploads


async def test_the_tag_waited_until_the_bundle_was_on_record(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is attached upstream before, and on record before the answer; the tag need not wait for the disk."""
    w = await world(registry=MemoryRegistry(referrers=False))
    advance, tagged = w.store.ledger.advance, asyncio.Event()

    async def late(*given: Any) -> None:
        await asyncio.wait_for(tagged.wait(), 5)
        await advance(*given)

    monkeypatch.setattr(w.store.ledger, "advance", late)
    listed: list[str | None] = []

    def sees(seen: Seen) -> None:
        op = seen.operation
        if isinstance(op, PushManifest) and op.reference == "v1":
            listed.append(w.tag("team/app", fallback_tag(ONE.digest)))
            tagged.set()

    w.registry.hooks.append(sees)
    assert (await w.push(ONE, "team/app", "v1")).status == 201
    assert listed != [None], "a tag moves to what is signed"
    assert {e.stage for e in w.store.ledger.rows.values()} == {Stage.ATTACHED}
    assert w.ports.cache.attached == {}


async def test_what_is_attached_and_not_on_record_yet_was_attached_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another push of the same digest comes between the write of a list and the commit that records it."""
    w = await world(registry=MemoryRegistry(referrers=False))
    give_back, attached = w.store.tags.give_back, asyncio.Event()

    async def waits(*given: Any) -> bool:
        if not attached.is_set():
            attached.set()
            while w.tag("team/app", "v2") is None:  # noqa: ASYNC110
                await asyncio.sleep(0)
        return await give_back(*given)

    monkeypatch.setattr(w.store.tags, "give_back", waits)

    async def second() -> None:
        await attached.wait()
        await w.push(ONE, "team/app", "v2")

    await asyncio.gather(w.push(ONE, "team/app", "v1"), second())
    rows = [e for e in w.store.journal.events if e.kind == "signature_attached"]
    assert len(rows) == len({(e.reference, e.detail["format"]) for e in rows})
    assert {e.stage for e in w.store.ledger.rows.values()} == {Stage.ATTACHED}


async def test_the_children_of_an_index_were_signed_and_bound_one_after_the_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Their lists are read before the first of them is written, and the token is asked for several at once."""
    w = await world()
    whole = index(*(image(f"child {n}") for n in range(4)))
    for child in whole.children:
        await w.push(child, "team/app")
    w.registry.seen.clear()
    asked = 0
    together = asyncio.Event()
    sign = w.signer.sign

    async def several(*given: Any) -> bytes:
        nonlocal asked
        asked += 1
        if asked == w.ports.limits.signatures_at_once:
            together.set()
        await asyncio.wait_for(together.wait(), 5)
        return await sign(*given)

    monkeypatch.setattr(w.signer, "sign", several)
    assert (await w.push(Image(whole.body, whole.media_type), "team/app", "v1")).status == 201
    lists = {signature_tag(child.digest) for child in whole.children}
    asked_for = [s.operation for s in w.registry.seen if getattr(s.operation, "reference", "") in lists]
    kinds = [type(op) for op in asked_for]
    assert kinds == [PullManifest] * 4 + [PushManifest] * 4
    for child in whole.children:
        assert {e.stage for e in await w.store.ledger.entries(REPO, child.digest)} == {Stage.ATTACHED}
