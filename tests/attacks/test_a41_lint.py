"""The least of tokens may lint policies: what it sends costs a process of its own, and nobody else's turn.

ATTACKS 37, 38 and 41.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from proxy.admin.operation import Call
from proxy.config import policy_checks, policy_file
from proxy.oci.faults import Fault
from proxy.oci.limits import Limits
from proxy.policies import worker
from proxy.policies.process import PolicyProcesses
from proxy.policies.shapes import Candidate, Linted
from proxy.trust.actor import Actor
from proxy.trust.roles import Role
from tests.worlds.admin import POLICIES, Admin, admin
from tests.worlds.images import image

LARGE = "policies:\n" + "".join(
    f'  - {{repositories: ["*a{n:x}*/**"], push: {{sign_with: [release]}}}}\n' for n in range(1490)
)
STRICT = POLICIES.replace("platform-help", "night-shift")


@pytest.fixture
async def processes() -> AsyncIterator[PolicyProcesses]:
    made = PolicyProcesses(Limits())
    yield made
    await made.close()


@pytest.fixture
async def at(processes: PolicyProcesses, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Admin]:
    """A server whose own process fails when it parses, checks or looks through a text of policies."""

    def never(*_: object, **__: object) -> None:
        raise AssertionError("looked through by the process that serves")

    async with admin(policies_from="api", reader=processes) as made:
        for module, name in (
            (worker, "answer"), (worker, "lint"), (worker, "differences"),
            (worker, "parse_policies"), (policy_file, "read"), (policy_checks, "complaints"),
        ):  # fmt: skip
            monkeypatch.setattr(module, name, never)
        yield made


async def lint(at: Admin, token: str, text: str) -> int:
    return (await at.call("POST", "/admin/v1/policies/lint", {"text": text}, token=token)).status


async def apply(at: Admin, token: str, text: str, base: int) -> int:
    wish = {"text": text, "base": base, "reason": "urgent"}
    return (await at.call("POST", "/admin/v1/policies", wish, token=token)).status


async def test_a_change_is_put_in_force_while_forty_lints_of_a_viewer_are_not_answered(
    at: Admin, processes: PolicyProcesses
) -> None:
    boss, viewer = await at.token(Role.POLICY_ADMIN), Actor("eve", "token", roles=(Role.VIEWER,), token_id="0e")
    (linted,) = (each.execute for each in at.operations if each.route.name == "lint_policies")
    wish = Call(viewer, at.world.store.clock.now(), at.world.ports, at.services, {}, {}, body=Candidate(text=POLICIES))
    await linted(replace(wish, body=Candidate(text=LARGE)))
    (trying,) = processes.pids
    os.kill(trying, signal.SIGSTOP)  # as slow as it could be
    lints = [asyncio.ensure_future(linted(wish)) for _ in range(40)]
    await asyncio.sleep(0)
    assert sum(each.done() for each in lints) == 28, "refused at once"
    assert await apply(at, boss, STRICT, 1) == 200
    assert await apply(at, boss, POLICIES, 2) == 200
    assert at.world.ports.rules.current().policies[0].contact == "#platform-help"
    assert sum(each.done() for each in lints) == 28
    os.kill(trying, signal.SIGCONT)
    said = await asyncio.gather(*lints, return_exceptions=True)
    assert Counter(each.status if isinstance(each, Fault) else type(each) for each in said) == {429: 28, Linted: 12}
    assert processes.pids[-1] == trying, "one process did it all, one text after the other"


async def test_another_viewer_and_another_token_of_the_least_role_are_served_in_between(at: Admin) -> None:
    one, other = await at.token(Role.VIEWER), await at.token(Role.VIEWER)
    order: list[str] = []

    async def asked(name: str, token: str) -> None:
        assert await lint(at, token, POLICIES) == 200
        order.append(name)

    await asyncio.gather(*(asked("one", one) for _ in range(8)), asked("other", other))
    assert order.index("other") < 3, order


async def test_whatever_is_asked_about_texts_is_answered_by_the_other_processes(at: Admin) -> None:
    boss = await at.token(Role.POLICY_ADMIN)
    assert await apply(at, boss, STRICT, 1) == 200
    await at.world.push(image(), "prod/app", "1")
    calls = [
        ("POST", "/policies/lint", {}),
        ("POST", "/policies/plan/job", {"text": POLICIES, "days": 1}),
        ("POST", "/policies/test", {"ref": "prod/app:1", "text": POLICIES}),
        ("GET", "/policies/diff?old=1&new=2", None),
        ("POST", "/policies?dry_run=true", {"text": POLICIES, "base": 2, "reason": "r"}),
        ("POST", "/policies/revisions/1/revert", {"base": 2, "reason": "r"}),
    ]
    for method, path, body in calls:
        reply = await at.call(method, f"/admin/v1{path}", body, token=boss)
        assert reply.status < 300, (path, reply.body)


async def test_a_text_that_is_refused_a_thousand_times_over_is_told_shortly(at: Admin) -> None:
    viewer = await at.token(Role.VIEWER)
    junk = "policies: [{repositories: [a], push: {sign_with: [" + ",".join(f"n{n}" for n in range(3000)) + "]}}]"
    reply = await at.call("POST", "/admin/v1/policies/lint", {"text": junk}, token=viewer)
    assert reply.status == 200
    assert len(reply.value["findings"]) == 101
