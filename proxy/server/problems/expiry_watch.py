"""Collects the expiry of everything the server depends on at intervals, and warns 60, 30 and 7 days ahead."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path

from structlog.typing import FilteringBoundLogger

from proxy.admin.ports import AdminTokens
from proxy.admin.token import AdminToken
from proxy.config import Settings
from proxy.formats.certificate import from_pem, parse_certificate, window
from proxy.journal.problem import Problem, ProblemId
from proxy.oci.faults import Unavailable
from proxy.registry.ports_in_use import Ports
from proxy.server.problems.expiry import OVER, Expiry, ExpiryKind, due, next_of_each
from proxy.trust.authority import Authority
from proxy.trust.keys import VERIFYING, BookKey

LOOK_S = 15.0
UPSTREAM_S = 3600.0
PEM_BYTES = 1024 * 1024
_STOPS = {
    ExpiryKind.CHAIN: "verifiers that check certificates; cosign's formats still work",
    ExpiryKind.AUTHORITY: "pulls of images that only it certifies",
    ExpiryKind.SERVER_TLS: "clients, which refuse the connection",
    ExpiryKind.ADMIN_TLS: "the admin API over the network",
    ExpiryKind.ADMIN_CA: "the admin API for callers with a certificate",
    ExpiryKind.UPSTREAM_TLS: "everything that needs upstream",
    ExpiryKind.UPSTREAM_CA: "everything that needs upstream, unless its certificate is of another CA",
    ExpiryKind.CLIENT_CERT: "everything that needs upstream",
    ExpiryKind.TSA: "signatures whose time only it proves",
}


class ExpiryWatch:
    """The expiries known from the last look."""

    def __init__(
        self,
        collect: Callable[[], Awaitable[list[Expiry]]],
        now: Callable[[], datetime],
        log: FilteringBoundLogger,
    ) -> None:
        """`collect` returns all expiries; none is known before the first `look`."""
        self._collect = collect
        self._now = now
        self._log = log
        self._known: list[Expiry] = []
        self._said: dict[tuple[ExpiryKind, str, datetime], int] = {}

    async def look(self) -> None:
        """Collect, and log each threshold once when it is passed. Raises Unavailable."""
        self._known = await self._collect()
        now = self._now()
        said: dict[tuple[ExpiryKind, str, datetime], int] = {}
        for each in due(self._known, now):
            name, threshold = (each.kind, each.name, each.at), each.threshold(now) or OVER
            if self._said.get(name) != threshold:
                write = self._log.error if threshold == OVER else self._log.warning
                write("something ends", what=each.says(now), next=each.next)
            said[name] = threshold
        self._said = said

    def warnings(self) -> list[dict[str, str]]:
        """Return the expiries to warn of now, the most urgent first."""
        now = self._now()
        return [
            {"what": each.says(now), "at": each.at.isoformat(timespec="seconds"), "next": each.next}
            for each in due(self._known, now)
            if now <= each.at
        ]

    def problems(self, server: str = "") -> list[Problem]:
        """Return the problems that past expiries cause. Lists report their own; admin tokens are expected to expire."""
        now = self._now()
        return [
            Problem(
                ProblemId.ENDED,
                each.says(now),
                _STOPS[each.kind],
                each.next,
                since=each.at,
                about=f"{each.kind} {each.name}",
                server=server,
            )
            for each in due(self._known, now)
            if now > each.at and each.kind in _STOPS
        ]

    def days(self) -> Mapping[str, float]:
        """Return the days left until the first expiry of each kind; negative after it."""
        now = self._now()
        return {kind.value: (at - now).total_seconds() / 86400 for kind, at in next_of_each(self._known).items()}


def of_keys(keys: Iterable[BookKey]) -> Iterator[Expiry]:
    """Yield the end of the certificate chain of every key that still verifies."""
    for key in keys:
        if key.chain and key.state in VERIFYING:
            first, last = window(key.chain)
            own = key.short
            name = f"{key.profile} {own}"
            renew = f"countersign keys csr {own} --subject NAME, and when it is issued: "
            renew += f"countersign keys chain set {own} FILE --reason TEXT"
            yield Expiry(ExpiryKind.CHAIN, name, last, renew, first)


def of_authorities(authorities: Iterable[Authority]) -> Iterator[Expiry]:
    """Yield the first end among the certificates of each configured authority."""
    for authority in authorities:
        yield from _first(
            ExpiryKind.AUTHORITY, authority.name, authority.roots, f"renew trust.{authority.name}.ca_file"
        )
        yield from _first(
            ExpiryKind.TSA, authority.name, authority.tsa_roots, f"renew trust.{authority.name}.tsa_ca_file"
        )


def of_tokens(tokens: Iterable[AdminToken], now: datetime) -> Iterator[Expiry]:
    """Yield the end of every admin token valid now; a token that already ended needs no warning."""
    for token in tokens:
        if token.revoked is None and token.expires > now:
            can = " ".join([" --role ".join(token.roles), *(f"--repository '{p}'" for p in token.repositories)])
            again = f"countersign tokens create NAME --role {can}, with another name, then replace it where it is used"
            yield Expiry(ExpiryKind.ADMIN_TOKEN, f"{token.name} ({token.id})", token.expires, again, token.created)


def of_lists(times: Mapping[str, tuple[datetime, datetime]]) -> Iterator[Expiry]:
    """Yield the end of each revocation list; a list made for one week does not cause a warning within it."""
    for name, (first, last) in times.items():
        yield Expiry(ExpiryKind.CRL, name, last, "see why no newer list comes: countersign status", first)


def of_files(settings: Settings) -> Iterator[Expiry]:
    """Yield the end of the certificates in configured files; unreadable files are reported elsewhere."""
    tls, admin, upstream = settings.server.tls, settings.admin, settings.upstream
    inner = None if admin.tls is None else admin.tls.cert
    files = [
        (
            ExpiryKind.SERVER_TLS,
            settings.server.url,
            None if tls is None else tls.cert,
            "renew server.tls.cert, then reload",
        ),
        (ExpiryKind.ADMIN_TLS, admin.listen, inner, "renew admin.tls.cert, then reload"),
        (ExpiryKind.ADMIN_CA, admin.listen, admin.client_ca, "renew admin.client_ca, then restart"),
        (ExpiryKind.UPSTREAM_CA, upstream.name, upstream.ca_file, "renew upstreams[0].ca_file, then restart"),
        (ExpiryKind.CLIENT_CERT, upstream.name, upstream.client_cert, "renew upstreams[0].client_cert, then restart"),
    ]
    for kind, name, file, renew in files:
        if file is not None:
            yield from _first(kind, name, _certificates(file), renew)
    stamps = settings.file.timestamps
    if stamps is not None:
        yield from _first(ExpiryKind.TSA, stamps.url, stamps.ca_file, "renew timestamps.ca_file, then restart")


class ExpirySources:
    """Collects the expiries of all sources. Upstream's certificate is fetched once an hour, the rest is local."""

    def __init__(
        self,
        settings: Callable[[], Settings],
        ports: Callable[[], Ports],
        tokens: AdminTokens,
        lists: Callable[[], Mapping[str, tuple[datetime, datetime]]],
        certificate: Callable[[], Awaitable[bytes | None]],
    ) -> None:
        """Each callable returns the values in force now; `certificate` the certificate that upstream presents."""
        self._settings = settings
        self._ports = ports
        self._tokens = tokens
        self._lists = lists
        self._certificate = certificate
        self._upstream: list[Expiry] = []
        self._fetched = -UPSTREAM_S

    async def __call__(self) -> list[Expiry]:
        """Return all expiries. Raises Unavailable."""
        settings, ports = self._settings(), self._ports()
        ring, at = ports.keybook.ring(), ports.clock.monotonic()
        if at - self._fetched >= UPSTREAM_S:
            self._fetched, self._upstream = at, await of_upstream(settings, self._certificate)
        return [
            *of_keys(ring.ours),
            *of_authorities(ring.authorities),
            *of_lists(self._lists()),
            *of_tokens(await self._tokens.all(), ports.clock.now()),
            *await in_files(settings),
            *self._upstream,
        ]


