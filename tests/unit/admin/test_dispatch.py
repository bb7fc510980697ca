"""The admin API answers as its own document says, whatever it is sent."""

import json
from typing import Any

import pytest

from proxy.admin.dispatch import AdminApi
from proxy.admin.http_problems import PROBLEM
from proxy.admin.openapi import document
from proxy.admin.operation import Route, Scope
from proxy.admin.shapes import Problem
from proxy.journal.event import EventKind
from proxy.server.operations import ROUTES
from proxy.trust.keys import KeyState
from proxy.trust.roles import Role
from tests.worlds.admin import Admin, Reply, admin
from tests.worlds.images import image

PROMISED = document(ROUTES)["paths"]
WHY = {"reason": "because"}
ODD_BODIES: tuple[object, ...] = (
    None, b"", b"{", b"[]", b"null", b'"x"', b"\xff", b'{"reason":"a","reason":"b"}', b"[" * 5000,
    {}, {"reason": ""}, {"reason": 1}, {"reason": "x\ny"}, {"reason": "x\n"}, {"reason": "\ud800"},
    {"reason": "x" * 501}, {**WHY, "more": 1}, {"reason": None},
    {**WHY, "rotate": "yes"}, {"name": "x", "roles": []}, {"name": "x", "roles": ["root"]},
    {"name": "", "roles": ["viewer"]},
    {"name": "x", "roles": ["viewer"], "valid_days": 0}, {"name": "x", "roles": ["viewer"], "valid_days": 367},
    {"name": "x", "roles": ["viewer"], "valid_days": "7"}, {"name": "x", "roles": ["viewer"], "valid_days": True},
    {"ref": "app:1"}, {"ref": "", "reason": "x"},
)  # fmt: skip
GOOD_THERE = {
    "doctor": {},
    "lint_policies": {},
    "test_policies": {"ref": "app:1"},
}  # what is not odd to a route
ODD_QUERIES = (
    "limit=0", "limit=1001", "limit=x", "limit=1&limit=2", "skip=-1", "more=1", "kind=none", "since=yesterday",
    "since=2027-01-31T00:00:00", "&".join(f"a{n}=1" for n in range(30)), f"digest={'x' * 300}", "limit=",
)  # fmt: skip


def conforms(route: Route, reply: Reply) -> None:
    """The reply is one that the OpenAPI document promises for this route."""
    told = PROMISED[route.path][route.method.lower()]["responses"]
    assert str(reply.status) in told
    assert reply.headers["cache-control"] == "no-store"
    if reply.status < 300:
        assert reply.headers["content-type"] == "application/json"
        assert json.loads(route.gives.model_validate_json(reply.body).model_dump_json()) == reply.value
    else:
        assert reply.headers["content-type"] == PROBLEM
        assert Problem.model_validate_json(reply.body).status == reply.status
        assert len(reply.value["detail"]) > 10


def route_of(name: str) -> Route:
    return next(route for route in ROUTES if route.name == name)


async def done(a: Admin, name: str, body: object = None, query: str = "", **places: str) -> Any:
    """Call a route on the host, hold the reply against the document, and return its value."""
    route = route_of(name)
    path = route.path.format(**places) + (f"?{query}" if query else "")
    reply = await a.call(route.method, path, body, socket=True)
    conforms(route, reply)
    assert reply.status == route.status, reply.value
    return reply.value


