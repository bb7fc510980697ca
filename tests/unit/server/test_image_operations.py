"""What is said of one image, asked of a whole proxy in memory."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from urllib.parse import quote

import pytest

from proxy.journal.event import EventKind
from proxy.oci.operation import PullManifest
from proxy.registry.cache import Cache
from proxy.registry.request import Response
from tests.worlds.admin import Admin, Reply, admin
from tests.worlds.conversation import user
from tests.worlds.images import image


async def verified(a: Admin, ref: str) -> Reply:
    return await a.call("GET", f"/admin/v1/verify?ref={quote(ref)}", socket=True)


async def explained(a: Admin, question: str) -> Any:
    reply = await a.call("GET", f"/admin/v1/why?question={quote(question)}", socket=True)
    assert reply.status == 200, reply.value
    return reply.value


async def test_an_image_is_verified_by_any_of_our_names_and_as_nobody_in_particular() -> None:
    async with admin() as a:
        await a.world.push(image(), "team/app", "v1", user("alice"))
        for name in ("team/app:v1", "proxy.example/team/app:v1", f"team/app@{image().digest}"):
            shown = (await verified(a, name)).value
            assert (shown["outcome"], shown["allowed"]) == ("passed", True)
            assert shown["decision"]["digest"] == image().digest
        elsewhere = await verified(a, "elsewhere.example/team/app:v1")
        assert elsewhere.status == 404
        assert "if elsewhere.example is a registry: names are without it here" in elsewhere.value["detail"]
        elsewhere = await verified(a, "elsewhere.example:5000/team/app:v1")
        assert "names are without a host here, or with proxy.example/ in front" in elsewhere.value["detail"]


async def test_why_knows_a_decision_by_its_id_and_anything_else_is_a_name() -> None:
    async with admin() as a:
        w = a.world
        w.put_behind(image(), "team/app", "v1")
        assert await w.blocked("team/app", "v1") == "unsigned"
        (denied,) = [e for e in w.store.journal.events if e.kind is EventKind.PULL_DENIED]
        await w.push(image(), "team/app", "v1")
        recorded = await explained(a, denied.decision_id)
        assert (recorded["decision"]["id"], recorded["outcome"]) == (denied.decision_id, "failed")
        assert "unsigned" in recorded["text"] or "no signature" in recorded["text"]
        assert (await explained(a, "team/app:v1"))["outcome"] == "passed"
        for unknown_id in ("zzzzzzzzzzzzzzzz", "Zz-_zzzzzzzzzzzz"):
            missing = await a.call("GET", f"/admin/v1/why?question={unknown_id}", socket=True)
            assert missing.status == 404
            assert f"no decision has the id {unknown_id}, or it is no longer kept" in missing.value["detail"]
        w.registry.fail(PullManifest, 500, times=5)
        away = await a.call("GET", f"/admin/v1/why?question={'z' * 16}", socket=True)
        assert away.status == 503
        assert f"no decision has the id {'z' * 16}" in away.value["detail"]
        assert "whether it names an image is not known" in away.value["detail"]


async def test_why_of_a_name_that_is_nowhere() -> None:
    async with admin() as a:
        unknown = await a.call("GET", "/admin/v1/why?question=nothing", socket=True)
        assert unknown.status == 404
        assert "not in the registry" in unknown.value["detail"]


@pytest.mark.parametrize(
    ("status", "answered", "said"),
    [
        (404, 404, "team/app:v1 is not in the registry"),
        (401, 403, "upstreams[0].credentials"),
        (403, 403, "upstreams[0].credentials"),
        (500, 503, "not available just now"),  # an upstream in trouble is no missing image
    ],
)
async def test_upstream_s_refusals_say_what_to_do(status: int, answered: int, said: str) -> None:
    async with admin() as a:
        a.world.registry.fail(PullManifest, status, times=5)
        reply = await verified(a, "team/app:v1")
        assert reply.status == answered
        assert said in reply.value["detail"]


async def test_judging_has_the_budget_of_one_request() -> None:
    async with admin() as a:
        a.world.put_behind(image(), "team/app", "v1")
        assert (await verified(a, "team/app:v1")).value["outcome"] == "failed"
        poor = replace(a.world.ports.limits, request_lookups=1)
        a.world.ports = replace(a.world.ports, limits=poor, cache=Cache(poor, a.world.store.clock.monotonic))
        reply = await verified(a, "team/app:v1")
        assert reply.status == 503 or reply.value["outcome"] == "inconclusive", "not looked at is not absent"


async def test_signing_says_what_was_signed_and_who_asked_is_recorded() -> None:
    async with admin() as a:
        w = a.world
        w.put_behind(image(), "team/app", "v1")
        reply = await a.call("POST", "/admin/v1/sign", {"ref": "team/app:v1", "reason": "reviewed"}, socket=True)
        assert reply.value["digest"] == image().digest
        assert {s["digest"] for s in reply.value["signatures"]} == {image().digest}
        assert {s["bound"] for s in reply.value["signatures"]} >= {"proxy.example/team/app:v1"}
        (row,) = [e for e in w.store.journal.events if e.kind is EventKind.COUNTERSIGNED]
        assert (row.who, row.how, row.detail["reason"]) == ("operator on the host", "socket", "reviewed")
        assert isinstance(await w.pull("team/app", "v1"), Response)
        assert reply.value["already"] is False
        again = await a.call("POST", "/admin/v1/sign", {"ref": "team/app:v1", "reason": "again"}, socket=True)
        assert again.value == {**reply.value, "already": True}


async def test_what_was_signed_later_is_called_pushed() -> None:
    async with admin() as a:
        w = a.world
        w.put_behind(image(), "team/app", "v1")
        await a.call("POST", "/admin/v1/sign", {"ref": "team/app:v1", "reason": "backlog"}, socket=True)
        text = (await verified(a, "team/app:v1")).value["text"]
        assert "signed later by operator on the host (socket): backlog" in text
        assert "pusher" not in text
