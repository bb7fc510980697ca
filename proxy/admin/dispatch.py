"""The admin API: each call is authenticated, authorised, and journaled before it takes effect."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Any, TypeVar
from urllib.parse import parse_qsl

from pydantic import BaseModel, ValidationError

from proxy.admin.callers import ON_THE_HOST as ON_THE_HOST
from proxy.admin.callers import Callers, called
from proxy.admin.callers import Holder as Holder
from proxy.admin.openapi import document
from proxy.admin.operation import ROOT, Operation, Route, Scope, reason_of
from proxy.admin.operation import Call as OperationCall
from proxy.admin.rate import ADDRESS, TokenBucket, place
from proxy.admin.shapes import DryRun, Held, Nothing, Plan, kept
from proxy.admin.tokens_port import AdminTokens
from proxy.journal.event import Event, EventKind
from proxy.journal.port import Journal
from proxy.oci.faults import Corrupt, Fault
from proxy.oci.strict_json import loads
from proxy.registry.ports_in_use import Ports
from proxy.registry.request import Response
from proxy.store.clock import Clock
from proxy.trust.actor import Actor
from proxy.trust.allotment import rank_of
from proxy.trust.roles import holders, permitted
from proxy.trust.token_text import redacted
from proxy.web.call import Call, small_body
from proxy.web.outermost import Inner

JSON_DEPTH = 4
T = TypeVar("T")


@dataclass(frozen=True)
class Acting:
    """One permitted call, parsed and validated: `query` and `body` have the types named by its route."""

    holder: Holder
    request_id: str
    path_params: Mapping[str, str]
    query: BaseModel | None = None
    body: BaseModel | None = None
    agreed_by: str = ""  # the second person, if the call needed approval


Action = Callable[[Acting], Awaitable[BaseModel]]
Alone = Callable[[Acting], Awaitable[bool]]
Planned = Callable[[Acting], Awaitable[tuple[str, ...]]]  # raises Fault if the call would be refused
Holds = Callable[[Route, Acting], Awaitable[Held | None]]  # holds a call for a second person; None: it needs none
About = Callable[[Acting], Awaitable[str]]  # the repository a call names; empty if it names none


@dataclass(frozen=True)
class Topic:
    """The actions of one topic's routes by route name, with their plans and the repositories they are about.

    `alone` tells, for a route that may need a second person, which calls need none.
    """

    actions: Mapping[str, Action]
    plans: Mapping[str, Planned] = field(default_factory=dict)
    about: Mapping[str, About] = field(default_factory=dict)
    holds: Holds | None = None
    alone: Mapping[str, Alone] = field(default_factory=dict)


def topic_of(
    operations: Sequence[Operation], ports: Callable[[], Ports], services: Mapping[type, Any] = MappingProxyType({})
) -> Topic:
    """Return the actions of these operations. `ports` returns the current ports; `services` holds other objects."""

    def called_by(acting: Acting) -> OperationCall:
        now, holder = ports(), acting.holder
        return OperationCall(
            actor=actor_of(acting),
            now=now.clock.now(),
            ports=now,
            path_params=acting.path_params,
            query=acting.query,
            body=acting.body,
            may_see=holder.may_see,
            roles=holder.roles,
            on_the_host=holder is ON_THE_HOST,
            agreed_by=acting.agreed_by,
            services=services,
        )

    def does(each: Operation) -> Action:
        if each.route.body is None:
            return lambda acting: each.run(called_by(acting))
        return lambda acting: each.run(called_by(acting), acting.body)

    def told(by: Callable[[OperationCall], Awaitable[T]]) -> Callable[[Acting], Awaitable[T]]:
        return lambda acting: by(called_by(acting))

    return Topic(
        {each.route.name: does(each) for each in operations},
        {each.route.name: told(each.plan) for each in operations if each.plan is not None},
        {each.route.name: told(each.repository) for each in operations if each.repository is not None},
        alone={each.route.name: told(each.alone) for each in operations if each.alone is not None},
    )


def actor_of(acting: Acting) -> Actor:
    """Return the caller and the reason, in the form that feature functions take."""
    holder = acting.holder
    rank = rank_of(holder.roles, holder.repositories)
    return Actor(holder.who, holder.how, reason_of(acting.body), acting.request_id, rank)


class AdminApi:
    """Answers calls under /admin/v1: on the network with a token or certificate, on the Unix socket without."""

    def __init__(
        self,
        routes: Sequence[Route],
        topics: Sequence[Topic],
        tokens: AdminTokens,
        journal: Journal,
        clock: Clock,
        by_certificate: Callable[[bytes], Holder | None] = lambda _: None,
    ) -> None:
        """`routes` is every route; `topics` hold their actions by name.

        `by_certificate` returns the holder of a client certificate. Raises ValueError unless each route has one action.
        """
        self._routes = tuple(routes)
        self._actions = {name: action for topic in topics for name, action in topic.actions.items()}
        self._plans = {name: plan for topic in topics for name, plan in topic.plans.items()}
        if set(self._actions) != {route.name for route in routes}:
            raise ValueError(
                f"routes without an action or the reverse: {set(self._actions) ^ {r.name for r in routes}}"
            )
        self._about = {name: about for topic in topics for name, about in topic.about.items()}
        if set(self._about) != {route.name for route in routes if route.scope is Scope.ONE}:
            raise ValueError(f"routes about a repository that nobody names, or the reverse: {sorted(self._about)}")
        self._holds = next((topic.holds for topic in topics if topic.holds is not None), None)
        if self._holds is None:
            raise ValueError("nothing keeps calls for a second person")
        if set(self._plans) != {route.name for route in routes if route.plans}:
            raise ValueError(f"plans without a route or the reverse: {sorted(self._plans)}")
        self._journal = journal
        self._clock = clock
        self._callers = Callers(tokens, journal, clock, by_certificate)
        self._by_address = TokenBucket(ADDRESS, clock.monotonic)

    @cached_property
    def _openapi(self) -> bytes:
        return json.dumps(document(self._routes)).encode()

    def over_network(self, other: Inner) -> Inner:
        """Return the handler of the admin listener; paths outside /admin/v1 go to `other`."""

        async def answer(call: Call) -> Response:
            if not call.path.startswith(f"{ROOT}/"):
                return await other(call)
            if call.path == f"{ROOT}/openapi.json":
                self._by_address.take(place(call.address))
                return self._describe(call)
            return await self._act(call, await self._callers.holder(call))

        return answer

    def over_socket(self, other: Inner) -> Inner:
        """Return the handler of the Unix socket: a caller who can open it administers this host and has every role."""

        async def answer(call: Call) -> Response:
            if not call.path.startswith(f"{ROOT}/"):
                return await other(call)
            return await self._act(call, ON_THE_HOST)

        return answer

    def _describe(self, call: Call) -> Response:
        if call.method != "GET":
            raise Fault("UNSUPPORTED", f"{call.path} takes GET", headers={"Allow": "GET"})
        return Response(200, (("content-type", "application/json"),), self._openapi)

    async def _act(self, call: Call, holder: Holder) -> Response:
        route, places = _route(call, self._routes)
        call.kind = route.path
        if not permitted(holder.roles, route.permission):
            await self._callers.refused(call, f"needs {route.permission}", holder)
            has, needs = ", ".join(holder.roles), ", ".join(holders(route.permission))
            raise Fault(
                "DENIED",
                f"token {holder.who!a} has only the role {has}; this needs one of: {needs}; "
                "a policy-admin or key-admin makes such a token: countersign tokens create NAME --role ROLE",
            )
        query = _query(route.asks or Nothing, call)
        body = await _body(route, call)
        await self._callers.still(call, holder)
        acting = Acting(holder, call.request_id, places, query, body)
        await self._within(call, route, acting)
        given = {} if body is None else {"given": kept(body)}
        dry = {"dry_run": True} if isinstance(query, DryRun) and query.dry_run else {}
        detail = {"call": called(call), "from": call.address, **given, **dry}
        now, asked = self._clock.now(), call.request_id
        event = Event(now, EventKind.ADMIN_CALLED, holder.who, holder.how, request_id=asked, detail=detail)
        await self._journal.record(event)
        if isinstance(query, DryRun) and query.dry_run:
            return _answer(200, Plan(plan=await self._plans[route.name](acting)))
        if route.dual_control and self._holds is not None and (held := await self._holds(route, acting)) is not None:
            return _answer(202, held)
        return _answer(route.status, await self._actions[route.name](acting))

    async def _within(self, call: Call, route: Route, acting: Acting) -> None:
        """Raise Fault 403 if the call is about something outside this token's repositories."""
        holder = acting.holder
        if not holder.repositories or route.scope in (Scope.NEUTRAL, Scope.LIST):
            return
        named = await self._about[route.name](acting) if route.scope is Scope.ONE else ""
        if named and holder.may_see(named):
            return
        await self._callers.refused(call, "outside its repositories", holder)
        own = ", ".join(holder.repositories)
        asks = f"not for {named}" if named else "and this call names none of them"
        hint = "name one of them" if route.scope is Scope.ONE else "it needs a token for all repositories"
        raise Fault("DENIED", f"token {holder.who!a} is for {own}, {asks}; {hint}")


