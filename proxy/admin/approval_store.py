"""Approval requests, stored in a table."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from proxy.admin.approval import Approval, ApprovalState, Person, request_there
from proxy.journal.event import Event
from proxy.journal.store import append_rows
from proxy.store.database import Database
from proxy.store.tables import approvals
from proxy.trust.allotment import Allotment
from proxy.trust.roles import Role

Change = Callable[[Approval], Approval | None]


class StoredApprovals:
    """The Approvals port on a database. All calls raise Unavailable."""

    def __init__(self, database: Database) -> None:
        """Use this database."""
        self._database = database

    async def add(self, approval: Approval, event: Event, room: Allotment | None = None) -> Approval:
        """Store a new request and its journal row in one transaction, and return the request; durable on return.

        If the same person has already requested the same call, nothing is stored and that request is returned. Raises
        ValueError when the allotment `room` is full (None: no limit).
        """
        return await self._database.write(partial(_add, approval=approval, event=event, room=room))

    async def find(self, approval_id: str) -> Approval | None:
        """Return the request with this id, or None."""
        return await self._database.read(partial(_find, approval_id=approval_id))

    async def change(self, approval_id: str, change: Change) -> Approval | None:
        """Replace the request by the result of `change`, in one transaction; None if the request stays unchanged."""
        return await self._database.write(partial(_change, approval_id=approval_id, change=change))

    async def page(self, state: ApprovalState | None, limit: int, skip: int) -> tuple[Approval, ...]:
        """Return requests in this state (None: any), newest first."""
        return await self._database.read(partial(_page, state=state, limit=limit, skip=skip))

    async def overdue(self, now: datetime) -> tuple[Approval, ...]:
        """Return undecided requests that have passed their expiry time."""
        return await self._database.read(partial(_overdue, now=now))


def _add(connection: Connection, approval: Approval, event: Event, room: Allotment | None) -> Approval:
    pending = select(approvals).where(approvals.c.state == ApprovalState.PENDING.value)
    there = request_there(approval, map(_approval, connection.execute(pending)), room)
    if there is None:
        append_rows(connection, (event,))
        connection.execute(insert(approvals).values(_values(approval)))
    return there or approval


def _find(connection: Connection, approval_id: str, *, lock: bool = False) -> Approval | None:
    query = select(approvals).where(approvals.c.id == approval_id)
    row = connection.execute(query.with_for_update() if lock else query).one_or_none()
    return None if row is None else _approval(row)


def _change(connection: Connection, approval_id: str, change: Change) -> Approval | None:
    there = _find(connection, approval_id, lock=True)
    wanted = None if there is None else change(there)
    if wanted is not None:
        connection.execute(update(approvals).where(approvals.c.id == approval_id).values(_values(wanted)))
    return wanted


def _page(connection: Connection, state: ApprovalState | None, limit: int, skip: int) -> tuple[Approval, ...]:
    query = select(approvals).order_by(approvals.c.created.desc(), approvals.c.id.desc()).limit(limit).offset(skip)
    if state is not None:
        query = query.where(approvals.c.state == state.value)
    return tuple(_approval(row) for row in connection.execute(query))


def _overdue(connection: Connection, now: datetime) -> tuple[Approval, ...]:
    waits = approvals.c.state == ApprovalState.PENDING.value
    query = select(approvals).where(waits, approvals.c.expires <= now).order_by(approvals.c.created)
    return tuple(_approval(row) for row in connection.execute(query))


_PLAIN = ("id", "route", "body", "request_id", "created", "expires", "decided", "note")


def _values(approval: Approval) -> dict[str, Any]:
    by = approval.decided_by
    return {
        **{name: getattr(approval, name) for name in _PLAIN},
        "places": json.dumps(dict(approval.places)),
        "plan": json.dumps(approval.plan),
        "who": approval.by.who,
        "how": approval.by.how,
        "token_id": approval.by.token_id,
        "roles": json.dumps([role.value for role in approval.roles]),
        "state": approval.state.value,
        "decided_by": None if by is None else json.dumps([by.who, by.how, by.token_id]),
        "given": json.dumps(dict(approval.given)),
    }


def _approval(row: Row[Any]) -> Approval:
    return Approval(
        **{name: getattr(row, name) for name in _PLAIN},
        places=json.loads(row.places),
        plan=tuple(json.loads(row.plan)),
        by=Person(row.who, row.how, row.token_id),
        roles=tuple(Role(name) for name in json.loads(row.roles)),
        state=ApprovalState(row.state),
        decided_by=None if row.decided_by is None else Person(*json.loads(row.decided_by)),
        given=json.loads(row.given),
    )
