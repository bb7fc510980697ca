"""Attack 34: one person does alone what two have to agree to."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from proxy.flows.approval import expire
from proxy.trust.event import Kind
from proxy.trust.keys import fingerprint
from proxy.trust.roles import Role
from proxy.web.admin_api.table import ROUTES
from tests.worlds.admin import Admin, Reply, admin
from tests.worlds.softtokens import held

# Written out by hand: what one person alone does not do where two are asked for.
SECOND = {
    "rotate_key", "activate_key", "compromise_key", "import_key", "rebind_key", "destroy_key",
    "apply_policies", "revert_policies",
}  # fmt: skip
ROTATE, WHY = "/admin/v1/keys/release/rotate", {"reason": "tuesday"}


async def asked(a: Admin, token: str = "", *, socket: bool = False) -> str:
    """Ask for a rotation and return the id of the request."""
    reply = await a.call("POST", ROTATE, WHY, token=token, socket=socket)
    assert (reply.status, reply.value["done"]) == (202, False)
    return str(reply.value["approval"]["id"])


async def agree(a: Admin, which: str, token: str = "", *, socket: bool = False, how: str = "approve") -> Reply:
    return await a.call("POST", f"/admin/v1/approvals/{which}/{how}", {"reason": "seen"}, token=token, socket=socket)


def test_what_waits_for_two_people_and_what_never_does() -> None:
    assert {route.name for route in ROUTES if route.second} == SECOND & {route.name for route in ROUTES}
    assert {"rotate_key", "activate_key", "compromise_key", "apply_policies"} <= {r.name for r in ROUTES if r.second}
    assert all(route.plans for route in ROUTES if route.second)
    for route in ROUTES:  # break-glass is never held up
        if any(word in route.path for word in ("exception", "deny", "sign", "reload")):
            assert not route.second, route.name


async def test_a_second_person_agrees_and_it_is_done_as_it_was_asked() -> None:
    async with admin(dual=True) as a:
        erika, max_ = await a.token(Role.KEY_ADMIN, name="erika"), await a.token(Role.KEY_ADMIN, name="max")
        before = a.active()
        which = await asked(a, erika)
        assert a.active() == before
        (waits,) = (await a.call("GET", "/admin/v1/approvals?state=pending", token=max_)).value["items"]
        assert (waits["who"], waits["call"], waits["given"]) == ("erika", "rotate_key", WHY)
        done = await agree(a, which, max_)
        assert (done.status, done.value["approval"]["state"]) == (200, "done")
        assert done.value["result"]["new"]["fingerprint"] == a.active() != before
        rows = a.world.store.journal.events
        kinds = [e.kind for e in rows if e.kind.startswith(("approval", "key"))]
        assert kinds[:3] == [Kind.APPROVAL_ASKED, Kind.APPROVAL_GIVEN, Kind.KEY_CREATED]
        given = next(e for e in rows if e.kind is Kind.APPROVAL_GIVEN)
        created = next(e for e in rows if e.kind is Kind.KEY_CREATED)
        assert (given.who, given.detail["asked_by"], created.who) == ("max", "erika", "erika")
        assert given.request_id == created.request_id == waits["request_id"]
        assert (await agree(a, which, max_)).status == 409, "once"


async def test_a_key_brought_along_verifies_nothing_before_a_second_person_agrees() -> None:
    async with admin(dual=True) as a:
        erika, max_ = await a.token(Role.KEY_ADMIN, name="erika"), await a.token(Role.KEY_ADMIN, name="max")
        brought, before = a.world.signer.create("release"), a.world.store.keybook.ring().ours
        a.tokens.there.append(held(replace(brought, label="brought")))
        wish = {**WHY, "label": "brought"}
        reply = await a.call("POST", "/admin/v1/keys/release/import", wish, token=erika)
        assert (reply.status, a.world.store.keybook.ring().ours) == (202, before)
        done = await agree(a, reply.value["approval"]["id"], max_)
        assert (done.status, done.value["result"]["fingerprint"]) == (200, fingerprint(brought.spki))


async def test_nobody_agrees_with_themselves_in_whatever_name() -> None:
    async with admin(dual=True) as a:
        erika = await a.token(Role.KEY_ADMIN, name="erika")
        theirs = [
            erika,
            await a.token(Role.KEY_ADMIN, name="made by her", by="erika"),
            await a.token(Role.KEY_ADMIN, name="made by that", by="made by her"),
        ]
        for one in theirs:
            which = await asked(a, one)
            for other in theirs:
                reply = await agree(a, which, other)
                assert reply.status == 403, reply.value
            await agree(a, which, one, how="reject")
        uwe = await a.token(Role.KEY_ADMIN, name="uwe")
        one, other = [await a.token(Role.KEY_ADMIN, name=n, by="uwe") for n in ("x", "y")]
        which = await asked(a, one)
        for each in (uwe, other):
            assert "uwe had a hand in both" in (await agree(a, which, each)).value["detail"]
        assert (await agree(a, which, erika)).status == 200


async def test_who_runs_the_host_is_one_person() -> None:
    async with admin(dual=True) as a:
        bootstrap = await a.token(Role.KEY_ADMIN, name="bootstrap", by="countersign init")
        erika = await a.token(Role.KEY_ADMIN, name="erika", by="operator on the host")
        before = a.active()
        which = await asked(a, socket=True)
        assert (await agree(a, which, socket=True)).status == 403
        assert "whoever runs the host" in (await agree(a, which, bootstrap)).value["detail"]
        assert a.active() == before
        assert (await agree(a, which, erika)).status == 200
        which = await asked(a, erika)
        assert (await agree(a, which, socket=True)).status == 200


async def test_nobody_has_a_token_in_the_name_of_who_runs_the_host() -> None:
    async with admin(dual=True) as a:
        erika = await a.token(Role.KEY_ADMIN, name="erika")
        for name in ("countersign init", "Countersign  Init", "bootstrap", "operator on the host"):
            wish = {"name": name, "roles": ["key-admin"]}
            assert (await a.call("POST", "/admin/v1/tokens", wish, token=erika)).status == 400, name


async def test_what_is_asked_for_in_days_can_be_agreed_to_at_another_minute() -> None:
    async with admin(dual=True) as a:
        erika, max_ = await a.token(Role.KEY_ADMIN, name="erika"), await a.token(Role.KEY_ADMIN, name="max")
        wish = {**WHY, "overlap": "publish-first:7d,dual-sign:14d", "retire_after": "30d"}
        which = (await a.call("POST", ROTATE, wish, token=erika)).value["approval"]["id"]
        a.world.store.clock.advance(timedelta(hours=3).total_seconds())
        done = await agree(a, which, max_)
        assert done.status == 200, done.value
        assert done.value["result"]["new"]["activate_at"] == "2026-01-09T15:00:00Z"


async def test_who_agrees_has_the_role_for_it_and_all_repositories() -> None:
    async with admin(dual=True) as a:
        erika = await a.token(Role.KEY_ADMIN, name="erika")
        which = await asked(a, erika)
        for roles, only in (
            ((Role.POLICY_ADMIN,), ()),
            ((Role.OPERATOR, Role.AUDITOR), ()),
            ((Role.KEY_ADMIN,), ("**",)),
        ):
            other = await a.token(*roles, only=only)
            for how in ("approve", "reject"):
                assert (await agree(a, which, other, how=how)).status == 403


@pytest.mark.parametrize("what", ["rejected", "taken back", "expired", "asker revoked", "things changed"])
async def test_what_is_not_agreed_to_in_time_is_not_done(what: str) -> None:
    async with admin(dual=True) as a:
        erika, max_ = await a.token(Role.KEY_ADMIN, name="erika"), await a.token(Role.KEY_ADMIN, name="max", days=3)
        before, which = a.active(), await asked(a, erika)
        if what in {"rejected", "taken back"}:
            by = max_ if what == "rejected" else erika
            assert (await agree(a, which, by, how="reject")).value["state"] == "rejected"
        elif what == "expired":
            a.world.store.clock.advance(timedelta(hours=24).total_seconds())
            assert (await agree(a, which, max_)).status == 409
            await expire(a.world.store.approvals, a.world.house)
            assert a.world.store.approvals.rows[which].state == "expired"
            assert a.world.store.journal.events[-1].kind is Kind.APPROVAL_EXPIRED
        elif what == "asker revoked":
            await a.world.store.admin_tokens.revoke("0" * 12, a.world.store.clock.now())
        else:
            assert (await a.call("POST", "/admin/v1/keys/release/prepare", WHY, token=max_)).status == 200
        assert (await agree(a, which, max_)).status == 409
        assert a.active() == before


async def test_a_dry_run_asks_nobody_and_what_would_be_refused_is_not_kept() -> None:
    async with admin(dual=True) as a:
        erika = await a.token(Role.KEY_ADMIN, name="erika")
        assert (await a.call("POST", f"{ROTATE}?dry_run=true", WHY, token=erika)).value["done"] is False
        assert (await a.call("POST", "/admin/v1/keys/other/rotate", WHY, token=erika)).status == 404
        assert not a.world.store.approvals.rows


async def test_without_dual_control_nothing_waits() -> None:
    async with admin() as a:
        before = a.active()
        assert (await a.call("POST", ROTATE, WHY, socket=True)).status == 200
        assert a.active() != before
