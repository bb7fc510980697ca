"""Policies over the admin API: nobody opens a repository without the role, unseen, or with a text read in two ways."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from proxy.journal.event import EventKind
from proxy.trust.roles import Role
from tests.worlds.admin import POLICIES, Admin, Reply, admin
from tests.worlds.images import image

OPEN = POLICIES.replace("pull: {require", "pull: {mode: 'off', require")
WISH: dict[str, Any] = {"text": OPEN, "base": 1, "reason": "let me in"}


async def tried(a: Admin, token: str, body: object = None, path: str = "") -> Reply:
    return await a.call("POST", f"/admin/v1/policies{path}", WISH if body is None else body, token=token)


@pytest.mark.parametrize("role", [role for role in Role if role not in (Role.POLICY_ADMIN, Role.POLICY_APPLY)])
@pytest.mark.parametrize("path", ["", "/revisions/1/revert"])
async def test_only_a_policy_admin_and_a_pipeline_change_policies(role: Role, path: str) -> None:
    async with admin(policies_from="api") as a:
        a.world.put_behind(image("x"), "team/app", "1")
        body = WISH if path == "" else {"base": 1, "reason": "r"}
        assert (await tried(a, await a.token(role), body, path)).status == 403
        assert (await tried(a, "", body, path)).status == 401
        assert await a.world.blocked("team/app", "1") == "unsigned"
        assert len(a.world.store.policy_book.rows) == 1


async def test_a_token_for_some_repositories_changes_none_of_the_policies() -> None:
    async with admin(policies_from="api") as a:
        token = await a.token(Role.POLICY_ADMIN, only=("team/**",))
        assert (await tried(a, token)).status == 403
        assert len(a.world.store.policy_book.rows) == 1


async def test_a_change_is_in_the_journal_twice_before_and_with_it() -> None:
    async with admin(policies_from="api") as a:
        token = await a.token(Role.POLICY_ADMIN, name="mallory")
        assert (await tried(a, token)).status == 200
        called, changed = a.world.store.journal.events[-2:]
        assert (called.kind, changed.kind) == (EventKind.ADMIN_CALLED, EventKind.POLICY_CHANGED)
        assert {called.who, changed.who} == {"mallory"}
        assert '  + pull.mode: "off"' in changed.detail["changes"]


@pytest.mark.parametrize(
    "text",
    [
        "policies: &a []\nother: *a",
        "policies: !!python/object/apply:os.system [id]",
        "policies: []\npolicies: []",
        "policies: []\n---\npolicies: []",
        "policies: [{repositories: ['**'], pull: {mode: off}}]",
        "policies: [{repositories: ['**'], pull: {mode: enforce, mode: 'off'}}]",
        "policies: [{repositories: ['**'], pull: {require: [{signed_by: [attestation]}]}}]",
        "policies: []\ntrust: {mine: {public_key: /etc/passwd}}",
        "policies: " + "[" * 500,
        POLICIES.replace("[release]", "[release, mine]"),
    ],
)
async def test_a_text_that_reads_two_ways_or_reaches_further_changes_nothing(text: str) -> None:
    async with admin(policies_from="api") as a:
        token = await a.token(Role.POLICY_ADMIN)
        reply = await tried(a, token, {**WISH, "text": text})
        assert reply.status == 400, reply.value
        assert "root:" not in reply.value["detail"]
        assert len(a.world.store.policy_book.rows) == 1
        assert a.world.ports.rules.current().policies[0].pull.mode == "enforce"


async def test_a_text_without_end_is_not_read() -> None:
    async with admin(policies_from="api") as a:
        token = await a.token(Role.POLICY_ADMIN)
        assert (await tried(a, token, {**WISH, "text": "#" * 300_000})).status == 400
        assert (await tried(a, token, b'{"text":"' + b"#" * 700_000)).status == 413
        assert len(a.world.store.policy_book.rows) == 1


async def test_of_many_who_change_the_same_revision_one_does() -> None:
    async with admin(policies_from="api") as a:
        token = await a.token(Role.POLICY_ADMIN)
        wishes = [{**WISH, "text": f"{OPEN}# {n}\n"} for n in range(8)]
        replies = await asyncio.gather(*(tried(a, token, wish) for wish in wishes))
        assert sorted(reply.status for reply in replies) == [200] + [409] * 7
        assert len(a.world.store.policy_book.rows) == 2