async def test_every_route_does_what_it_says() -> None:
    async with admin() as a:
        first = a.active()
        assert [key["fingerprint"] for key in (await done(a, "list_keys"))["items"]] == [first]
        assert (await done(a, "list_strays")) == {"items": [], "not_looked": ""}
        turned = await done(a, "rotate_key", WHY, profile="release")
        assert (turned["old"]["fingerprint"], turned["old"]["state"]) == (first, "trusted")
        assert turned["new"]["fingerprint"] == a.active() != first
        ready = await done(a, "prepare_key", WHY, profile="release")
        assert ready["state"] == "prepared"
        await done(a, "activate_key", WHY, fingerprint=ready["fingerprint"])
        assert a.active() == ready["fingerprint"]
        assert (await done(a, "retire_key", WHY, fingerprint=first))["state"] == "retired"
        bad = await done(a, "compromise_key", {**WHY, "rotate": True}, fingerprint=a.active())
        assert bad["state"] == "compromised"
        assert a.active() not in {bad["fingerprint"], first}
        made = await done(a, "create_token", {"name": "ci", "roles": ["viewer", "viewer"], "valid_days": 7})
        assert made["roles"] == ["viewer"]
        assert made["by"] == "operator on the host"
        listed = (await done(a, "list_tokens"))["items"]
        assert listed == [{key: value for key, value in made.items() if key != "token"}]
        assert (await done(a, "revoke_token", id=made["id"]))["valid"] is False
        again = await done(a, "revoke_token", id=made["id"])
        assert again["revoked"] is not None
        assert (await done(a, "reload")).items() >= {"reloaded": True, "why": None}.items()
        a.reloads.append("countersign.yaml:3:1: broken")
        assert (await done(a, "reload"))["why"] == "countersign.yaml:3:1: broken"
        app = image("app")
        a.world.put_behind(app, "team/app", "v1")
        assert (await done(a, "sign", {"ref": "team/app:v1", **WHY}))["digest"] == app.digest
        assert (await done(a, "status"))["problems"][0]["next"] == "n"
        assert (await done(a, "verify", query="ref=team/app:v1"))["outcome"] == "passed"
        assert (await done(a, "why", query="question=team/app:v1"))["allowed"] is True
        assert (await done(a, "would_block"))["images"] == []
        assert [each["name"] for each in (await done(a, "doctor", {}))["checks"]] == ["server"]
        called = {each["detail"]["call"].split()[0] for each in (await done(a, "journal", query="limit=1000"))["items"]
                  if each["kind"] == "admin.called"}  # fmt: skip
        assert called == {"POST", "DELETE"}, "readings are counted rows of their own"


async def test_lists_are_read_page_by_page() -> None:
    async with admin() as a:
        for number in range(5):
            await a.token(Role.VIEWER, name=f"n{number}")
        names: list[str] = []
        after: str | None = ""
        while after is not None:
            page = await done(a, "list_tokens", query=f"limit=2&cursor={after}")
            names += [token["name"] for token in page["items"]]
            after = page["next"]
        assert names == [f"n{number}" for number in range(5)]


async def test_reading_the_journal_shifts_none_of_its_pages() -> None:
    """Each page was a row of its own, so the last row of one page was the first of the next."""
    async with admin() as a:
        for _ in range(4):
            assert (await a.call("POST", "/admin/v1/reload", socket=True)).status == 200
        seen: list[int] = []
        after: str | None = ""
        while after is not None:
            page = await done(a, "journal", query=f"limit=2&cursor={after}")
            seen += [row["id"] for row in page["items"]]
            after = page["next"]
        assert seen == sorted(set(seen), reverse=True)
        assert len(seen) == 4


async def test_a_reader_has_one_row_for_each_call_and_hour() -> None:
    async with admin() as a:
        token = await a.token(Role.AUDITOR, name="auditor")
        for query in ("?who=ci", "?who=erika", ""):
            assert (await a.call("GET", f"/admin/v1/journal{query}", token=token)).status == 200
        await a.call("GET", "/admin/v1/status", token=token)
        read = [event for event in a.world.store.journal.events if event.kind is EventKind.AUDIT_READ]
        assert [(e.who, e.reference, e.detail.get("count", 1)) for e in read] == [
            ("auditor", "journal", 3),
            ("auditor", "status", 1),
        ]
        assert read[0].detail["given"] == {"who": "ci"}
        assert read[0].detail["call"] == "GET /admin/v1/journal"
        a.world.store.clock.advance(3600)
        assert (await a.call("GET", "/admin/v1/journal", token=token)).value["items"] == [], "left out unless asked for"
        for query in ("all=true", "kind=audit.read"):
            rows = (await a.call("GET", f"/admin/v1/journal?{query}", token=token)).value["items"]
            assert [row["kind"] for row in rows] == ["audit.read"] * 3, "a new hour is a new row"


