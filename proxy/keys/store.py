"""Our keys and their states in a table, with the text of every key book revision."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial

from sqlalchemy import Column, Connection, LargeBinary, Table, Text, insert, select, update

from proxy.journal.event import Event
from proxy.journal.rows import append_rows, keep_text
from proxy.keys.ring import ring_of, text_of, with_active, with_added, with_amended, with_state
from proxy.store.database import Database
from proxy.store.own_connection import Reader
from proxy.store.tables import BIG, Chosen, Instant, Json, metadata, value_of, values_of
from proxy.store.versions import bump
from proxy.trust.keys import Amendment, BookKey, KeyRing, KeyState, Trusted

KEYBOOK = "keybook"  # the kind of its revisions
_Keys = tuple[BookKey, ...]
_TEXTS = ("profile", "token", "token_serial", "key_id", "label", "algorithm")
keys = Table(
    "keys",
    metadata,
    Column("id", BIG, primary_key=True, autoincrement=True),
    Column("fingerprint", Text, nullable=False, unique=True),
    *(Column(name, Text, nullable=False) for name in _TEXTS),
    Column("spki", LargeBinary, nullable=False),
    Column("state", Chosen(KeyState), nullable=False),
    Column("since", Instant, nullable=False),
    Column("compromised_since", Instant),
    Column(
        "chain",  # hex DER, leaf to root
        Json(lambda chain: tuple(map(bytes.fromhex, chain)), lambda chain: [each.hex() for each in chain]),
        nullable=False,
        server_default="[]",
    ),
    *(Column(name, Instant) for name in ("activate_at", "signs_until", "retire_after", "backup_at")),
)


class StoredKeyBook:
    """The KeyBook port on a database; `ring` answers from memory. Changes raise Unavailable."""

    def __init__(self, database: Database, trusted: tuple[Trusted, ...], reader: Reader | None = None) -> None:
        """Use this database, and `reader` for reading again; call `refresh` or `trust` before the first `ring`.

        `trusted` are the keys of others.
        """
        self._database = database
        self._reader = reader or database
        self._trusted = trusted
        self._ring = ring_of((), trusted)
        self._changed = 0  # counts this process's own changes
        self.unsure = False

    def ring(self) -> KeyRing:
        return self._ring

    async def refresh(self) -> None:
        """Read the book again: another process may have changed it."""
        before = self._changed
        ours = await self._reader.read(_all)
        if self._changed == before:
            self._ring = ring_of(ours, self._trusted)
        # the result may lack our change, and memory may lack changes in the result
        self.unsure = self._changed != before

    async def trust(self, trusted: tuple[Trusted, ...], also: Callable[[], None] | None = None) -> None:
        """Put the configured keys of others in force; the revision changes with them.

        `also` runs at the same moment: names now refer to other keys, so the policies that use them must change too.
        """
        await self._change(lambda there: there, trusted, also)

    async def add(self, key: BookKey, *, after: str | None = None, record: tuple[Event, ...] = ()) -> None:
        await self._change(partial(with_added, key=key, after=after), self._trusted, record=record)

    async def set_state(
        self,
        fingerprint: str,
        state: KeyState,
        at: datetime,
        *,
        since: datetime | None = None,
        was: KeyState | None = None,
        record: tuple[Event, ...] = (),
    ) -> None:
        change = partial(with_state, which=fingerprint, state=state, at=at, since=since, was=was)
        await self._change(change, self._trusted, record=record)

    async def activate(
        self,
        fingerprint: str,
        at: datetime,
        *,
        signs_until: datetime | None = None,
        retire_after: datetime | None = None,
        record: tuple[Event, ...] = (),
    ) -> None:
        change = partial(with_active, which=fingerprint, at=at, signs_until=signs_until, retire_after=retire_after)
        await self._change(change, self._trusted, record=record)

    async def amend(self, fingerprint: str, changes: Amendment, *, record: tuple[Event, ...] = ()) -> None:
        await self._change(partial(with_amended, which=fingerprint, changes=changes), self._trusted, record=record)

    async def _change(
        self,
        change: Callable[[_Keys], _Keys],
        trusted: tuple[Trusted, ...],
        also: Callable[[], None] | None = None,
        record: tuple[Event, ...] = (),
    ) -> None:
        def then(ours: _Keys | None) -> None:
            self._changed += 1
            if ours is None:
                self.unsure = True
            else:
                self._trusted = trusted
                self._ring = ring_of(ours, trusted)
                if also is not None:
                    also()

        await self._database.write(partial(_change, trusted=trusted, change=change, record=record), then)


def _change(
    connection: Connection,
    trusted: tuple[Trusted, ...],
    change: Callable[[_Keys], _Keys],
    record: tuple[Event, ...],
) -> _Keys:
    """Change the book, store its new text and journal the change, in one transaction."""
    there = {key.fingerprint: key for key in _all(connection, lock=True)}
    ours = change(tuple(there.values()))
    if ours != tuple(there.values()):
        bump(connection, KEYBOOK)
    for key in ours:
        name = key.fingerprint
        if name not in there:
            connection.execute(insert(keys).values(fingerprint=name, **values_of(key)))
        elif there[name] != key:
            connection.execute(update(keys).where(keys.c.fingerprint == name).values(values_of(key)))
    ring = ring_of(ours, trusted)
    keep_text(connection, KEYBOOK, ring.revision, text_of(ours, trusted))
    if record:
        append_rows(connection, record)
    return ours


def _all(connection: Connection, *, lock: bool = False) -> _Keys:
    query = select(keys).order_by(keys.c.id)
    return tuple(value_of(BookKey, row) for row in connection.execute(query.with_for_update() if lock else query))
