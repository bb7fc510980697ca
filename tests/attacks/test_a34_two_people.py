"""Attack 34: one person does alone what two have to agree to."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from proxy.admin.approve import expire
from proxy.admin.operation import Scope
from proxy.admin.token import fingerprint_of, render
from proxy.journal.event import EventKind
from proxy.oci.slices import Slice
from proxy.server.operations import ROUTES
from proxy.trust.keys import fingerprint
from proxy.trust.roles import Role
from tests.attacks.test_a34_scope import THEIRS
from tests.worlds.admin import Admin, Reply, admin
from tests.worlds.softtokens import held

# Written out by hand: what one person alone does not do where two are asked for.
SECOND = {
    "rotate_key", "activate_key", "compromise_key", "lost_key", "import_key", "rebind_key", "destroy_key",
    "apply_policies", "revert_policies", "create_token",
}  # fmt: skip
TOKENS = "/admin/v1/tokens"
ROTATE, WHY = "/admin/v1/keys/release/rotate", {"reason": "tuesday"}


BOTH = (Role.KEY_ADMIN, Role.POLICY_ADMIN)


def wish(name: str) -> dict[str, Any]:
    """A token that may agree to everything, shown to who asks for it."""
    return {"name": name, "roles": ["key-admin", "policy-admin"]}


def drafted(name: str) -> dict[str, Any]:
    return {**wish(name), "fingerprint": "ab" * 6 + ":" + "cd" * 32}


def drafted_by_uwe(**more: Any) -> tuple[str, dict[str, Any]]:
    """The token that uwe keeps, and what he tells the others."""
    text = render("0123456789ab", bytes(32))
    return text, {**wish("uwe"), "fingerprint": fingerprint_of(text), **more}


async def make(a: Admin, body: dict[str, Any], token: str = "", *, socket: bool = False) -> Reply:
    return await a.call("POST", "/admin/v1/tokens", body, token=token, socket=socket)


async def asked(a: Admin, token: str = "", *, socket: bool = False) -> str:
    """Ask for a rotation and return the id of the request."""
    reply = await a.call("POST", ROTATE, WHY, token=token, socket=socket)
    assert (reply.status, reply.value["done"]) == (202, False)
    return str(reply.value["approval"]["id"])


async def agree(a: Admin, which: str, token: str = "", *, socket: bool = False, how: str = "approve") -> Reply:
    return await a.call("POST", f"/admin/v1/approvals/{which}/{how}", {"reason": "seen"}, token=token, socket=socket)


def test_what_waits_for_two_people_and_what_never_does() -> None:
    assert {route.name for route in ROUTES if route.dual_control} == SECOND & {route.name for route in ROUTES}
    assert {"rotate_key", "activate_key", "compromise_key", "apply_policies"} <= {
        r.name for r in ROUTES if r.dual_control
    }
    assert all(route.plans for route in ROUTES if route.dual_control)
    for route in ROUTES:  # break-glass is never held up
        if any(word in route.path for word in ("exception", "deny", "sign", "reload")):
            assert not route.dual_control, route.name


async def test_a_token_for_some_repositories_requests_nothing_from_a_second_person() -> None:
    """A request is carried out without the scope of who made it."""
    for route in ROUTES:
        if route.dual_control:
            assert route.scope is Scope.WHOLE or route.name in {"apply_policies", "revert_policies"}, route.name
    async with admin(dual=True, policies_from="api") as a:
        scoped = await a.token(Role.KEY_ADMIN, name="scoped", only=("team/**",))
        pipeline = await a.token(Role.POLICY_APPLY, name="pipeline", only=("team/**",))
        own = {"text": THEIRS, "base": 1, "reason": "r"}
        for token, path, body in ((scoped, ROTATE, WHY), (pipeline, "/admin/v1/policies", own)):
            assert (await a.call("POST", path, body, token=token)).status == 403
        assert (await a.call("POST", "/admin/v1/policies?dry_run=true", own, token=pipeline)).status == 200
        assert await a.world.store.approvals.page(None, Slice(100)) == ()


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
        assert kinds[:3] == [EventKind.APPROVAL_ASKED, EventKind.APPROVAL_GIVEN, EventKind.KEY_CREATED]
        given = next(e for e in rows if e.kind is EventKind.APPROVAL_GIVEN)
        created = next(e for e in rows if e.kind is EventKind.KEY_CREATED)
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
        which = await asked(a, erika)
        assert (await agree(a, which, erika)).status == 403
        await a.world.store.admin_tokens.revoke("0" * 12, a.world.store.clock.now())
        again = await a.token(Role.KEY_ADMIN, name="Erika")
        which = await asked(a, again)
        assert (await agree(a, which, again)).status == 403


async def test_a_token_that_one_person_made_is_nobody() -> None:
    """Before: the first token made another over the network, and agreed to what that asked for."""
    async with admin(dual=True) as a:
        erika, max_ = await a.token(Role.KEY_ADMIN, name="erika"), await a.token(Role.KEY_ADMIN, name="max")
        bootstrap = await a.token(*BOTH, name="bootstrap", by="countersign init")
        lone = [
            bootstrap,
            await a.token(*BOTH, name="of bootstrap", by="bootstrap"),
            await a.token(*BOTH, name="of erika", by="erika"),
            await a.token(*BOTH, name="of that", by="of erika"),
        ]
        before, which = a.active(), await asked(a, erika)
        for each in lone:
            for how in ("approve", "reject"):
                assert "alone made the token" in (await agree(a, which, each, how=how)).value["detail"]
            for path, body in (
                (ROTATE, WHY),
                ("/admin/v1/tokens", wish("mallory")),
                ("/admin/v1/tokens", drafted("m")),
            ):
                reply = await a.call("POST", path, body, token=each)
                assert (reply.status, "countersign tokens create" in reply.value["detail"]) == (403, True), path
        assert a.active() == before
        assert list(a.world.store.approvals.rows) == [which]
        assert (await agree(a, which, max_)).status == 200


async def test_what_a_token_asked_for_that_is_nobody_by_now_is_not_done() -> None:
    async with admin(dual=True) as a:
        erika, max_ = await a.token(Role.KEY_ADMIN, name="erika"), await a.token(Role.KEY_ADMIN, name="max")
        which = await asked(a, erika)
        rows = a.world.store.admin_tokens.rows
        rows["0" * 12] = replace(rows["0" * 12], by="bootstrap")  # as one was that asked before this was so
        assert "made by one person alone" in (await agree(a, which, max_)).value["detail"]


async def test_who_runs_the_host_is_one_person() -> None:
    async with admin(dual=True) as a:
        erika = await a.token(Role.KEY_ADMIN, name="erika", by="operator on the host")
        before = a.active()
        which = await asked(a, socket=True)
        assert (await agree(a, which, socket=True)).status == 403
        assert a.active() == before
        assert (await agree(a, which, erika)).status == 200
        which = await asked(a, erika)
        assert (await agree(a, which, socket=True)).status == 200


async def test_the_first_two_are_made_on_the_host_and_everything_else_by_two() -> None:
    """How an organisation begins: nothing but the host, then two people, then a third."""
    async with admin(dual=True) as a:
        first, second = [await make(a, wish(name), socket=True) for name in ("erika", "max")]
        erika, max_ = first.value["token"], second.value["token"]
        assert (first.status, second.status) == (201, 201)
        assert (await agree(a, await asked(a, erika), max_)).status == 200, "they are two people"

        assert "countersign tokens draft" in (await make(a, wish("uwe"), socket=True)).value["detail"]
        text, third = drafted_by_uwe()
        on_the_host = await make(a, third, socket=True)
        assert (on_the_host.status, on_the_host.value["done"]) == (202, False)
        which = on_the_host.value["approval"]["id"]
        assert any(third["fingerprint"][:20] in step for step in on_the_host.value["approval"]["plan"])
        assert (await a.call("GET", "/admin/v1/keys", token=text)).status == 401, "nobody agreed yet"
        assert (await agree(a, which, socket=True)).status == 403
        done = await agree(a, which, erika)
        assert done.value["result"]["token"] == "", "whoever agreed has not seen it"
        assert (done.value["result"]["by"], done.value["result"]["agreed_by"]) == ("operator on the host", "erika")

        assert (await agree(a, await asked(a, text), max_)).status == 200, "the third is a person too"
        which = await asked(a, erika)
        assert (await agree(a, which, text)).status == 200


async def test_two_make_a_third_over_the_network_and_neither_sees_the_token() -> None:
    async with admin(dual=True) as a:
        erika, max_ = await a.token(*BOTH, name="erika"), await a.token(*BOTH, name="max")
        assert (await make(a, wish("uwe"), erika)).status == 409
        text, third = drafted_by_uwe()
        held = await make(a, third, erika)
        assert held.status == 202
        which = held.value["approval"]["id"]
        assert (await agree(a, which, erika)).status == 403
        assert (await agree(a, which, max_)).value["result"]["token"] == ""
        token = a.world.store.admin_tokens.rows[third["fingerprint"][:12]]
        assert (token.by, token.agreed_by, token.counts) == ("erika", "max", True)
        assert (await a.call("GET", "/admin/v1/keys", token=text)).status == 200
        assert "exists already" in (await make(a, {**third, "name": "other"}, max_)).value["detail"]
        secret = text.rpartition("_")[2]
        assert not any(secret in repr(event) for event in a.world.store.journal.events)


async def test_who_agrees_that_a_role_is_handed_out_has_it() -> None:
    async with admin(dual=True) as a:
        erika, max_ = await a.token(Role.KEY_ADMIN, name="erika"), await a.token(Role.POLICY_ADMIN, name="max")
        uwe = await a.token(Role.KEY_ADMIN, name="uwe")
        _, third = drafted_by_uwe(roles=["key-admin"], name="eve")
        which = (await make(a, third, erika)).value["approval"]["id"]
        assert "is granted" in (await agree(a, which, max_)).value["detail"]
        assert (await agree(a, which, uwe)).status == 200


async def test_what_agrees_to_nothing_is_made_by_one() -> None:
    async with admin(dual=True) as a:
        erika = await a.token(*BOTH, name="erika")
        bootstrap = await a.token(*BOTH, name="bootstrap", by="countersign init")
        for n, by in enumerate((erika, bootstrap)):
            assert (await make(a, {"name": f"viewer {n}", "roles": ["viewer", "operator"]}, by)).status == 201
            scoped = {**wish(f"scoped {n}"), "repositories": ["**"]}
            made = await make(a, scoped, by)
            assert made.status == 201
            assert (await a.call("POST", ROTATE, WHY, token=made.value["token"])).status == 403


async def test_one_who_is_left_alone_is_helped_by_the_host() -> None:
    async with admin(dual=True) as a:
        for name in ("erika", "max"):
            assert (await make(a, wish(name), socket=True)).status == 201
        rows = a.world.store.admin_tokens.rows
        assert (await make(a, drafted("uwe"), socket=True)).status == 202
        lost = next(t for t in rows.values() if t.name == "max")
        assert (await a.call("DELETE", f"/admin/v1/tokens/{lost.id}", socket=True)).status == 200
        assert (await make(a, wish("max"), socket=True)).status == 201
        assert (await make(a, drafted("uwe"), socket=True)).status == 202


async def test_tokens_made_before_two_were_asked_for_count_only_if_the_host_made_them() -> None:
    async with admin() as before:
        boot = await before.token(*BOTH, name="bootstrap", by="countersign init")
        made = [await make(before, wish(name), boot) for name in ("mallory", "alice")]
        assert [reply.status for reply in made] == [201, 201]
        assert not any(token.counts for token in before.world.store.admin_tokens.rows.values())
        assert (await make(before, wish("erika"), socket=True)).status == 201
        assert [t.name for t in before.world.store.admin_tokens.rows.values() if t.counts] == ["erika"]


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


@pytest.mark.parametrize("what", ["rejected", "taken back", "expired", "actor revoked", "things changed"])
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
            await expire(a.world.store.approvals, a.world.ports)
            assert a.world.store.approvals.rows[which].state == "expired"
            assert a.world.store.journal.events[-1].kind is EventKind.APPROVAL_EXPIRED
        elif what == "actor revoked":
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
