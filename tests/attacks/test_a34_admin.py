"""Attack 34: the admin API. Guessed, over-used, escalated and leaked tokens."""

from __future__ import annotations

import asyncio
import hmac
import io
import json
from pathlib import Path

import pytest

from proxy.admin import token as admin_token
from proxy.admin.operation import Route
from proxy.admin.rate import ADDRESS, FAILED, ROWS, TOKEN
from proxy.journal.event import EventKind
from proxy.oci.reference import parse_repository
from proxy.server.operations import ROUTES
from proxy.trust.policy import Policy, PushRules
from proxy.trust.roles import Permission, Role
from proxy.web.logs import AccessLog, open_log
from proxy.web.metrics import Metrics
from tests.worlds.admin import admin
from tests.worlds.conversation import signed_by
from tests.worlds.images import image
from tests.worlds.listener import Wire

EVERYBODY = {Role.VIEWER, Role.AUDITOR, Role.OPERATOR, Role.POLICY_ADMIN, Role.KEY_ADMIN}
ADMINS = {Role.POLICY_ADMIN, Role.KEY_ADMIN}
WITH_PIPELINES = {*EVERYBODY, Role.POLICY_APPLY}
# Written out once more, by hand: a route that is not here has roles nobody thought about.
ALLOWED = {
    "GET /admin/v1/status": EVERYBODY,
    "GET /admin/v1/verify": EVERYBODY,
    "GET /admin/v1/why": EVERYBODY,
    "GET /admin/v1/report/would-block": EVERYBODY - {Role.VIEWER},
    "POST /admin/v1/doctor": {Role.OPERATOR, *ADMINS},
    "GET /admin/v1/keys": EVERYBODY,
    "GET /admin/v1/keys/unrecorded": EVERYBODY,
    "POST /admin/v1/keys/{profile}/rotate": {Role.KEY_ADMIN},
    "POST /admin/v1/keys/{profile}/prepare": {Role.KEY_ADMIN},
    "POST /admin/v1/keys/{fingerprint}/activate": {Role.KEY_ADMIN},
    "POST /admin/v1/keys/{fingerprint}/retire": {Role.KEY_ADMIN},
    "POST /admin/v1/keys/{fingerprint}/compromise": {Role.KEY_ADMIN},
    "POST /admin/v1/keys/{fingerprint}/lost": {Role.KEY_ADMIN},
    "GET /admin/v1/keys/{fingerprint}/chain": EVERYBODY,
    "POST /admin/v1/keys/{fingerprint}/chain": {Role.KEY_ADMIN},
    "POST /admin/v1/keys/{fingerprint}/csr": {Role.KEY_ADMIN},
    "POST /admin/v1/keys/{fingerprint}/self-signed": {Role.KEY_ADMIN},
    "POST /admin/v1/keys/{profile}/import": {Role.KEY_ADMIN},
    "POST /admin/v1/keys/{fingerprint}/rebind": {Role.KEY_ADMIN},
    "POST /admin/v1/keys/{fingerprint}/backup": {Role.KEY_ADMIN},
    "POST /admin/v1/keys/{fingerprint}/destroy": {Role.KEY_ADMIN},
    "GET /admin/v1/keys/{fingerprint}/evidence": EVERYBODY - {Role.VIEWER},
    "GET /admin/v1/keys/{fingerprint}/images": EVERYBODY - {Role.VIEWER},
    "GET /admin/v1/tokens": {Role.AUDITOR, *ADMINS},
    "POST /admin/v1/tokens": ADMINS,
    "DELETE /admin/v1/tokens/{id}": ADMINS,
    "GET /admin/v1/journal": EVERYBODY - {Role.VIEWER},
    "GET /admin/v1/policies": WITH_PIPELINES,
    "POST /admin/v1/policies": {Role.POLICY_ADMIN, Role.POLICY_APPLY},
    "GET /admin/v1/policies/revisions": WITH_PIPELINES,
    "GET /admin/v1/policies/revisions/{number}": WITH_PIPELINES,
    "POST /admin/v1/policies/revisions/{number}/revert": {Role.POLICY_ADMIN, Role.POLICY_APPLY},
    "GET /admin/v1/policies/diff": WITH_PIPELINES,
    "POST /admin/v1/policies/lint": WITH_PIPELINES,
    "POST /admin/v1/policies/test": WITH_PIPELINES - {Role.VIEWER, Role.KEY_ADMIN},
    "POST /admin/v1/policies/plan/job": WITH_PIPELINES - {Role.VIEWER, Role.KEY_ADMIN},
    "GET /admin/v1/denials": EVERYBODY,
    "POST /admin/v1/denials": {Role.OPERATOR, Role.POLICY_ADMIN},
    "POST /admin/v1/denials/{id}/remove": {Role.OPERATOR, Role.POLICY_ADMIN},
    "GET /admin/v1/exceptions": EVERYBODY,
    "GET /admin/v1/exceptions/unsigned": EVERYBODY,
    "POST /admin/v1/exceptions": {Role.OPERATOR, Role.POLICY_ADMIN},
    "POST /admin/v1/exceptions/{id}/close": {Role.OPERATOR, Role.POLICY_ADMIN},
    "POST /admin/v1/exceptions/{id}/review": {Role.AUDITOR, Role.POLICY_ADMIN},
    "GET /admin/v1/approvals": EVERYBODY - {Role.VIEWER},
    "GET /admin/v1/approvals/{id}": EVERYBODY - {Role.VIEWER},
    "POST /admin/v1/approvals/{id}/approve": ADMINS,
    "POST /admin/v1/approvals/{id}/reject": ADMINS,
    "GET /admin/v1/jobs": EVERYBODY - {Role.VIEWER},
    "GET /admin/v1/jobs/{id}": WITH_PIPELINES - {Role.VIEWER},
    "POST /admin/v1/jobs/{id}/cancel": {Role.OPERATOR, *ADMINS},
    "POST /admin/v1/keys/{profile}/resign": {Role.OPERATOR, *ADMINS},
    "POST /admin/v1/reload": {Role.OPERATOR, Role.POLICY_ADMIN},
    "POST /admin/v1/sign": {Role.OPERATOR, Role.POLICY_ADMIN},
    "POST /admin/v1/sign/lists": {Role.OPERATOR, Role.POLICY_ADMIN},
    "GET /admin/v1/sign/lists/{id}": {Role.OPERATOR, Role.POLICY_ADMIN},
    "POST /admin/v1/sign/lists/{id}": {Role.OPERATOR, Role.POLICY_ADMIN},
}
CANARY = "canaryCANARYcanaryCANARYcanaryCANARYcanary0"