async def of_upstream(settings: Settings, certificate: Callable[[], Awaitable[bytes | None]]) -> list[Expiry]:
    """Return the end of the certificate that upstream presents now; empty if it has none or does not answer."""
    try:
        der = await certificate()
    except Unavailable:
        return []
    found = () if der is None else (der,)
    renew = "tell its operator"
    return list(_first(ExpiryKind.UPSTREAM_TLS, settings.upstream.url, found, renew))


async def in_files(settings: Settings) -> list[Expiry]:
    """Return `of_files`, read in a thread to keep the event loop free."""
    return await asyncio.to_thread(lambda: list(of_files(settings)))


def _first(kind: ExpiryKind, name: str, ders: Iterable[bytes], renew: str) -> Iterator[Expiry]:
    """Yield the expiry of the certificate that ends first, if any can be parsed."""
    found = []
    for der in ders:
        try:
            found.append(parse_certificate(der))
        except ValueError:
            continue
    if found:
        one = min(found, key=lambda certificate: certificate.not_valid_after_utc)
        yield Expiry(kind, name, one.not_valid_after_utc, renew, one.not_valid_before_utc)


def _certificates(path: Path) -> tuple[bytes, ...]:
    """Return the certificates of a PEM file that may also contain a key."""
    try:
        with path.open("rb") as opened:
            text = opened.read(PEM_BYTES)
    except OSError:
        return ()
    blocks = [b"-----BEGIN CERTIFICATE-----" + part for part in text.split(b"-----BEGIN CERTIFICATE-----")[1:]]
    ended = [block.partition(b"-----END CERTIFICATE-----") for block in blocks]
    try:
        return from_pem(b"\n".join(head + end for head, end, _ in ended if end))
    except ValueError:
        return ()
