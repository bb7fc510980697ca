"""`countersign sign` of several images, typed: against the real API and runner."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from proxy.backlog.look import LOOK, look
from proxy.backlog.sign_listed import SIGN_LISTED, sign_listed
from proxy.cli import progress
from proxy.cli.app import _with
from proxy.cli.exits import Exit
from proxy.jobs.run import run_next
from proxy.oci.faults import Invalid, Unavailable
from proxy.oci.operation import PullManifest
from proxy.trust.roles import Role
from tests.contract.test_tokens_commands import away, served
from tests.worlds.admin import Admin
from tests.worlds.images import image
from tests.worlds.registry import Said, Seen


@asynccontextmanager
async def working(a: Admin) -> AsyncIterator[None]:
    """Jobs are run."""
    w = a.world

    async def always() -> None:
        works = {
            LOOK: lambda job, step: look(job, step, w.ports, w.store.journal.pulled),
            SIGN_LISTED: lambda job, step: sign_listed(job, step, w.ports),
        }
        while True:
            await run_next(works, w.store.jobs, w.store.journal, w.store.clock)
            await asyncio.sleep(0.01)

    task = asyncio.create_task(always())
    yield
    task.cancel()
    await asyncio.wait([task])


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "_LOOK_S", 0.02)


def typed(*words: str, stdin: str = "") -> Result:
    return CliRunner().invoke(_with(["sign"]), ["sign", *words, "--reason", "backlog"], input=stdin)


async def test_one_command_signs_many_after_showing_them(tmp_path: Path) -> None:
    async with served(tmp_path) as (a, url, _), working(a):
        for name in ("team/one", "team/two"):
            a.world.put_behind(image(name), name, "v1")
        far = ("--server", url, "--token", await a.token(Role.OPERATOR, name="erika"))
        shown = await away(lambda: typed("team/**", *far, "--dry-run"))
        assert (shown.exit_code, a.world.store.ledger.rows) == (Exit.FINE, {})
        assert "IMAGE" in shown.stdout
        assert f"team/one:v1  {image('team/one').digest[:19]}  nobody" in shown.stdout
        assert shown.stdout.endswith("\n2 to sign\n")
        told = json.loads((await away(lambda: typed("team/**", *far, "--dry-run", "-o", "json"))).stdout)
        assert ([each["reference"] for each in told["images"]], told["counts"]) == (["v1", "v1"], {"to sign": 2})
        asked = await away(lambda: typed("team/**", *far))
        assert (asked.exit_code, "nothing was done" in asked.stderr) == (Exit.NO, True), "no terminal to ask on"
        done = await away(lambda: typed("team/**", *far, "--yes"))
        assert done.exit_code == Exit.FINE, done.output
        assert "signed  2" in done.stdout
        again = await away(lambda: typed("team/**", *far, "--yes"))
        assert (again.exit_code, again.stdout) == (Exit.FINE, "2 signed already\n")


async def test_a_file_or_standard_input_of_names_and_what_cannot_be_known(tmp_path: Path) -> None:
    async with served(tmp_path) as (a, url, _), working(a):
        a.world.put_behind(image(), "team/app", "v1")
        far = ("--server", url, "--token", await a.token(Role.OPERATOR, name="erika"))
        (tmp_path / "names").write_text("team/app:v1\nteam/app:v2\n")
        shown = await away(lambda: typed("--from", str(tmp_path / "names"), *far, "--dry-run"))
        assert "not signed: team/app:v2: not in the registry" in shown.stdout
        done = await away(lambda: typed("--from", "-", *far, "--yes", "--no-wait", stdin="team/app:v1\n"))
        assert (done.exit_code, "sign-listed, queued" in done.stdout) == (Exit.FINE, True)

        def asleep(seen: Seen) -> Said | None:
            if isinstance(seen.operation, PullManifest):
                raise Unavailable("asleep")
            return None

        a.world.registry.hooks.append(asleep)
        unknown = await away(lambda: typed("team/app:v3", *far, "--dry-run"))
        assert (unknown.exit_code, "could not look" in unknown.stdout) == (Exit.INCONCLUSIVE, True)


async def test_one_image_is_signed_at_once_or_is_signed_already(tmp_path: Path) -> None:
    async with served(tmp_path) as (a, url, _), working(a):
        digest = a.world.put_behind(image(), "team/app", "v1")
        far = ("--server", url, "--token", await a.token(Role.OPERATOR, name="erika"))
        first = await away(lambda: typed("team/app:v1", *far))
        assert (first.exit_code, first.stdout.splitlines()[0]) == (Exit.FINE, f"signed {digest}")
        second = await away(lambda: typed("team/app:v1", *far))
        assert (second.exit_code, second.stdout.splitlines()[0]) == (Exit.FINE, f"{digest} is signed already")
        assert json.loads((await away(lambda: typed("team/app:v1", *far, "-o", "json"))).stdout)["already"] is True


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "one of: REF or PATTERN, --from FILE, --unsigned-pulled"),
        (("a:1", "--unsigned-pulled"), "one of: REF or PATTERN"),
        (("a:1", "--since", "3d"), "--since belongs to --unsigned-pulled"),
        (
            ("--from", "/nowhere/names", "--server", "http://127.0.0.1:9"),
            "--from /nowhere/names: there is no such file",
        ),
    ],
)
def test_what_to_sign_is_said_once(words: tuple[str, ...], said: str) -> None:
    wrong = typed(*words).exception
    assert isinstance(wrong, Invalid)
    assert said in str(wrong)