def filled(route: Route) -> str:
    places = {"profile": "release", "fingerprint": "0" * 64, "id": "0" * 12, "number": "1"}
    return route.path.format(**places)


def named(route: Route) -> str:
    return f"{route.method} {route.path}"


def test_every_route_has_roles_that_somebody_thought_about() -> None:
    assert sorted(named(route) for route in ROUTES) == sorted(ALLOWED)


@pytest.mark.parametrize("route", ROUTES, ids=named)
async def test_roles_open_their_routes_and_no_others(route: Route) -> None:
    async with admin() as a:
        without = await a.call(route.method, filled(route), {} if route.body else None)
        assert without.status == 401
        for role in Role:
            token = await a.token(role, name=role)
            reply = await a.call(route.method, filled(route), {} if route.body else None, token=token)
            if role in ALLOWED[named(route)]:
                assert reply.status not in {401, 403}, role
            else:
                assert reply.status == 403, role
                assert "countersign tokens create" in reply.value["detail"]
                assert all(holder in reply.value["detail"] for holder in ALLOWED[named(route)])


async def test_a_token_without_roles_opens_nothing() -> None:
    async with admin() as a:
        assert (await a.call("GET", "/admin/v1/status", token=await a.token())).status == 403


async def test_there_is_no_token_until_somebody_makes_one() -> None:
    async with admin() as a:
        guesses = ["", "admin", "countersign", "changeme", f"csadm_admin000_{'A' * 43}", f"csadm_{'0' * 12}_{'A' * 43}"]
        for guess in guesses:
            reply = await a.call("GET", "/admin/v1/status", token=guess)
            assert reply.status == 401
            assert reply.headers["www-authenticate"] == 'Bearer realm="countersign admin"'
            assert reply.headers["content-type"] == "application/problem+json"


