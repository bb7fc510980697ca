"""ATTACK 26: a configured URL is steered at this host by name, by number or by redirect; nothing arrives."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
import structlog

from proxy.oci.faults import Unavailable
from proxy.oci.limits import Limits
from proxy.server.build import HttpTimestamper
from proxy.server.revocation_lists import RevocationLists
from proxy.trust.authority import Authority
from proxy.upstream.outbound import Outbound
from tests.worlds.memory import FrozenClock

LIMITS = Limits(outbound_deadline_s=5)


@dataclass
class Inside:
    """Something on this host that nobody outside may reach; `heard` is what did, `says` what it answers."""

    port: int = 0
    says: bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecret"
    heard: list[bytes] = field(default_factory=list)

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if got := await reader.read(2000):
            self.heard.append(got)
            writer.write(self.says)
        writer.close()


@pytest.fixture
async def inside() -> AsyncIterator[Inside]:
    made = Inside()
    server = await asyncio.start_server(made.answer, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    yield made
    server.close()


async def asked(url: str, *allowed: str) -> tuple[str, str]:
    """What comes of it when a list and a timestamp are to be had from this URL."""
    outbound = Outbound(allowed)
    ca = Authority("ca", frozenset(), (), crl=(url,))
    lists = RevocationLists(lambda: [ca], outbound, LIMITS, FrozenClock(), structlog.get_logger())
    timestamper = HttpTimestamper(outbound, url, frozenset(), required=False, seconds=5)
    try:
        await lists.refresh()
        with pytest.raises(Unavailable) as refused:
            await timestamper.stamp(b"signature")
    finally:
        await outbound.close()
    (problem,) = lists.problems()
    return problem.what, refused.value.what


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.1", "0x7f000001", "[::ffff:127.0.0.1]", "0.0.0.0"])  # noqa: S104
async def test_this_host_is_not_reached_by_any_of_its_names(host: str, inside: Inside) -> None:
    for said in await asked(f"http://{host}:{inside.port}/"):
        assert "outbound.allow" in said or "not a canonical IPv4 address" in said
    assert inside.heard == []


async def test_a_place_that_is_allowed_redirects_to_nowhere_else(inside: Inside) -> None:
    other = Inside()
    server = await asyncio.start_server(other.answer, "127.0.0.1", 0)
    place = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    where = f"http://127.0.0.1:{inside.port}/"
    other.says = f"HTTP/1.1 307 Temporary Redirect\r\nLocation: {where}\r\nContent-Length: 0\r\n\r\n".encode()
    for said in await asked(f"http://{place}/", place, f"127.0.0.1:{inside.port}"):
        assert "redirects are not followed" in said
    server.close()
    assert (len(other.heard), inside.heard) == (2, [])


async def test_what_an_inner_service_says_is_no_list_and_no_token(inside: Inside) -> None:
    """Where it is allowed: the answer is not repeated to anybody."""
    for said in await asked(f"http://127.0.0.1:{inside.port}/", f"127.0.0.1:{inside.port}"):
        assert "secret" not in said
    assert len(inside.heard) == 2
