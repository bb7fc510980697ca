"""Attack 41: one holder uses up what is kept for all, and nobody recalls an image or breaks the glass any more."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest

from proxy.journal.event import EventKind
from proxy.oci.reference import digest_of
from proxy.server.operations import ROUTES
from proxy.trust.roles import Role
from tests.worlds.admin import POLICIES, Admin, Reply, admin

DENIALS, EXCEPTIONS, JOBS = "/admin/v1/denials", "/admin/v1/exceptions", "/admin/v1/keys/release/resign"
BAD = digest_of(b"bad")


def small(a: Admin, **limits: int) -> None:
    """Have bounds that a test comes to: four each, twenty for all."""
    few = {"denials": 20, "denials_each": 4, "exceptions": 20, "exceptions_each": 4, "jobs": 20, "jobs_each": 4}
    few |= {"approvals": 4, "admin_tokens": 20}
    a.world.ports = replace(a.world.ports, limits=replace(a.world.ports.limits, **{**few, **limits}))


async def deny(a: Admin, target: str, token: str = "", *, socket: bool = False, **more: str) -> Reply:
    wish = {"target": target, "reason": "CVE-2026-1", **more}
    return await a.call("POST", DENIALS, wish, token=token, socket=socket)


async def open_one(a: Admin, repository: str, token: str = "", seconds: int = 60, **more: Any) -> Reply:
    wish = {"repository": repository, "seconds": seconds, "reason": "incident", **more}
    return await a.call("POST", EXCEPTIONS, wish, token=token)


async def resign(a: Admin, repository: str, token: str) -> Reply:
    return await a.call("POST", JOBS, {"repository": repository, "reason": "new key"}, token=token)


def count(replies: Iterable[Reply], status: int) -> int:
    return sum(reply.status == status for reply in replies)


async def test_a_token_for_one_repository_leaves_denials_and_exceptions_to_all_others() -> None:
    """Before: 1,000 denials and 200 exceptions of `team/x`, then a recall by the policy-admin was refused."""
    async with admin() as a:
        small(a)
        x = await a.token(Role.OPERATOR, name="team-x", only=("team/x/**",))
        y = await a.token(Role.OPERATOR, name="team-y", only=("team/y",))
        boss = await a.token(Role.POLICY_ADMIN, name="erika")
        denied = [await deny(a, f"team/x/{n}", x) for n in range(6)]
        assert (count(denied, 201), count(denied, 409)) == (4, 2)
        assert "'team-x' has 4 denials of repositories in force" in denied[-1].value["detail"]
        opened = [await open_one(a, f"team/x/{n}", x) for n in range(6)]
        assert (count(opened, 201), count(opened, 409)) == (4, 2)
        assert "countersign exceptions list" in opened[-1].value["detail"]
        for token, repository in ((y, "team/y"), (boss, "prod/payments")):
            assert (await deny(a, repository, token)).status == 201
            assert (await open_one(a, repository, token)).status == 201
        assert (await deny(a, BAD, boss)).status == 201
        rows = a.world.store.journal.kinds()
        assert rows.count(EventKind.DENIAL_ADDED) == 7, "what was refused is not in the journal as done"
        assert rows.count(EventKind.EXCEPTION_OPENED) == 6


async def test_all_tokens_for_some_repositories_together_leave_half() -> None:
    async with admin() as a:
        small(a)
        teams = [await a.token(Role.OPERATOR, name=f"team {n}", only=(f"team/{n}/*",)) for n in range(4)]
        denied = [await deny(a, f"team/{n}/{m}", token) for n, token in enumerate(teams) for m in range(4)]
        opened = [await open_one(a, f"team/{n}/{m}", token) for n, token in enumerate(teams) for m in range(4)]
        assert (count(denied, 201), count(opened, 201)) == (10, 10)
        assert "is kept for holders above" in denied[-1].value["detail"]
        operator, boss = await a.token(Role.OPERATOR), await a.token(Role.POLICY_ADMIN)
        for n in range(5):  # the reserve: an operator for everything takes of it, and leaves some again
            assert (await deny(a, f"other/{n}", operator)).status == 201
            assert (await open_one(a, f"other/{n}", operator)).status == 201
        assert (await deny(a, "other/6", operator)).status == 409
        assert (await open_one(a, "other/6", operator)).status == 409
        assert (await deny(a, "other/**", boss)).status == 201
        assert (await open_one(a, "other/6", boss)).status == 201


async def test_a_recall_of_a_digest_never_fails_for_a_bound() -> None:
    async with admin() as a:
        small(a, denials=1, denials_each=1)
        operator = await a.token(Role.OPERATOR)
        assert (await deny(a, "a/b", operator)).status == 201
        assert (await deny(a, "a/c", operator)).status == 409
        for n in range(30):
            assert (await deny(a, digest_of(bytes([n])), operator)).status == 201
        assert (await deny(a, BAD, socket=True)).status == 201
        assert len(a.world.store.overrides.in_force().denials) == 32


async def test_a_token_for_some_repositories_recalls_no_digest_at_all() -> None:
    async with admin() as a:
        x = await a.token(Role.OPERATOR, only=("**",))
        assert (await deny(a, BAD, x)).status == 403


async def test_a_token_that_is_revoked_and_made_again_has_no_more_than_before() -> None:
    async with admin() as a:
        small(a)
        x = await a.token(Role.OPERATOR, name="team-x", only=("team/x/**",))
        assert count([await deny(a, f"team/x/{n}", x) for n in range(4)], 201) == 4
        await a.world.store.admin_tokens.revoke("0" * 12, a.world.store.clock.now())
        again = await a.token(Role.OPERATOR, name="Team-X", only=("team/x/**",))
        assert (await deny(a, "team/x/5", again)).status == 409
        assert (await deny(a, "team/x/3", again)).status == 201, "its own, renewed"


async def test_the_same_target_by_the_same_holder_is_one_denial_that_only_gets_longer() -> None:
    async with admin() as a:
        small(a)
        x = await a.token(Role.OPERATOR, name="team-x", only=("team/x",))
        boss = await a.token(Role.POLICY_ADMIN, name="erika")
        first = (await deny(a, "team/x", x, until="2026-01-02T13:00:00Z")).value
        later = (await deny(a, "team/x", x, until="2026-01-02T15:00:00Z")).value
        sooner = (await deny(a, "team/x", x, until="2026-01-02T14:00:00Z")).value
        assert first["id"] == later["id"] == sooner["id"]
        assert sooner["until"] == later["until"] == "2026-01-02T15:00:00Z"
        for_good = (await deny(a, "team/x", x)).value
        assert (for_good["id"], for_good["until"]) == (first["id"], None)
        assert (await deny(a, "team/x", x, until="2026-01-02T14:00:00Z")).value["until"] is None
        theirs = (await deny(a, "team/x", boss)).value
        assert theirs["id"] != first["id"], "another holder's is another one: taking one back leaves the other"
        assert len(a.world.store.overrides.in_force().denials) == 2
        assert (await a.call("POST", f"{DENIALS}/{first['id']}/remove", {"reason": "r"}, token=x)).status == 200
        assert [d.by for d in a.world.store.overrides.in_force().denials] == ["erika"]
        for n in range(100):
            a.world.store.clock.advance(1)
            assert (await deny(a, "team/x", x)).status == 201, n
        assert len(a.world.store.overrides.in_force().denials) == 2


async def test_an_exception_for_the_same_scope_goes_on_and_never_for_longer_than_one_may() -> None:
    async with admin() as a:
        small(a)
        x = await a.token(Role.OPERATOR, name="team-x", only=("team/x",))
        boss = await a.token(Role.POLICY_ADMIN, name="erika")
        longest = int(a.world.ports.limits.exception_s)
        first = (await open_one(a, "team/x", x, longest)).value
        assert (await open_one(a, "team/x", x, 60)).value["id"] == first["id"], "shorter"
        assert (await open_one(a, "team/x", boss)).value["id"] != first["id"]
        assert (await open_one(a, "team/x", x, digest=BAD)).value["id"] != first["id"]
        assert (await open_one(a, "team/x", x, allow_unsigned_push=True)).value["id"] != first["id"]
        a.world.store.clock.advance(30)
        assert (await open_one(a, "team/x", x, longest)).value["id"] != first["id"], "longer in all than one may be"
        assert (await open_one(a, "team/x", x, 90)).value["id"] == first["id"]


async def test_an_exception_that_was_closed_is_another_one_when_it_is_opened_again() -> None:
    async with admin() as a:
        small(a)
        x = await a.token(Role.OPERATOR, name="team-x", only=("team/x",))
        first = (await open_one(a, "team/x", x)).value
        assert (await a.call("POST", f"{EXCEPTIONS}/{first['id']}/close", {"reason": "r"}, token=x)).status == 200
        assert (await open_one(a, "team/x", x)).value["id"] != first["id"], "each is reviewed"


async def test_an_exception_of_the_host_needs_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.worlds.orders import exception

    async with admin() as a:
        small(a, exceptions=2, exceptions_each=1)
        boss = await a.token(Role.POLICY_ADMIN, name="erika")
        assert (await open_one(a, "a/b", boss)).status == 201
        assert (await open_one(a, "a/c", boss)).status == 409
        assert await a.world.store.overrides.keep(exception(offline=True))


async def test_jobs_of_one_repository_do_not_fill_the_queue() -> None:
    async with admin() as a:
        small(a)
        x = await a.token(Role.OPERATOR, name="team-x", only=("team/x/*",))
        boss = await a.token(Role.KEY_ADMIN, name="erika")
        first = await resign(a, "team/x/0", x)
        assert first.status == 202
        assert (await resign(a, "team/x/0", x)).value["id"] == first.value["id"], "it waits already"
        more = [await resign(a, f"team/x/{n}", x) for n in range(1, 6)]
        assert (count(more, 202), count(more, 409)) == (3, 2)
        assert "countersign jobs list" in more[-1].value["detail"]
        assert (await resign(a, "", boss)).status == 202
        assert a.world.store.journal.kinds().count(EventKind.JOB_QUEUED) == 5
        assert (
            await a.call("POST", f"/admin/v1/jobs/{first.value['id']}/cancel", {"reason": "r"}, token=x)
        ).status == 200
        assert (await resign(a, "team/x/5", x)).status == 202


async def test_texts_of_plans_are_kept_only_where_there_is_room_for_the_job() -> None:
    async with admin(policies_from="api") as a:
        small(a, jobs=4)
        operator = await a.token(Role.OPERATOR, name="ci")
        texts = [f"{POLICIES}# {n}\n" for n in range(3)]
        path = next(r.path for r in ROUTES if r.name == "plan_policies_job")
        got = [(await a.call("POST", path, {"text": text}, token=operator)).status for text in texts]
        assert got == [202, 409, 409]
        assert sum(kind == "candidate" for kind, _ in a.world.store.journal.revisions) == 1


async def test_requests_that_wait_for_a_second_person() -> None:
    async with admin(dual=True) as a:
        small(a)
        erika, max_ = await a.token(Role.KEY_ADMIN, name="erika"), await a.token(Role.KEY_ADMIN, name="max")

        async def ask(token: str, reason: str) -> Reply:
            return await a.call("POST", "/admin/v1/keys/release/rotate", {"reason": reason}, token=token)

        first = (await ask(erika, "0")).value["approval"]["id"]
        assert (await ask(erika, "0")).value["approval"]["id"] == first, "asked for already"
        assert [(await ask(erika, str(n))).status for n in range(1, 4)] == [202, 409, 409]
        assert (await ask(max_, "0")).value["approval"]["id"] != first
        assert a.world.store.journal.kinds().count(EventKind.APPROVAL_ASKED) == 3
        a.world.store.clock.advance(86400)
        renewed = await a.token(Role.KEY_ADMIN, name="erika 2")
        assert (await ask(renewed, "later")).status == 202


async def test_admin_tokens_of_one_maker() -> None:
    async with admin() as a:
        small(a, admin_tokens=10)
        erika, max_ = await a.token(Role.KEY_ADMIN, name="erika"), await a.token(Role.POLICY_ADMIN, name="max")

        async def make(name: str, by: str) -> Reply:
            return await a.call("POST", "/admin/v1/tokens", {"name": name, "roles": ["viewer"]}, token=by)

        made = [await make(f"v{n}", erika) for n in range(7)]
        assert (count(made, 201), count(made, 409)) == (5, 2)
        assert "countersign tokens list" in made[-1].value["detail"]
        assert (await make("other", max_)).status == 201
        await a.call("DELETE", f"/admin/v1/tokens/{made[0].value['id']}", token=max_)
        assert (await make("again", erika)).status == 201
