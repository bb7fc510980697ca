"""The revocation lists named by `trust` entries: fetched before they are needed, kept while they are in force."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from structlog.typing import FilteringBoundLogger

from proxy.formats.revocation import Crl, forged, last_update, next_update, parse_crl
from proxy.journal.problem import Problem, ProblemId
from proxy.oci.faults import Unavailable
from proxy.oci.limits import Limits
from proxy.store.clock import Clock
from proxy.trust.authority import Authority
from proxy.trust.keys import KeyRing, Trusted
from proxy.upstream.outbound import Outbound

AGAIN = timedelta(hours=1)  # the longest time between two fetches, however long a list is in force
RETRY = timedelta(minutes=1)
LOOK_S = 15.0
FILES = ("http://", "https://")


@dataclass
class _Source:
    """One file or URL: its newest list, the time of the last fetch, and the error of that fetch."""

    der: Crl | None = None
    tried: datetime | None = None
    wrong: str | None = None


class RevocationLists:
    """The current content of configured lists. No request waits for a fetch."""

    def __init__(
        self, trusted: Callable[[], Iterable[Trusted]], outbound: Outbound, limits: Limits, clock: Clock,
        log: FilteringBoundLogger,
    ) -> None:  # fmt: skip
        """`trusted` returns the entries in force; `refresh` fetches their sources."""
        self._trusted = trusted
        self._outbound = outbound
        self._limits = limits
        self._clock = clock
        self._log = log
        self._sources: dict[str, _Source] = {}
        self._latest: tuple[KeyRing, list[tuple[bytes, ...]], KeyRing] | None = None  # what `known` returned

    def known(self, ring: KeyRing) -> KeyRing:
        """Return the key ring with the known lists added to each authority that uses lists."""
        if not ring.authorities or not any(authority.crl for authority in ring.authorities):
            return ring
        lists = [self._lists(authority) for authority in ring.authorities]
        if self._latest is None or self._latest[0] is not ring or self._latest[1] != lists:
            authorities = (replace(a, lists=found) for a, found in zip(ring.authorities, lists, strict=True))
            self._latest = ring, lists, replace(ring, authorities=tuple(authorities))
        return self._latest[2]

    def _lists(self, authority: Authority) -> tuple[bytes, ...]:
        found = (self._sources[name].der for name in authority.crl if name in self._sources)
        return tuple(der for der in found if der is not None)

    def times(self) -> dict[str, tuple[datetime, datetime]]:
        """Return the start and end of validity of each known list, by its source."""
        there = {name: source.der for name, source in self._sources.items() if source.der is not None}
        return {name: (last_update(der), next_update(der)) for name, der in there.items()}

    def problems(self, server: str = "") -> list[Problem]:
        """Return a problem with its effect for each source that has no valid list."""
        now = self._clock.now()
        found = []
        for name, source in self._sources.items():
            over = source.der is None or now > next_update(source.der)
            if over and source.wrong is not None:
                found.append(
                    Problem(
                        ProblemId.REVOCATION_LIST,
                        f"no revocation list in force from {name}: {source.wrong}",
                        "pulls of images signed under that authority, unless `crl_unavailable: allow`",
                        _look_at(name),
                        about=name,
                        server=server,
                    )
                )
        return found

    async def refresh(self, trusted: Iterable[Trusted] | None = None) -> None:
        """Fetch the sources that are due, or all of `trusted`, soon to be in force. A failure keeps the known lists."""
        entries = [each for each in (self._trusted() if trusted is None else trusted) if isinstance(each, Authority)]
        wanted: dict[str, set[bytes]] = {}
        for each in entries:
            for name in each.crl:
                wanted.setdefault(name, set()).update(each.roots)
        if trusted is None:
            self._sources = {name: source for name, source in self._sources.items() if name in wanted}
        due = {name for name in wanted if trusted is not None or self._due(name)}
        await asyncio.gather(*(self._ask(name, wanted[name]) for name in due))

    def _due(self, name: str) -> bool:
        source, now = self._sources.setdefault(name, _Source()), self._clock.now()
        if source.tried is None or source.tried > now:  # never fetched, or the clock was turned back
            return True
        over = source.wrong is not None or source.der is None or now > next_update(source.der)
        return now - source.tried >= (RETRY if over else AGAIN)

    async def _ask(self, name: str, issuers: Collection[bytes]) -> None:
        """Fetch a list. A forged, older or future list is refused: replacing a list can undo its revocations."""
        source = self._sources.setdefault(name, _Source())
        source.tried = self._clock.now()
        try:
            der = await asyncio.to_thread(_parsed, await self._read(name), source.der)  # a large list takes long
            if (why := forged(der, issuers)) is not None:
                raise ValueError(why)
            if last_update(der) > self._clock.now():
                raise ValueError(f"it is of {last_update(der):%Y-%m-%d %H:%M}, which is in the future")
            if source.der is not None and last_update(der) < last_update(source.der):
                raise ValueError(
                    f"it is older than the list we have, which is of {last_update(source.der):%Y-%m-%d %H:%M}"
                )
        except (Unavailable, ValueError) as wrong:
            why = wrong.what if isinstance(wrong, Unavailable) else str(wrong)
            if why != source.wrong:
                self._log.error("revocation list not available", source=name, why=why)
            source.wrong = why
            return
        source.der, source.wrong = der, None

    async def _read(self, name: str) -> bytes:
        limit = self._limits.crl_bytes
        if name.startswith(FILES):
            return await self._outbound.get(name, limit=limit, seconds=self._limits.outbound_deadline_s)
        return await asyncio.to_thread(_file, Path(name), limit)


def _look_at(name: str) -> str:
    """Return a command that shows whether the list is available, its issuer, and its validity."""
    shown = "openssl crl -noout -issuer -lastupdate -nextupdate"
    return f"curl -fsS {shlex.quote(name)} | {shown}" if name.startswith(FILES) else f"{shown} -in {shlex.quote(name)}"


def _parsed(data: bytes, before: Crl | None) -> Crl:
    """Return the list with its revoked entries already decoded for later verdicts. Raises ValueError."""
    new = parse_crl(data)
    if new == before:
        return before
    _ = new.revoked
    return new


def _file(path: Path, limit: int) -> bytes:
    try:
        with path.open("rb") as opened:
            data = opened.read(limit + 1)
    except OSError as error:
        raise Unavailable(f"{path}: {error.strerror}") from None
    if len(data) > limit:
        raise Unavailable(f"{path}: more than {limit} bytes (limits.crl_bytes)")
    return data