@pytest.mark.parametrize("route", [route for route in ROUTES if route.body], ids=lambda route: route.name)
async def test_odd_bodies_change_nothing_and_are_explained(route: Route) -> None:
    async with admin() as a:
        before = a.world.store.keybook.ring()
        path = route.path.format(profile="none", fingerprint="0" * 64, id="0" * 12, number=1)
        for body in (body for body in ODD_BODIES if body != GOOD_THERE.get(route.name, ...)):
            reply = await a.call(route.method, path, body, socket=True)
            conforms(route, reply)
            assert reply.status == 400, body
        assert a.world.store.keybook.ring() == before
        assert not a.world.store.admin_tokens.rows
        assert not a.world.store.journal.events or {e.kind for e in a.world.store.journal.events} == {
            EventKind.KEY_CREATED
        }


@pytest.mark.parametrize("query", ODD_QUERIES)
async def test_odd_queries_are_explained(query: str) -> None:
    async with admin() as a:
        reply = await a.call("GET", f"/admin/v1/journal?{query}", socket=True)
        conforms(route_of("journal"), reply)
        assert reply.status == 400


PLAIN = [route for route in ROUTES if not route.plans and route.query is None]


@pytest.mark.parametrize("route", PLAIN, ids=lambda route: route.name)
async def test_a_dry_run_of_what_has_no_plan_is_refused_and_not_done(route: Route) -> None:
    async with admin() as a:
        path = route.path.format(profile="release", fingerprint=a.active(), id="0" * 12, number=1)
        reply = await a.call(route.method, f"{path}?dry_run=true", WHY if route.body else None, socket=True)
        conforms(route, reply)
        assert reply.status == 400
        assert "dry_run" in reply.value["detail"]
        assert EventKind.ADMIN_CALLED not in {event.kind for event in a.world.store.journal.events}


async def test_what_cannot_be_done_is_explained() -> None:
    async with admin() as a:
        for name, status in (("retire_key", 409), ("activate_key", 409)):
            route = route_of(name)
            reply = await a.call("POST", route.path.format(fingerprint=a.active()), WHY, socket=True)
            conforms(route, reply)
            assert reply.status == status
            unknown = await a.call("POST", route.path.format(fingerprint="0" * 64), WHY, socket=True)
            conforms(route, unknown)
            assert unknown.status == 404
        assert (await a.call("POST", "/admin/v1/keys/none/rotate", WHY, socket=True)).status == 404
        assert (await a.call("DELETE", f"/admin/v1/tokens/{'0' * 12}", socket=True)).status == 404
        assert (await a.call("DELETE", f"/admin/v1/tokens/{'0' * 12}", WHY, socket=True)).status == 400
        ring = a.world.store.keybook.ring()
        assert [key.state for key in ring.ours] == [KeyState.ACTIVE]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("PUT", "/admin/v1/keys", 405),
        ("GET", "/admin/v1/reload", 405),
        ("GET", "/admin/v1/", 404),
        ("GET", "/admin/v1/x", 404),
    ],
)
async def test_what_is_no_route(method: str, path: str, status: int) -> None:
    async with admin() as a:
        reply = await a.call(method, path, socket=True)
        assert reply.status == status
        assert Problem.model_validate_json(reply.body).status == status
        assert (status == 405) == ("allow" in reply.headers)


async def test_probes_and_the_document_need_no_token() -> None:
    async with admin() as a:
        for path in ("/metrics", "/livez", "/readyz"):
            assert (await a.call("GET", path)).status == 200
        reply = await a.call("GET", "/admin/v1/openapi.json")
        assert reply.value == document(ROUTES)
        assert (await a.call("POST", "/admin/v1/openapi.json")).status == 405
        assert (await a.call("GET", "/admin/v1")).value["code"] == "unauthorized", "in the same format"


async def test_operations_of_one_name_are_noticed() -> None:
    async with admin() as a:
        with pytest.raises(ValueError, match="the same name"):
            AdminApi([*a.operations, a.operations[0]], lambda: a.world.ports, a.services, a.world.store.journal, bool)


async def test_every_route_has_its_plan_and_names_its_repository() -> None:
    async with admin() as a:
        assert {each.route.name for each in a.operations if each.plan} == {r.name for r in ROUTES if r.plans}
        about = {each.route.name for each in a.operations if each.repository}
        assert about == {route.name for route in ROUTES if route.scope is Scope.ONE}
