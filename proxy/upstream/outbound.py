"""One request to a configured URL: limited in time and size, never redirected, never turned back on our own host.

The name in the configuration is resolved by external DNS each time. So the check uses the address to connect to:
loopback, link-local (cloud metadata services) and addresses of no single host are refused unless `allow` lists the
host. Private networks are allowed, because a site's own timestamp authority is there.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Collection
from functools import cached_property
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from proxy.oci.faults import Unavailable

_WHY = 160  # characters of a library's error text
_NAT64 = (ip_network("64:ff9b::/96"), ip_network("64:ff9b:1::/48"))
_6TO4 = ip_network("2002::/16")
# Cloud metadata services outside link-local: AWS over IPv6, Alibaba, Oracle.
_METADATA = frozenset(ip_address(a) for a in ("fd00:ec2::254", "100.100.100.200", "192.0.0.192"))


def is_near(text: str) -> bool:
    """True for addresses of this host, of its links, or of no single host; also when embedded in IPv6."""
    address = ip_address(text.partition("%")[0])
    return any(_is_near(each) for each in (address, *_inner(address)))


def _is_near(address: IPv4Address | IPv6Address) -> bool:
    return (
        address.is_loopback
        or address.is_link_local
        or address.is_unspecified
        or address.is_multicast
        or address in _METADATA
        or (isinstance(address, IPv4Address) and int(address) >> 24 in (0, 255))
    )


def _inner(address: IPv4Address | IPv6Address) -> tuple[IPv4Address, ...]:
    """Return the IPv4 addresses embedded in an IPv6 address."""
    if isinstance(address, IPv4Address):
        return ()
    low = IPv4Address(int(address) & 0xFFFF_FFFF)
    if address.ipv4_mapped is not None or int(address) >> 32 == 0 or any(address in net for net in _NAT64):
        return (low,)
    return (IPv4Address(int(address) >> 80 & 0xFFFF_FFFF),) if address in _6TO4 else ()


def check_address(host: str, port: int, address: str, allowed: Collection[str]) -> None:
    """Check that a connection to this address is allowed. Raises Unavailable, with the setting that would allow it."""
    if is_near(address) and f"{host}:{port}" not in allowed and host not in allowed:
        raise Unavailable(
            f"{host} is {address}, which is this host or its link: not asked; if that is meant, add "
            f"`{host}:{port}` to outbound.allow"
        )


class _Guarded(AbstractResolver):
    """Uses the system's resolver, and returns only addresses that may be contacted."""

    def __init__(self, allowed: Collection[str]) -> None:
        self._allowed = allowed
        self._system = aiohttp.ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._system.resolve(host, port, family)
        for each in found:  # one forbidden address refuses the name: we cannot choose which one is used
            check_address(host, port, each["host"], self._allowed)
        return found

    async def close(self) -> None:
        await self._system.close()


class Outbound:
    """Sends requests to configured URLs. Connects only at the first request."""

    def __init__(self, allowed: Collection[str] = (), ca_file: str | None = None) -> None:
        """`allowed`: HOST or HOST:PORT that may be this host itself; `ca_file`: CAs in addition to the system's.

        Raises OSError or ssl.SSLError if that file does not load.
        """
        self._allowed = frozenset(allowed)
        self._ca_file = ca_file
        if ca_file is not None:
            _ = self._tls  # fails now if a file does not load
        self._session: aiohttp.ClientSession | None = None

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        context = ssl.create_default_context()  # reading the system's CAs takes 50 ms: only at first use
        if self._ca_file is not None:
            context.load_verify_locations(self._ca_file)
        return context

    async def get(self, url: str, *, limit: int, seconds: float) -> bytes:
        """Return the content of this URL, at most `limit` bytes within `seconds`. Raises Unavailable."""
        return await self._ask("GET", url, None, {}, limit, seconds)

    async def post(self, url: str, body: bytes, kinds: tuple[str, str], *, limit: int, seconds: float) -> bytes:
        """Return the response to this body; `kinds` are its media type and the required type of the response.

        Raises Unavailable.
        """
        sent, wanted = kinds
        headers = {"Content-Type": sent, "Accept": wanted}
        return await self._ask("POST", url, body, headers, limit, seconds)

    async def _ask(
        self, method: str, url: str, body: bytes | None, headers: dict[str, str], limit: int, seconds: float
    ) -> bytes:
        place = _place(url)
        try:
            async with asyncio.timeout(seconds):
                return await self._exchange(method, url, body, headers, limit)
        except TimeoutError:
            raise Unavailable(f"{place} did not answer within {seconds:g} s") from None
        except (aiohttp.ClientError, OSError, ValueError) as failed:
            raise Unavailable(f"{place}: {str(failed)[:_WHY]!a}") from failed

    async def _exchange(self, method: str, url: str, body: bytes | None, headers: dict[str, str], limit: int) -> bytes:
        target = URL(url, encoded=True)
        host, port = target.host or "", target.port or 0
        if _is_literal(host):  # an address, for which aiohttp does not call the resolver
            check_address(host, port, host, self._allowed)
        async with self._opened().request(
            method, target, data=body, headers=headers, allow_redirects=False, ssl=self._tls
        ) as reply:
            if reply.status != 200:
                to = f" (to {reply.headers['location'][:80]!a}; redirects are not followed)" if _moved(reply) else ""
                raise Unavailable(f"{_place(url)} answered {reply.status}{to}")
            if (wanted := headers.get("Accept")) is not None and reply.content_type != wanted:
                raise Unavailable(f"{_place(url)} answered with {reply.content_type[:60]!a} instead of {wanted}")
            return await _read(reply, limit, _place(url))

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(resolver=_Guarded(self._allowed), use_dns_cache=False, force_close=True),
                headers={"Accept-Encoding": "identity", "User-Agent": "countersign"},
                auto_decompress=False,
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
            )
        return self._session

    async def close(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()


async def _read(reply: aiohttp.ClientResponse, limit: int, place: str) -> bytes:
    got = bytearray()
    async for chunk in reply.content.iter_any():
        got += chunk
        if len(got) > limit:
            raise Unavailable(f"{place} sent more than {limit} bytes")
    return bytes(got)


def _moved(reply: aiohttp.ClientResponse) -> bool:
    return 300 <= reply.status < 400 and "location" in reply.headers


def _place(url: str) -> str:
    """Return the URL for messages: scheme and host, without path and query, which may hold secrets."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _is_literal(host: str) -> bool:
    try:
        socket.inet_pton(socket.AF_INET6 if ":" in host else socket.AF_INET, host.partition("%")[0])
    except OSError:
        return False
    return True