def test_secrets_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[object, object]] = []
    real = hmac.compare_digest

    def watched(one: str, other: str) -> bool:
        compared.append((one, other))
        return real(one, other)

    monkeypatch.setattr(hmac, "compare_digest", watched)
    text = admin_token.render("0" * 12, bytes(32))
    assert not admin_token.matches(None, text), "also where there is no such token"
    assert compared == [("0" * 64, admin_token.hashed(text))]
    source = Path(admin_token.__file__).read_text()
    assert "hashed ==" not in source


async def test_bytes_that_are_no_text_are_no_token() -> None:
    async with admin() as a:
        for sent in (b"\xff\xfe", b"csadm_\xe4", b"\xed\xa0\x80"):
            lines = b"GET /admin/v1/status HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer " + sent
            assert (await a.network.say(lines + b"\r\n\r\n")).split()[1] == b"401"


async def test_guessing_ends_after_a_few_and_only_for_who_guesses() -> None:
    async with admin() as a:
        good = await a.token(Role.VIEWER)
        guess = f"csadm_{'0' * 12}_{'A' * 43}"
        for _ in range(int(FAILED.burst)):
            assert (await a.call("GET", "/admin/v1/status", token=guess)).status == 401
        for wrong in (guess, "x", ""):
            reply = await a.call("GET", "/admin/v1/status", token=wrong)
            assert reply.status == 429
            assert 0 < int(reply.headers["retry-after"]) <= 10
        assert (await a.call("GET", "/admin/v1/status", token=good)).status == 200, "who guesses holds up nobody else"
        a.world.store.clock.advance(11)
        assert (await a.call("GET", "/admin/v1/status", token=guess)).status == 401
        refused = [e for e in a.world.store.journal.events if e.kind is EventKind.ADMIN_REFUSED]
        (row,) = refused
        assert row.detail["count"] == FAILED.burst + 1, (
            "what was limited is not counted: the journal is no target either"
        )
        assert row.how.startswith("address ")


async def test_calls_that_a_token_may_not_make_have_rows_and_are_counted_beyond_them() -> None:
    async with admin() as a:
        token = await a.token(Role.VIEWER)
        for _ in range(60):
            for _ in range(4):
                assert (await a.call("POST", "/admin/v1/tokens", token=token, body={})).status == 403
            a.world.store.clock.advance(1)
        rows = [e for e in a.world.store.journal.events if e.kind is EventKind.ADMIN_REFUSED]
        assert len(rows) <= ROWS.burst + 2 + 1
        assert sum(int(e.detail.get("count", 1)) for e in rows) == 240


async def test_calls_are_limited_for_each_address_and_each_token() -> None:
    async with admin() as a:
        token, other = await a.token(Role.VIEWER), await a.token(Role.VIEWER)
        got = [(await a.call("GET", "/admin/v1/status", token=token)).status for _ in range(int(TOKEN.burst) + 1)]
        assert got == [200] * int(TOKEN.burst) + [429]
        assert (await a.call("GET", "/admin/v1/status", token=other)).status == 200
        got = [(await a.call("GET", "/admin/v1/openapi.json")).status for _ in range(int(ADDRESS.burst) + 1)]
        assert got == [200] * int(ADDRESS.burst) + [429]
        assert (await a.call("GET", "/admin/v1/status", token=other)).status == 200
        assert (await a.call("GET", "/livez")).status == 200, "probes go on"


OTHERS = ["countersign", "Operator  On The Host", "BOOTSTRAP", "anonymous", "", " erika", "erika\u202e", "\u0435rika"]


@pytest.mark.parametrize("name", [*OTHERS, "erika (admin-token:000000000000)"])
async def test_no_token_is_called_like_somebody_else(name: str) -> None:
    async with admin() as a:
        wish = {"name": name, "roles": ["operator"]}
        assert (await a.call("POST", "/admin/v1/tokens", wish, socket=True)).status == 400
        assert not a.world.store.admin_tokens.rows


