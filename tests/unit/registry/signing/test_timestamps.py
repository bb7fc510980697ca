from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest

from proxy.journal.event import EventKind
from proxy.oci.faults import Unavailable
from proxy.oci.reference import digest_of, parse_tag
from proxy.registry.signing.sign import SIMPLE, sign, wanted
from proxy.trust.actor import Actor
from proxy.trust.ledger import Entry, Stage
from tests.worlds.certificates import certify
from tests.worlds.conversation import REPO, World, world
from tests.worlds.softkey import about

BY = Actor("bob", "basic", "", "r")

SUBJECT = digest_of(b"subject")
FORMATS = (SIMPLE, "sigstore-bundle", "notation-jws", "notation-cose")
CERTIFIED = FORMATS[2:]


@dataclass
class Clockwork:
    """A Timestamper that answers with what it was asked and how often."""

    required: bool = False
    down: str | None = None
    calls: list[bytes] = field(default_factory=list)

    async def stamp(self, signature: bytes) -> bytes:
        self.calls.append(signature)
        if self.down is not None:
            raise Unavailable(self.down)
        return b"%d: %b" % (len(self.calls), signature)


async def witnessed_world(timestamper: Clockwork) -> World:
    w = await world()
    w.ports = replace(w.ports, timestamper=timestamper)
    await certify(w)
    return w


async def signed(w: World) -> dict[str, Entry]:
    pairs = [pair for pair in wanted(FORMATS, REPO, (parse_tag("v1"),), w.ports) if not pair[1].endswith(":v1")]
    return {e.key.format: e for e in await sign(REPO, about(SUBJECT), pairs, ("release",), {}, BY, w.ports)}


async def test_notary_signatures_get_a_token_and_keep_it() -> None:
    timestamper = Clockwork()
    w = await witnessed_world(timestamper)
    first = await signed(w)
    assert {name for name, entry in first.items() if entry.timestamp} == set(CERTIFIED)
    assert all(entry.timestamp.endswith(entry.signature or b"?") for n, entry in first.items() if n in CERTIFIED)
    assert {e.key: e for e in w.store.ledger.rows.values()} == {e.key: e for e in first.values()}
    assert await signed(w) == first, "the same bytes again"
    assert len(timestamper.calls) == 2


async def test_without_one_that_answers_it_goes_on_and_says_so() -> None:
    timestamper = Clockwork(down="nobody there")
    w = await witnessed_world(timestamper)
    assert not any(entry.timestamp for entry in (await signed(w)).values())
    rows = [e for e in w.store.journal.events if e.kind is EventKind.NOT_TIMESTAMPED]
    assert {(e.detail["format"], e.detail["why"]) for e in rows} == {(name, "nobody there") for name in CERTIFIED}


async def test_where_it_is_required_nothing_goes_on_and_nothing_is_signed_twice() -> None:
    timestamper = Clockwork(required=True, down="nobody there")
    w = await witnessed_world(timestamper)
    with pytest.raises(Unavailable, match=r"signed, but not timestamped, .* nobody there"):
        await signed(w)
    before = {key: entry.signature for key, entry in w.store.ledger.rows.items()}
    assert all(before.values())
    timestamper.down = None
    entries = await signed(w)
    assert {entry.key: entry.signature for entry in entries.values()} == before
    assert all(entries[name].timestamp for name in CERTIFIED)


async def test_what_is_attached_stays_the_bytes_it_is() -> None:
    timestamper = Clockwork(down="nobody there")
    w = await witnessed_world(timestamper)
    entries = await signed(w)
    await w.store.ledger.advance([e.key for e in entries.values()], Stage.ATTACHED)
    timestamper.down = None
    before = len(timestamper.calls)
    assert not any(entry.timestamp for entry in (await signed(w)).values())
    assert len(timestamper.calls) == before
