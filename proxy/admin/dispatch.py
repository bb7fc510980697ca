"""The admin API: each call is authenticated, authorised, and journaled before it takes effect."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from itertools import islice
from typing import Any
from urllib.parse import parse_qsl

from pydantic import BaseModel, ValidationError

from proxy.admin.approve import hold, shown
from proxy.admin.callers import Callers, called
from proxy.admin.openapi import document
from proxy.admin.operation import ROOT, Operation, Route, Scope, below_root, reason_of
from proxy.admin.operation import Call as OperationCall
from proxy.admin.ports import AdminTokens
from proxy.admin.rate import ADDRESS, TokenBucket, place
from proxy.admin.shapes import DryRun, Held, Nothing, Plan, kept
from proxy.admin.wording import complaints
from proxy.journal.event import Event, EventKind
from proxy.journal.port import Journal
from proxy.oci.faults import Corrupt, Fault, Forbidden, Invalid, NotFound, Unavailable, quoted
from proxy.oci.strict_json import loads
from proxy.registry.ports_in_use import Ports
from proxy.registry.request import Response
from proxy.trust.actor import ON_THE_HOST, Actor
from proxy.trust.names import redacted
from proxy.trust.roles import holders, permitted
from proxy.web.call import Call, small_body
from proxy.web.outermost import Inner

JSON_DEPTH = 4
ROW_S = 0.25  # seconds that a call which explains an outage waits for its row


class AdminApi:
    """Answers calls under /admin/v1: on the network with a token or certificate, on the Unix socket without."""

    def __init__(
        self,
        operations: Sequence[Operation],
        ports: Callable[[], Ports],
        services: Mapping[type, Any],
        journal: Journal,
        dual: Callable[[], bool],
        by_certificate: Callable[[bytes], Actor | None] = lambda _: None,
    ) -> None:
        """`ports` returns the ports in force; `services` holds what operations `use`, by its port.

        `dual` says whether some calls need a second person. `by_certificate` returns the holder of a client
        certificate. Raises ValueError when two operations have one name.
        """
        clock = ports().clock
        self._operations = {each.route.name: each for each in operations}
        self._routes = tuple(each.route for each in operations)
        if len(self._operations) != len(self._routes):
            raise ValueError("two operations have the same name")
        self._ports = ports
        self._services = services
        self._journal = journal
        self._dual = dual
        self._callers = Callers(services[AdminTokens], journal, clock, by_certificate)
        self._by_address = TokenBucket(ADDRESS, clock.monotonic)
        self._writing: set[asyncio.Future[None]] = set()

    @cached_property
    def _openapi(self) -> bytes:
        return json.dumps(document(self._routes)).encode()

    def over_network(self, other: Inner) -> Inner:
        """Return the handler of the admin listener; paths outside /admin/v1 go to `other`."""

        async def answer(call: Call) -> Response:
            if not below_root(call.path):
                return await other(call)
            if call.path == f"{ROOT}/openapi.json":
                self._by_address.take(place(call.address))
                return self._describe(call)
            return await self._act(call, await self._callers.actor(call))

        return answer

    def over_socket(self) -> Inner:
        """Return the handler of the Unix socket: a caller who can open it administers this host and has every role."""

        return lambda call: self._act(call, ON_THE_HOST)

    def _describe(self, call: Call) -> Response:
        if call.method != "GET":
            raise Fault("UNSUPPORTED", f"{call.path} takes GET", headers={"Allow": "GET"})
        return Response(200, (("content-type", "application/json"),), self._openapi)

    async def _act(self, call: Call, actor: Actor) -> Response:
        route, places = _route(call, self._routes)
        call.kind = route.path
        if not permitted(actor.roles, route.permission):
            await self._callers.refused(call, f"needs {route.permission}", actor)
            has, needs = ", ".join(actor.roles), ", ".join(holders(route.permission))
            raise Forbidden(
                f"token {quoted(actor.name)} has only the role {has}; this needs one of: {needs}; "
                "a policy-admin or key-admin makes such a token: countersign tokens create NAME --role ROLE"
            )
        query = _query(route.asks or Nothing, call)
        body = await _body(route, call)
        await self._callers.still(call, actor)
        actor = replace(actor, reason=reason_of(body), request_id=call.request_id)
        ports, operation = self._ports(), self._operations[route.name]
        this = OperationCall(actor, ports.clock.now(), ports, self._services, self._operations, places, query, body)
        await self._within(call, operation, this)
        dry = isinstance(query, DryRun) and query.dry_run
        recording = (
            self._journal.counted(_reading(call, this, route))
            if route.reads
            else self._journal.record(_changing(call, this, dry))
        )
        if route.unrecorded and actor.on_the_host:
            await self._record_soon(recording)
        else:
            await recording
        if dry:
            return _answer(200, Plan(plan=await operation.planned(this), affects=await operation.affected(this)))
        if route.dual_control and self._dual() and not (operation.alone is not None and await operation.alone(this)):
            return _answer(202, Held(approval=shown(await hold(operation, this))))
        return _answer(route.status, await operation.execute(this))

    async def _record_soon(self, recording: Coroutine[Any, Any, None]) -> None:
        """Record a call that explains an outage. A store that is away costs the row, and the call hardly any time."""
        writing = asyncio.ensure_future(recording)
        self._writing.add(writing)
        writing.add_done_callback(self._written)
        done, _ = await asyncio.wait({writing}, timeout=ROW_S)
        with suppress(Unavailable):
            for each in done:
                each.result()

    def _written(self, writing: asyncio.Future[None]) -> None:
        self._writing.discard(writing)
        if not writing.cancelled():
            writing.exception()  # seen: a store that went away meanwhile is told as a problem

    async def _within(self, call: Call, operation: Operation, this: OperationCall) -> None:
        """Raise Fault 403 if the call is about something outside this token's repositories."""
        actor, scope = this.actor, operation.route.scope
        if not actor.scope or scope in (Scope.NEUTRAL, Scope.LIST):
            return
        named = "" if operation.repository is None else await operation.repository(this)
        if named is None or (named and actor.may_see(named)):
            return
        await self._callers.refused(call, "outside its repositories", actor)
        own = ", ".join(actor.scope)
        asks = f"not for {named}" if named else "and this call names none of them"
        hint = "name one of them" if scope is Scope.ONE else "it needs a token for all repositories"
        raise Forbidden(f"token {quoted(actor.name)} is for {own}, {asks}; {hint}")