def _answer(status: int, result: BaseModel) -> Response:
    headers = (("content-type", "application/json"), ("cache-control", "no-store"))
    return Response(status, headers, result.model_dump_json().encode())


def _route(call: Call, routes: Sequence[Route]) -> tuple[Route, Mapping[str, str]]:
    there = [(route, places) for route in routes if (places := route.match(call.path)) is not None]
    if not there:
        text = f"nothing is at {redacted(call.path)!a}; what there is: GET {ROOT}/openapi.json on the admin listener"
        raise Fault("NAME_UNKNOWN", text)
    for route, places in there:
        if route.method == call.method:
            return route, places
    allowed = ", ".join(route.method for route, _ in there)
    raise Fault("UNSUPPORTED", f"{call.path} takes {allowed}", headers={"Allow": allowed})


def _query(shape: type[BaseModel], call: Call) -> BaseModel:
    try:
        pairs = parse_qsl(call.query, keep_blank_values=True, max_num_fields=20)
    except ValueError:
        raise Fault("UNSUPPORTED", "more than 20 query parameters", status=400) from None
    if len(dict(pairs)) != len(pairs):
        raise Fault("UNSUPPORTED", "query parameter given twice: send each once", status=400)
    try:
        return shape.model_validate_strings(dict(pairs))
    except ValidationError as wrong:
        raise _misunderstood("query", wrong) from None


async def _body(route: Route, call: Call) -> BaseModel | None:
    sent, shape = await small_body(call, route.body_bytes), route.body
    if shape is None:
        if sent:
            raise Fault("UNSUPPORTED", f"{call.method} {call.path} takes no body: leave it out", status=400)
        return None
    try:
        loads(sent, JSON_DEPTH)
    except Corrupt as error:
        raise Fault(
            "UNSUPPORTED", f"the body is not understood: {error.what}; send one JSON object", status=400
        ) from None
    try:
        return shape.model_validate_json(sent)
    except ValidationError as wrong:
        raise _misunderstood("body", wrong) from None


def _misunderstood(part: str, wrong: ValidationError) -> Fault:
    """Return a Fault that names each invalid field and why, but no values: a value may be a misplaced secret."""
    errors: list[Any] = wrong.errors(include_url=False, include_input=False, include_context=False)
    told = "; ".join(f"{'.'.join(map(str, each['loc'])) or part}: {each['msg']}" for each in errors[:10])
    return Fault("UNSUPPORTED", f"{part} not understood: {told}", status=400)
