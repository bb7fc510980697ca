"""`countersign approvals` and `journal` against the real API: asked for by one, agreed to by another, found again."""

import json
from pathlib import Path

import pytest
import typer

from proxy.admin.approval import ApprovalState
from proxy.admin.approval_operations import approve as approve_request
from proxy.admin.approval_operations import list_approvals, reject
from proxy.cli.admin import Endpoint
from proxy.cli.beside import draft
from proxy.cli.exits import Exit, OutputFormat
from proxy.cli.operations import carry_out
from proxy.keys.operations import rotate_key
from proxy.oci.faults import Fault
from proxy.server.journal_operations import journal
from proxy.trust.roles import Role
from tests.contract.test_tokens_commands import away, create, served, show

ROTATE = {
    "profile": "release", "reason": "tuesday", "overlap": None, "retire_after": None, "token_": None, "dry_run": False,
    "yes": True, "output": OutputFormat.TEXT,
}  # fmt: skip


def show_pending(place: Endpoint) -> Exit:
    return carry_out(list_approvals, place, {"state": ApprovalState.PENDING, "output": OutputFormat.TEXT})


def approve(place: Endpoint, which: str, reason: str, *, dry_run: bool = False) -> Exit:
    typed = {"id": which, "reason": reason, "dry_run": dry_run, "yes": True, "output": OutputFormat.TEXT}
    return carry_out(approve_request, place, typed)


async def test_two_people_rotate_from_afar(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with served(tmp_path, dual=True) as (a, url, _):
        erika = Endpoint(server=url, token=await a.token(Role.KEY_ADMIN, name="erika"))
        other = Endpoint(server=url, token=await a.token(Role.KEY_ADMIN, name="max"))
        before = a.active()
        with pytest.raises(Fault, match="a second person must approve it") as held:
            await away(lambda: carry_out(rotate_key, erika, ROTATE))
        assert held.value.status == 202, "exit code 11"
        (which,) = a.world.store.approvals.rows
        await away(lambda: show_pending(other))
        assert "rotate_key" in capsys.readouterr().out
        assert await away(lambda: approve(other, which, "seen", dry_run=True)) is Exit.FINE
        assert "rotate_key as erika asked: tuesday" in capsys.readouterr().out
        assert a.active() == before
        with pytest.raises(Fault, match="cannot approve it"):
            await away(lambda: approve(erika, which, "mine"))
        assert await away(lambda: approve(other, which, "seen")) is Exit.FINE
        assert f"request {which}: rotate_key, done" in capsys.readouterr().out
        assert a.active() != before
        await away(lambda: show_pending(other))
        assert "nothing waits for a second person" in capsys.readouterr().out
        names = ("repository", "digest", "who", "reason", "key", "until", "order")
        rows = {**dict.fromkeys(names), "kind": ["approval.given"], "since": "2026-01-01", "all": False}
        rows |= {"limit": 10, "output": OutputFormat.TEXT}
        await away(lambda: carry_out(journal, other, rows))
        told = capsys.readouterr().out
        assert "max" in told
        rows |= {"kind": [], "since": None, "limit": 3, "output": OutputFormat.JSON}
        await away(lambda: carry_out(journal, other, rows))
        assert len(json.loads(capsys.readouterr().out)["items"]) == 3


async def test_a_request_is_taken_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with served(tmp_path, dual=True) as (a, url, socket):
        local = Endpoint(socket=socket)
        with pytest.raises(Fault, match="nothing was done yet"):
            await away(lambda: carry_out(rotate_key, local, ROTATE))
        (which,) = a.world.store.approvals.rows
        await away(lambda: carry_out(reject, local, {"id": which, "reason": "not today", "output": OutputFormat.TEXT}))
        assert f"request {which}: rotate_key, rejected" in capsys.readouterr().out
        assert url


async def test_two_make_a_third_and_see_nothing_of_the_token(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with served(tmp_path, dual=True) as (a, url, _):
        erika = Endpoint(server=url, token=await a.token(Role.KEY_ADMIN, name="erika"))
        other = Endpoint(server=url, token=await a.token(Role.KEY_ADMIN, name="max"))
        with pytest.raises(typer.Exit):
            draft()
        printed = capsys.readouterr()
        mine, fingerprint = printed.out.strip(), printed.err.split()[-1]
        assert mine not in printed.err
        uwe = Endpoint(server=url, token=mine)

        def ask(*, dry_run: bool = False) -> Exit:
            return create(erika, "uwe", ["key-admin"], 7, OutputFormat.TEXT, fingerprint=fingerprint, dry_run=dry_run)

        assert await away(lambda: ask(dry_run=True)) is Exit.FINE
        assert fingerprint[:20] in capsys.readouterr().out
        with pytest.raises(Fault, match="a second person must approve it"):
            await away(ask)
        (which,) = a.world.store.approvals.rows
        with pytest.raises(Fault, match="not an admin token"):
            await away(lambda: show(uwe, OutputFormat.TEXT))
        assert await away(lambda: approve(other, which, "seen")) is Exit.FINE
        assert mine not in capsys.readouterr().out
        await away(lambda: show(uwe, OutputFormat.TEXT))
        row = next(line.split() for line in capsys.readouterr().out.splitlines() if " uwe " in line)
        assert row[-2:] == ["erika", "max"]


async def test_a_drafted_token_is_made_known_by_one_where_one_is_enough(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with served(tmp_path) as (_, _, socket):
        with pytest.raises(typer.Exit):
            draft()
        fingerprint = capsys.readouterr().err.split()[-1]
        local = Endpoint(socket=socket)
        await away(lambda: create(local, "uwe", ["viewer"], 7, OutputFormat.TEXT, fingerprint=fingerprint))
        assert fingerprint[:12] in capsys.readouterr().out