def _changing(call: Call, this: OperationCall, dry: bool) -> Event:
    """Return the row of one call that may change something."""
    given = {} if this.body is None else {"given": kept(this.body)}
    detail = {"call": called(call), "from": call.address, **given, **({"dry_run": True} if dry else {})}
    who, how = this.actor.name, this.actor.authenticated_by
    return Event(this.now, EventKind.ADMIN_CALLED, who, how, request_id=call.request_id, detail=detail)


def _reading(call: Call, this: OperationCall, route: Route) -> Event:
    """Return the row that counts the calls of one reader in one hour; it has the filters of the first."""
    given = {name: value for name, value in kept(this.query).items() if name != "cursor"}
    detail = {"call": called(call), "from": call.address, **({"given": given} if given else {})}
    who, how = this.actor.name, this.actor.authenticated_by
    return Event(
        this.now, EventKind.AUDIT_READ, who, how, reference=route.name, request_id=call.request_id, detail=detail
    )


def _answer(status: int, result: BaseModel) -> Response:
    headers = (("content-type", "application/json"), ("cache-control", "no-store"))
    return Response(status, headers, result.model_dump_json().encode())


def _route(call: Call, routes: Sequence[Route]) -> tuple[Route, Mapping[str, str]]:
    there = [(route, places) for route in routes if (places := route.match(call.path)) is not None]
    if not there:
        if why := next((why for route in routes if (why := route.misplaced(call.path)) is not None), None):
            raise NotFound(why, "invalid_path")
        text = f"nothing is at {quoted(redacted(call.path))}; see GET {ROOT}/openapi.json on the admin listener"
        raise NotFound(text, "no_such_call")
    for route, places in there:
        if route.method == call.method:
            return route, places
    allowed = ", ".join(route.method for route, _ in there)
    raise Fault("UNSUPPORTED", f"{call.path} takes {allowed}", headers={"Allow": allowed})


def _query(shape: type[BaseModel], call: Call) -> BaseModel:
    try:
        pairs = parse_qsl(call.query, keep_blank_values=True, max_num_fields=20)
    except ValueError:
        raise Invalid("more than 20 query parameters") from None
    if len(dict(pairs)) != len(pairs):
        raise Invalid("query parameter given twice: send each once")
    try:
        return shape.model_validate_strings(dict(pairs))
    except ValidationError as wrong:
        raise _misunderstood("query", wrong, shape) from None


async def _body(route: Route, call: Call) -> BaseModel | None:
    sent, shape = await small_body(call, route.body_bytes), route.body
    if shape is None:
        if sent:
            raise Invalid(f"{call.method} {call.path} takes no body: leave it out")
        return None
    try:
        loads(sent, JSON_DEPTH)
    except Corrupt as error:
        raise Invalid(f"the body is not understood: {error.what}; send one JSON object") from None
    try:
        return shape.model_validate_json(sent)
    except ValidationError as wrong:
        raise _misunderstood("body", wrong, shape) from None


def _misunderstood(part: str, wrong: ValidationError, shape: type[BaseModel]) -> Fault:
    """Return a Fault that names each invalid field, what is wrong with it and what is right."""
    found = islice(complaints(wrong, shape), 10)
    told = ((each.field or part) + ("" if each.at is None else f".{each.at}") + f": {each.why}" for each in found)
    return Invalid(f"{part} not understood: {'; '.join(told)}")
