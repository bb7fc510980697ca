"""One question to a configured URL: bounded in time and size, never redirected, never steered back at us."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Collection
from functools import cached_property
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from proxy.oci.faults import Unavailable
from proxy.upstream.addresses import check

_WHY = 160  # characters of what a library says about a failure


class _Guarded(AbstractResolver):
    """Resolves as the system does, and passes on only addresses that may be asked."""

    def __init__(self, allowed: Collection[str]) -> None:
        self._allowed = allowed
        self._system = aiohttp.ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._system.resolve(host, port, family)
        for each in found:  # one that may not be asked taints the name: which one answers is not ours to choose
            check(host, port, each["host"], self._allowed)
        return found

    async def close(self) -> None:
        await self._system.close()


class Outbound:
    """Asks configured URLs. Connects to nothing until then."""

    def __init__(self, allowed: Collection[str] = (), ca_file: str | None = None) -> None:
        """`allowed` are HOST or HOST:PORT that may be this very host; `ca_file` are CAs besides the system's.

        Raises OSError or ssl.SSLError where that file does not load.
        """
        self._allowed = frozenset(allowed)
        self._ca_file = ca_file
        if ca_file is not None:
            _ = self._tls  # a file that does not load is found now
        self._session: aiohttp.ClientSession | None = None

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        context = ssl.create_default_context()  # reading the system's authorities takes 50 ms: not before it is asked
        if self._ca_file is not None:
            context.load_verify_locations(self._ca_file)
        return context

    async def get(self, url: str, *, limit: int, seconds: float) -> bytes:
        """Return what is at this URL, at most `limit` bytes within `seconds`. Raises Unavailable."""
        return await self._ask("GET", url, None, {}, limit, seconds)

    async def post(self, url: str, body: bytes, kinds: tuple[str, str], *, limit: int, seconds: float) -> bytes:
        """Return the answer to this body; `kinds` are its media type and the one the answer must have.

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
        if _is_literal(host):  # no name to resolve, so the resolver is not asked
            check(host, port, host, self._allowed)
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
        """Let go of every connection."""
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
    """Return what messages call it: scheme and host, without what a path or query may carry."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _is_literal(host: str) -> bool:
    try:
        socket.inet_pton(socket.AF_INET6 if ":" in host else socket.AF_INET, host.partition("%")[0])
    except OSError:
        return False
    return True
