"""`:PORT`, `*:PORT` and `[::]:PORT` served IPv6 alone or not at all; they serve both families, on one port."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from proxy.config.values import split_address
from proxy.oci.limits import Limits
from proxy.web import server as web_server
from proxy.web.app import admin_app
from proxy.web.outermost import Edge, outermost
from proxy.web.server import Address, Server
from tests.worlds.listener import everything

ASKED = b"GET /livez HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
has_ipv6 = pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this machine has no IPv6")


def refuses(family: socket.AddressFamily, code: int) -> Callable[[socket.AddressFamily, str, int], socket.socket]:
    """A machine on which nothing of this family can be bound."""
    really = web_server._bound

    def bound(asked: socket.AddressFamily, host: str, port: int) -> socket.socket:
        if asked is family:
            raise OSError(code, "not here")
        return really(asked, host, port)

    return bound


@asynccontextmanager
async def serving(text: str) -> AsyncIterator[tuple[Address, list[str]]]:
    """Something listens there, as the text of a setting says it; with it what people were told."""
    told: list[str] = []
    server = Server(asyncio.Event(), Limits(), told.append)
    try:
        probes = outermost(admin_app(lambda: b"", lambda: None), Edge(Limits()))
        yield await server.public(probes, Address(*split_address(text))), told
    finally:
        await server.leave(0.0)


async def answers(host: str, port: int) -> bool:
    try:
        reader, writer = await asyncio.open_connection(host, port)
    except ConnectionError:
        return False
    writer.write(ASKED)
    said = await everything(reader)
    writer.close()
    return said.startswith(b"HTTP/1.1 200 ")


@has_ipv6
@pytest.mark.parametrize("text", [":0", "*:0", "[::]:0", "[0::0]:0"])
async def test_every_address_was_every_address_of_one_family(text: str) -> None:
    async with serving(text) as (at, told):
        assert [await answers(host, at.port) for host in ("127.0.0.1", "::1")] == [True, True]
        assert (str(at), told) == (f"[::]:{at.port}", [])
    assert [await answers(host, at.port) for host in ("127.0.0.1", "::1")] == [False, False]


@has_ipv6
@pytest.mark.parametrize(
    ("text", "v4", "v6"), [("0.0.0.0:0", True, False), ("127.0.0.1:0", True, False), ("[::1]:0", False, True)]
)
async def test_an_address_of_one_family_serves_that_alone(text: str, *, v4: bool, v6: bool) -> None:
    async with serving(text) as (at, _):
        assert [await answers(host, at.port) for host in ("127.0.0.1", "::1")] == [v4, v6]


@pytest.mark.parametrize("code", [errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL])
async def test_where_there_is_no_ipv6_the_other_family_is_served_and_said(
    code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web_server, "_bound", refuses(socket.AF_INET6, code))
    async with serving(":0") as (at, told):
        assert await answers("127.0.0.1", at.port)
        assert told == [f"this machine has no IPv6: port {at.port} is served without it"]


def test_where_there_is_neither_family_it_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(*_: object) -> socket.socket:
        raise OSError(errno.EAFNOSUPPORT, "not here")

    monkeypatch.setattr(web_server, "_bound", nothing)
    with pytest.raises(OSError, match="not here"):
        web_server.everywhere(0)


@has_ipv6
@pytest.mark.parametrize(("family", "host"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def test_a_port_taken_in_one_family_is_taken_and_nothing_stays_bound(family: socket.AddressFamily, host: str) -> None:
    with socket.socket(family) as theirs:
        theirs.bind((host, 0))
        theirs.listen()
        port = theirs.getsockname()[1]
        with pytest.raises(OSError, match="in use"):
            web_server.everywhere(port)
    for one in web_server.everywhere(port)[0]:
        one.close()


@has_ipv6
def test_a_free_port_is_one_that_both_families_have(monkeypatch: pytest.MonkeyPatch) -> None:
    really, refused = web_server._bound, iter([True, True])

    def bound(family: socket.AddressFamily, host: str, port: int) -> socket.socket:
        if family is socket.AF_INET6 and next(refused, False):
            raise OSError(errno.EADDRINUSE, "in use")
        return really(family, host, port)

    monkeypatch.setattr(web_server, "_bound", bound)
    both, missing = web_server.everywhere(0)
    assert len({one.getsockname()[1] for one in both}) == 1
    assert (len(both), missing) == (2, "")
    for one in both:
        one.close()
