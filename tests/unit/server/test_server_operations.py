"""The status and the reload, asked of a whole proxy in memory; and how they are printed."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from typing import Any

import pytest

from proxy.cli import admin as client
from proxy.cli.exits import Exit, OutputFormat
from proxy.cli.operations import carry_out
from proxy.journal.event import Event
from proxy.journal.problem import Problem, ProblemId
from proxy.oci.faults import Unavailable
from proxy.server.reload import different
from proxy.server.server_operations import reload, status
from proxy.trust.keys import KeyState
from proxy.trust.roles import Role
from tests.unit.config.test_settings import SIGNING, parse
from tests.unit.conftest import until
from tests.worlds.admin import admin
from tests.worlds.images import image
from tests.worlds.memory import NOON

PROBLEM = {"what": "token hsm: away", "since": "10:00", "stops": "pushes", "next": "countersign doctor"}
STATUS: dict[str, Any] = {
    "name": "c", "version": "1.2", "url": "https://r", "started": "then", "policy_revision": "ab",
    "policies_number": None,
    "keys": [], "soon": [], "warnings": [], "problems": [],
}  # fmt: skip


async def test_status_has_the_revisions_that_decisions_are_made_under() -> None:
    async with admin() as a:
        a.world.put_behind(image(), "team/app", "v1")
        a.world.store.clock.advance(60)
        told = (await a.call("GET", "/admin/v1/status", socket=True)).value
        shown = (await a.call("GET", "/admin/v1/verify?ref=team/app:v1", socket=True)).value["decision"]
        assert (told["policy_revision"], told["key_revision"]) == (shown["policy_revision"], shown["key_revision"])
        assert (told["started"], told["pid"]) == (NOON.isoformat().replace("+00:00", "Z"), os.getpid())
        assert [(k["profile"], k["state"]) for k in told["keys"]] == [("release", "active")]
        assert [(p["id"], p["what"]) for p in told["problems"]] == [("journal", "w")]


async def test_status_answers_on_the_host_while_the_journal_takes_nothing() -> None:
    async with admin() as a:
        token = await a.token(Role.KEY_ADMIN)

        async def full(*_events: Event) -> None:
            raise Unavailable("store: disk full")

        a.world.store.journal.record = full  # type: ignore[method-assign]
        a.world.store.journal.counted = full  # type: ignore[assignment,method-assign]
        for method, path, body in (("GET", "status", None), ("POST", "doctor", {})):
            assert (await a.call(method, f"/admin/v1/{path}", body, socket=True)).status == 200
            assert (await a.call(method, f"/admin/v1/{path}", body, token=token)).status == 503
        assert (await a.call("GET", "/admin/v1/keys", socket=True)).status == 503


async def test_status_on_the_host_does_not_wait_for_a_store_that_says_nothing() -> None:
    async with admin() as a:
        back = asyncio.Event()
        journal, written = a.world.store.journal.counted, list[Event]()

        async def silent(event: Event) -> None:
            await back.wait()
            written.append(event)
            await journal(event)

        a.world.store.journal.counted = silent  # type: ignore[method-assign]
        assert (await a.call("GET", "/admin/v1/status", socket=True)).status == 200
        assert written == []
        back.set()
        await until(lambda: [event.detail["call"] for event in written] == ["GET /admin/v1/status"])


async def test_a_problem_of_a_repository_is_for_those_who_may_see_it() -> None:
    async with admin() as a:
        a.found[:] = [
            Problem(ProblemId.TAGS_KEPT, where or "all", "s", "n", repository=where)
            for where in ("team/app", "x", None)
        ]
        token = await a.token(Role.VIEWER, only=("team/**",))
        told = (await a.call("GET", "/admin/v1/status", token=token)).value["problems"]
        assert [each["what"] for each in told] == ["team/app", "all"]


@pytest.mark.parametrize("why", [None, "countersign.yaml:3:1: broken"])
async def test_a_reload_says_whether_and_why_not(why: str | None) -> None:
    async with admin() as a:
        a.reloads.append(why)
        told = (await a.call("POST", "/admin/v1/reload", socket=True)).value
        assert (told["reloaded"], told["why"]) == (why is None, why)


def answering(monkeypatch: pytest.MonkeyPatch, answer: dict[str, Any]) -> None:
    monkeypatch.setattr(client, "call", lambda *_: answer)


def printed(operation: Any, capsys: pytest.CaptureFixture[str]) -> tuple[Exit, str]:
    code = carry_out(operation, client.Endpoint(), {"output": OutputFormat.TEXT})
    return code, capsys.readouterr().out


def test_status_names_what_is_wrong_and_the_next_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answering(monkeypatch, {**STATUS, "problems": [PROBLEM]})
    code, out = printed(status, capsys)
    assert code == Exit.NO
    assert "WRONG: token hsm: away (since 10:00)\n  stops  pushes\n  next   countersign doctor\n" in out


def test_status_when_all_is_well(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    answering(monkeypatch, STATUS)
    code, out = printed(status, capsys)
    assert code == Exit.FINE
    assert out.endswith("problems  none\n")


def test_a_refused_reload_is_code_1(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    answering(monkeypatch, {"reloaded": False, "why": "line 3"})
    assert printed(reload, capsys) == (Exit.NO, "refused, the previous one stays in force: line 3\n")


def test_a_reload_did_not_say_which_revision_and_what_changed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    told: dict[str, Any] = {
        "reloaded": True,
        "why": None,
        "revision": "3def5021" * 8,
        "policies": "from /c.yaml",
        "changed": [],
    }
    answering(monkeypatch, told)
    code, out = printed(reload, capsys)
    assert code is Exit.FINE
    assert out.splitlines()[0] == "configuration reloaded: revision 3def50213def; policies from /c.yaml"
    assert "no setting" in out
    answering(monkeypatch, {**told, "changed": [f"policies[{at}].pull.mode" for at in range(22)]})
    assert printed(reload, capsys)[1].endswith(", policies[19].pull.mode and 2 more\n")


def test_settings_that_differ_are_named_as_the_file_has_them() -> None:
    before = parse(SIGNING)
    after = parse(SIGNING + "limits: {index_depth: 2}\n")
    assert different(before, before) == ()
    assert different(before, after) == ("limits.index_depth",)


async def test_status_listed_keys_without_their_fingerprint_and_destroyed_ones_for_ever(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async with admin() as a:
        gone = replace(a.world.signer.create("release"), token="spare", state=KeyState.DESTROYED)
        await a.world.store.keybook.add(gone)
        found = (await a.call("GET", "/admin/v1/status", socket=True)).value
        assert [(key["fingerprint"], key["token"]) for key in found["keys"]] == [(a.active(), "soft")]
        answering(monkeypatch, found)
        _, out = printed(status, capsys)
        (line,) = [line for line in out.splitlines() if line.startswith("  key ")]
        assert line.startswith(f"  key       {a.active()[:12]} of release on token soft (ecdsa-p256): active since ")