async def test_of_valid_tokens_no_two_have_one_name() -> None:
    async with admin() as a:
        wish = {"name": "erika", "roles": ["operator"]}
        first = await a.call("POST", "/admin/v1/tokens", wish, socket=True)
        for name in ("erika", "Erika"):
            again = await a.call("POST", "/admin/v1/tokens", {**wish, "name": name}, socket=True)
            assert again.status == 409
            assert first.value["id"] in again.value["detail"]
        assert (await a.call("DELETE", f"/admin/v1/tokens/{first.value['id']}", socket=True)).status == 200
        assert (await a.call("POST", "/admin/v1/tokens", wish, socket=True)).status == 201


async def test_what_is_signed_says_which_token_had_it_signed() -> None:
    async with admin() as a:
        a.world.rules.set(Policy(("**",), PushRules(sign_with=("release",), claims=("pusher",)), signed_by("release")))
        a.world.put_behind(image(), "team/app", "v1")
        token = await a.token(Role.OPERATOR, name="release-manager")
        reply = await a.call("POST", "/admin/v1/sign", {"ref": "team/app:v1", "reason": "seen"}, token=token)
        assert reply.status == 200
        told = "release-manager (admin-token:000000000000)"
        entries = await a.world.store.ledger.entries(parse_repository("team/app"), image().digest)
        assert {(e.claims["signed-later-by"], e.claims["reason"]) for e in entries} == {(told, "seen")}
        assert not any("pusher" in entry.claims for entry in entries), "nobody knows who pushed it"
        assert all(told.encode() in entry.message for entry in entries)
        (row,) = [e for e in a.world.store.journal.events if e.kind is EventKind.COUNTERSIGNED]
        assert (row.who, row.how) == ("release-manager", "admin-token:000000000000")


@pytest.mark.parametrize("mine", [Role.POLICY_ADMIN, Role.KEY_ADMIN])
async def test_nobody_makes_more_of_themselves(mine: Role) -> None:
    other = (ADMINS - {mine}).pop()
    async with admin() as a:
        token = await a.token(mine)
        theirs = await a.token(other, token_id="f" * 12)
        for roles in ([other], [mine, other], ["viewer", other]):
            reply = await a.call("POST", "/admin/v1/tokens", {"name": "more", "roles": roles}, token=token)
            assert reply.status == 403
        assert (await a.call("DELETE", f"/admin/v1/tokens/{'f' * 12}", token=token)).status == 403
        assert (await a.call("GET", "/admin/v1/status", token=theirs)).status == 200
        assert len(a.world.store.admin_tokens.rows) == 2


async def test_a_token_that_is_over_says_so_and_opens_nothing() -> None:
    async with admin() as a:
        old = await a.token(Role.KEY_ADMIN, name="old", days=0)
        gone = await a.token(Role.KEY_ADMIN, name="gone", token_id="f" * 12)
        assert (await a.call("DELETE", f"/admin/v1/tokens/{'f' * 12}", token=gone)).status == 200
        for token, said in ((old, "token 'old' expired at"), (gone, "token 'gone' was revoked at")):
            reply = await a.call("GET", "/admin/v1/status", token=token)
            assert reply.status == 401
            assert said in reply.value["detail"]


