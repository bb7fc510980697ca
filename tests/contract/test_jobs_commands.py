"""`countersign jobs` and `keys resign` against the real API and runner, over both ways in."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from proxy.cli import beside as jobs
from proxy.cli import progress
from proxy.cli.admin import Endpoint, call
from proxy.cli.exits import Exit, OutputFormat
from proxy.cli.operations import carry_out
from proxy.jobs.operations import cancel_job, list_jobs, show_job
from proxy.jobs.run import run_next
from proxy.keys.image_operations import resign as resign_again
from proxy.keys.resign import RESIGN, resign
from proxy.oci.faults import Fault
from proxy.trust.roles import Role
from tests.contract.test_tokens_commands import away, served
from tests.worlds.admin import Admin
from tests.worlds.images import image

RESIGNED = {
    "profile": "release", "reason": "since it was copied", "repository": None, "wait": True, "dry_run": False,
    "yes": True, "output": OutputFormat.TEXT,
}  # fmt: skip


@asynccontextmanager
async def working(a: Admin) -> AsyncIterator[None]:
    """Jobs are run."""
    w = a.world

    async def always() -> None:
        works = {RESIGN: lambda job, step: resign(job, step, w.ports, w.store.ledger)}
        while True:
            await run_next(works, w.store.jobs, w.store.journal, w.store.clock)
            await asyncio.sleep(0.01)

    task = asyncio.create_task(always())
    yield
    task.cancel()
    await asyncio.wait([task])


def show_all(place: Endpoint, filters: dict[str, str], form: OutputFormat) -> Exit:
    return carry_out(list_jobs, place, {"state": None, "kind": None, "repository": None, **filters, "output": form})


def show(place: Endpoint, job_id: str, form: OutputFormat) -> Exit:
    return carry_out(show_job, place, {"id": job_id, "output": form})


def cancel(place: Endpoint, job_id: str, form: OutputFormat) -> Exit:
    return carry_out(cancel_job, place, {"id": job_id, "reason": "r", "output": form})


async def test_everything_is_signed_again_from_afar(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with served(tmp_path) as (a, url, socket), working(a):
        for name in ("a/b", "c"):
            await a.world.push(image(name), name, "v1")
        await away(lambda: call(Endpoint(socket=socket), "POST", "keys/release/rotate", {"reason": "tuesday"}))
        far = Endpoint(server=url, token=await a.token(Role.OPERATOR, name="erika"))
        assert await away(lambda: carry_out(resign_again, far, {**RESIGNED, "dry_run": True})) is Exit.FINE
        assert "go through 2 images in all repositories" in capsys.readouterr().out
        assert not a.world.store.jobs.rows
        assert await away(lambda: carry_out(resign_again, far, RESIGNED)) is Exit.FINE
        told = capsys.readouterr().out
        assert "resign, done" in told
        assert "erika (admin-token:" in told
        assert "signed  2" in told
        assert {e.fingerprint for e in a.world.store.ledger.rows} >= {a.active()}
        await away(lambda: show_all(far, {"state": "done"}, OutputFormat.TEXT))
        assert "2/2" in capsys.readouterr().out
        await away(lambda: show_all(far, {"state": "failed"}, OutputFormat.TEXT))
        assert "no job matches" in capsys.readouterr().out


async def test_a_job_that_waits_is_cancelled(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with served(tmp_path) as (_, _, socket):
        local = Endpoint(socket=socket)
        given = {**RESIGNED, "repository": "a/b", "wait": False, "output": OutputFormat.JSON}
        await away(lambda: carry_out(resign_again, local, given))
        job = json.loads(capsys.readouterr().out)
        assert (job["state"], job["repository"]) == ("queued", "a/b")
        await away(lambda: cancel(local, job["id"], OutputFormat.TEXT))
        assert "resign, cancelled" in capsys.readouterr().out
        assert await away(lambda: jobs.waited_for(local, job["id"], OutputFormat.TEXT)) is Exit.NO
        with pytest.raises(Fault, match="nothing to cancel"):
            await away(lambda: cancel(local, job["id"], OutputFormat.TEXT))
        with pytest.raises(Fault, match="no job"):
            await away(lambda: show(local, "f" * 16, OutputFormat.TEXT))


async def test_profiles_and_repositories_that_are_none(tmp_path: Path) -> None:
    async with served(tmp_path) as (_, _, socket):
        local = Endpoint(socket=socket)
        with pytest.raises(Fault, match="no key signs for profile"):
            await away(lambda: carry_out(resign_again, local, {**RESIGNED, "profile": "other"}))
        with pytest.raises(Fault, match="repository"):
            await away(lambda: carry_out(resign_again, local, {**RESIGNED, "repository": "../etc"}))


def test_a_bar_says_how_far_it_is() -> None:
    job = {"kind": "resign", "state": "running", "done": 5, "total": 10, "note": ""}
    assert progress.bar(job) == f"resign [{'#' * 15}{'.' * 15}] 5/10 running"
    waits = progress.bar({**job, "done": 0, "total": None, "state": "queued", "note": "token\x1b[2J away"})
    assert waits.startswith(f"resign [{'.' * 30}] 0/? queued (token")
    assert "\x1b" not in waits
    assert "#" * 30 in progress.bar({**job, "done": 0, "total": 0, "state": "done"})
