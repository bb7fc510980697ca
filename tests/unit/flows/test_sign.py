"""What is signed is intended on disk first, kept on disk before it is used, and made once whoever asks beside whom."""

import asyncio
from dataclasses import dataclass, field, replace

import pytest

from proxy.flows.sign import SIMPLE, sign
from proxy.oci.faults import Unavailable
from proxy.oci.reference import digest_of
from proxy.trust.event import Kind
from proxy.trust.keys import BookKey
from proxy.trust.ledger import Entry, Stage
from tests.worlds.conversation import REPO, World, world
from tests.worlds.memory import MemoryLedger, SoftSigner

IMAGE = digest_of(b"an image")


@dataclass
class Watched:
    """A signer that notes what the ledger held when it was asked, and fails for messages with these words."""

    inner: SoftSigner
    ledger: MemoryLedger
    fails: tuple[bytes, ...] = ()
    seen: list[tuple[Stage, ...]] = field(default_factory=list)

    async def sign(self, key: BookKey, message: bytes) -> bytes:
        entries = await self.ledger.entries(REPO, IMAGE)
        assert message in {entry.message for entry in entries}
        self.seen.append(tuple(entry.stage for entry in entries))
        await asyncio.sleep(0)
        if any(word in message for word in self.fails):
            raise Unavailable("token away")
        return await self.inner.sign(key, message)

    def health(self) -> str | None:
        return None


async def watched(*fails: bytes) -> tuple[World, Watched]:
    w = await world()
    signer = Watched(w.signer, w.store.ledger, fails)
    w.house = replace(w.house, signer=signer)
    return w, signer


async def signed(w: World, *bounds: str) -> tuple[Entry, ...]:
    return await sign(REPO, IMAGE, [(SIMPLE, bound) for bound in bounds], ["release"], {}, "request", w.house)


async def test_every_intent_is_there_before_the_token_is_asked() -> None:
    w, signer = await watched()
    made = await signed(w, "h/app", "h/app:a", "h/app:b")
    assert [entry.key.bound for entry in made] == ["h/app", "h/app:a", "h/app:b"]
    assert {entry.stage for entry in made} == {Stage.SIGNED}
    assert signer.seen == [(Stage.INTENDED,) * 3] * 3  # and they are asked for side by side
    assert w.store.journal.kinds() == [Kind.SIGNED] * 3


async def test_what_was_signed_is_kept_when_another_signature_fails() -> None:
    w, signer = await watched(b"app:b")
    with pytest.raises(Unavailable, match="token away"):
        await signed(w, "h/app", "h/app:a", "h/app:b")
    kept = {entry.key.bound: entry.stage for entry in await w.store.ledger.entries(REPO, IMAGE)}
    assert kept == {"h/app": Stage.SIGNED, "h/app:a": Stage.SIGNED, "h/app:b": Stage.INTENDED}
    assert w.store.journal.kinds() == [Kind.SIGNED] * 2
    signer.fails = ()
    await signed(w, "h/app", "h/app:a", "h/app:b")
    assert len(w.signer.made) == 3


async def test_pushes_of_one_image_under_two_tags_sign_what_they_share_once() -> None:
    w, _ = await watched()
    both = await asyncio.gather(*(signed(w, "h/app", f"h/app:{tag}") for tag in "abab"))
    assert len(w.signer.made) == 3
    assert len({made[0].signature for made in both}) == 1


async def test_a_removed_signature_comes_back_as_the_same_bytes() -> None:
    w, _ = await watched()
    (first,) = await signed(w, "h/app")
    await w.store.ledger.advance([first.key], Stage.REMOVED)
    (again,) = await signed(w, "h/app")
    assert again.signature == first.signature
    assert len(w.signer.made) == 1


async def test_a_profile_without_an_active_key_signs_nothing() -> None:
    w, _ = await watched()
    with pytest.raises(Unavailable, match="no active key for profile other"):
        await sign(REPO, IMAGE, [(SIMPLE, "h/app")], ["release", "other"], {}, "request", w.house)
    assert not w.signer.made