@pytest.mark.parametrize("how", ["revoked", "expired"])
async def test_a_token_that_ends_while_the_body_comes_slowly_does_nothing(how: str) -> None:
    async with admin() as a:
        token, before, body = await a.token(Role.KEY_ADMIN, days=1), a.active(), b'{"reason":"x"}'
        head = (
            "POST /admin/v1/keys/release/rotate HTTP/1.1\r\nHost: p\r\nConnection: close\r\n"
            f"Authorization: Bearer {token}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        protocol = a.network.connections()
        wire = Wire(protocol)
        protocol.connection_made(wire)
        protocol.data_received(head.encode() + body[:1])
        for _ in range(20):
            await asyncio.sleep(0)
        now = a.world.store.clock.now()
        if how == "revoked":
            await a.world.store.admin_tokens.revoke("0" * 12, now)
        else:
            a.world.store.clock.advance(86400)
        protocol.data_received(body[1:])
        await asyncio.wait_for(wire.lost.wait(), 5)
        assert wire.received.startswith(b"HTTP/1.1 401 ")
        assert a.active() == before
        assert EventKind.ADMIN_CALLED not in {e.kind for e in a.world.store.journal.events}


async def test_a_call_that_cannot_be_recorded_does_nothing() -> None:
    async with admin() as a:
        token, before = await a.token(Role.KEY_ADMIN), a.active()

        async def full(*_events: object) -> None:
            from proxy.oci.faults import Unavailable

            raise Unavailable("store: disk full")

        a.world.store.journal.record = full  # type: ignore[method-assign]
        for method, path, body in (
            ("POST", "/admin/v1/keys/release/rotate", {"reason": "x"}),
            ("POST", "/admin/v1/tokens", {"name": "x", "roles": ["viewer"]}),
        ):
            assert (await a.call(method, path, body, token=token)).status == 503
        assert a.active() == before
        assert len(a.world.store.admin_tokens.rows) == 1


async def test_every_call_is_recorded_with_who_and_from_where() -> None:
    async with admin() as a:
        token = await a.token(Role.KEY_ADMIN, name="erika")
        reply = await a.call("POST", "/admin/v1/keys/release/rotate", {"reason": "tuesday"}, token=token)
        assert reply.status == 200
        events = a.world.store.journal.events
        called = next(e for e in events if e.kind is EventKind.ADMIN_CALLED)
        assert (called.who, called.how) == ("erika", "admin-token:000000000000")
        assert called.detail["from"] == "192.0.2.7"
        assert called.detail["call"] == "POST /admin/v1/keys/release/rotate"
        assert called.detail["given"] == {"reason": "tuesday"}
        assert events.index(called) < min(at for at, e in enumerate(events) if e.kind is EventKind.KEY_CREATED)
        await a.call("GET", "/admin/v1/keys", socket=True)
        last = a.world.store.journal.events[-1]
        assert (last.who, last.how) == ("operator on the host", "socket")


async def test_a_token_is_nowhere_but_in_the_one_answer() -> None:
    log, metrics = io.StringIO(), Metrics()
    async with admin((AccessLog(open_log(log, as_json=True)), metrics)) as a:
        good = await a.token(Role.KEY_ADMIN)
        made = await a.call("POST", "/admin/v1/tokens", {"name": "new", "roles": ["viewer"]}, token=good)
        fresh = made.value["token"]
        assert (await a.call("GET", "/admin/v1/status", token=fresh)).status == 200
        told = [
            json.dumps((await a.call("GET", path, token=good)).value)
            for path in ("/admin/v1/tokens", "/admin/v1/journal")
        ]
        guess = f"csadm_{'0' * 12}_{CANARY}"
        wrong = [
            await a.call("GET", "/admin/v1/status", token=guess),
            await a.call("GET", f"/admin/v1/keys?token={guess}", token=good),
            await a.call("POST", "/admin/v1/tokens", {"name": "x", "roles": [guess]}, token=good),
            await a.call(
                "POST", "/admin/v1/tokens", {"name": "x", "roles": ["viewer"], "valid_days": guess}, token=good
            ),
            await a.call("POST", "/admin/v1/tokens", f'{{"name": "{guess}"'.encode(), token=good),
            await a.call("POST", "/admin/v1/tokens", {"name": f"x {guess}", "roles": ["viewer"]}, token=good),
            await a.call("POST", "/admin/v1/keys/release/rotate", {"reason": guess}, token=good),
        ]
        assert [reply.status for reply in wrong] == [401, *[400] * 6]
        in_path = f"/admin/v1/tokens/{guess}"  # where none belongs
        assert (await a.call("DELETE", in_path)).status == 401
        wrong.append(await a.call("DELETE", in_path, token=good))
        assert wrong[-1].status == 404
        everything = [
            *told,
            *(reply.body.decode() + str(reply.headers) for reply in wrong),
            log.getvalue(),
            metrics.text().decode(),
            repr(a.world.store.journal.events),
            repr(a.world.store.admin_tokens.rows),
        ]
    for text in everything:
        for secret in (good, fresh, CANARY):
            assert secret not in text
            assert secret[-43:] not in text


def test_every_permission_is_used_by_a_route() -> None:
    within = {Permission.EXCEPT_LONG}  # looked at within the call, by how long the exception is to be
    assert {route.permission for route in ROUTES} | within == set(Permission)
