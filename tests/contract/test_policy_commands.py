"""`countersign policy` against the real API: what is printed, and with which code it ends."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from proxy.admin.http_problems import problem
from proxy.cli.admin import Endpoint
from proxy.cli.agreed import Confirmation
from proxy.cli.exits import Exit, OutputFormat
from proxy.cli.operations import carry_out
from proxy.jobs.run import run_next
from proxy.oci.faults import ConfigError, Fault, Invalid
from proxy.oci.limits import Limits
from proxy.policies import operations
from proxy.policies.plan import PLAN, plan_in_job
from proxy.trust.roles import Role
from proxy.web.outermost import Edge, outermost
from proxy.web.server import Address, Listener
from tests.worlds.admin import POLICIES, SETTINGS, Admin, admin, nothing_else
from tests.worlds.images import image

WARN = POLICIES.replace("pull: {require", "pull: {mode: warn, require")
YES = Confirmation(yes=True)
Captured = pytest.CaptureFixture[str]


@asynccontextmanager
async def served(come_from: str = "api") -> AsyncIterator[tuple[Admin, Endpoint]]:
    """Over the network, with a token of a policy-admin."""
    async with admin(policies_from=come_from) as a:
        listener = Listener(outermost(a.api.over_network(nothing_else), Edge(Limits(), refuse=problem)), Limits())
        at = await listener.listen(Address("127.0.0.1", 0))
        token = await a.token(Role.POLICY_ADMIN, name="erika")
        working = asyncio.create_task(jobs_done(a))
        try:
            yield a, Endpoint(server=f"http://127.0.0.1:{at.port}", token=token)
        finally:
            working.cancel()
            await asyncio.wait([working])
            await listener.leave(0.0, 1.0)


async def jobs_done(a: Admin) -> None:
    w = a.world
    pulled, texts = w.store.journal.pulled, w.store.journal.revision
    works = {PLAN: lambda job, step: plan_in_job(job, step, w.ports, a.policies, pulled, texts)}
    while True:
        await run_next(works, w.store.jobs, w.store.journal, w.store.clock)
        await asyncio.sleep(0.01)


def show(place: Endpoint, form: OutputFormat) -> Exit:
    return carry_out(operations.policies, place, {"output": form})


def history(place: Endpoint, form: OutputFormat) -> Exit:
    return carry_out(operations.policy_history, place, {"output": form})


def diff(place: Endpoint, old: int, new: int, form: OutputFormat) -> Exit:
    return carry_out(operations.policy_difference, place, {"old": old, "new": new, "output": form})


def given(reason: str, base: int | None, confirmation: Confirmation) -> dict[str, object]:
    sure = {"dry_run": confirmation.dry_run, "yes": confirmation.yes, "output": confirmation.form}
    return {"reason": reason, "base": base, **sure}


def apply(place: Endpoint, path: Path, reason: str, base: int | None, confirmation: Confirmation) -> Exit:
    return carry_out(operations.apply_policies, place, {"text": str(path), **given(reason, base, confirmation)})


def revert(place: Endpoint, number: int, reason: str, base: int | None, confirmation: Confirmation) -> Exit:
    return carry_out(operations.revert_policies, place, {"number": number, **given(reason, base, confirmation)})


def lint(place: Endpoint, path: Path | None, form: OutputFormat) -> Exit:
    return carry_out(operations.lint_policies, place, {"text": path and str(path), "output": form})


def try_on(place: Endpoint, ref: str, path: Path | None, form: OutputFormat) -> Exit:
    return carry_out(operations.test_policies, place, {"ref": ref, "text": path, "output": form})


def plan(place: Endpoint, path: Path, days: int, limit: int, form: OutputFormat) -> Exit:
    typed = {"text": str(path), "days": days, "limit": limit, "wait": True, "output": form}
    return carry_out(operations.plan_policies_job, place, typed)


async def away(work: Callable[[], Exit]) -> Exit:
    return await asyncio.to_thread(work)


async def test_shown_changed_compared_and_put_back(tmp_path: Path, capsys: Captured) -> None:
    file = tmp_path / "policies.yaml"
    async with served() as (_, place):
        assert await away(lambda: show(place, OutputFormat.TEXT)) is Exit.FINE
        printed = capsys.readouterr()
        assert printed.out == POLICIES
        assert "# revision 1 by countersign" in printed.err
        file.write_text(WARN)
        assert await away(lambda: apply(place, file, "r", None, Confirmation(dry_run=True))) is Exit.FINE
        assert capsys.readouterr().out == 'changed **\n  - pull.mode: "enforce"\n  + pull.mode: "warn"\n'
        assert await away(lambda: apply(place, file, "r", None, YES)) is Exit.FINE
        assert "revision 2 is in force" in capsys.readouterr().out
        assert await away(lambda: apply(place, file, "r", 1, YES)) is Exit.FINE
        assert "nothing to do: revision 2 has exactly this text" in capsys.readouterr().out
        with pytest.raises(Fault, match="made from revision 1"):
            await away(lambda: revert(place, 1, "r", 1, YES))
        await away(lambda: revert(place, 1, "bad night", None, YES))
        capsys.readouterr()
        await away(lambda: history(place, OutputFormat.TEXT))
        listed = capsys.readouterr().out.splitlines()
        assert [line.split()[0] for line in listed] == ["REVISION", "3", "2", "1"]
        assert "erika" in listed[1]
        assert "bad night" in listed[1]
        await away(lambda: diff(place, 1, 2, OutputFormat.TEXT))
        assert '+ pull.mode: "warn"' in capsys.readouterr().out
        await away(lambda: diff(place, 1, 3, OutputFormat.TEXT))
        assert capsys.readouterr().out == "only the text differs\n"


async def test_the_codes_of_plan_and_test(tmp_path: Path, capsys: Captured) -> None:
    file, closed = tmp_path / "p.yaml", tmp_path / "closed.yaml"
    file.write_text(WARN)
    closed.write_text("policies: []")
    async with served() as (a, place):
        assert await away(lambda: plan(place, file, 7, 10, OutputFormat.TEXT)) is Exit.FINE
        assert "nothing was pulled" in capsys.readouterr().out
        for name in ("a", "b"):
            await a.world.push(image(name), "team/app", name)
            await a.world.pull("team/app", name)
        typed = {
            "text": str(closed),
            "days": 7,
            "limit": 10,
            "wait": True,
            "output": OutputFormat.TEXT,
            "markdown": True,
        }
        document = await away(lambda: carry_out(operations.plan_policies_job, place, typed))
        assert document is Exit.NEWLY_BLOCKED
        assert capsys.readouterr().out.startswith("### Policy plan: 2 newly blocked\n")
        assert await away(lambda: plan(place, file, 1, 10, OutputFormat.JSON)) is Exit.FINE
        assert json.loads(capsys.readouterr().out)["counts"]["unchanged"] == 2
        assert await away(lambda: plan(place, file, 1, 1, OutputFormat.TEXT)) is Exit.INCONCLUSIVE
        assert "MORE WAS PULLED than the 1 newest" in capsys.readouterr().out
        assert await away(lambda: plan(place, closed, 7, 10, OutputFormat.TEXT)) is Exit.NEWLY_BLOCKED
        told = capsys.readouterr().out
        assert "removed **" in told
        assert "no_policy: no policy matches repository team/app" in told
        assert await away(lambda: try_on(place, "team/app:a", None, OutputFormat.TEXT)) is Exit.FINE
        assert await away(lambda: try_on(place, "team/app:a", closed, OutputFormat.JSON)) is Exit.NO


async def test_a_plan_is_a_job_whose_result_is_printed(tmp_path: Path, capsys: Captured) -> None:
    closed = tmp_path / "closed.yaml"
    closed.write_text("policies: []")
    async with served() as (a, place):
        for name in ("a", "b", "c"):
            await a.world.push(image(name), "team/app", name)
            await a.world.pull("team/app", name)
        assert await away(lambda: plan(place, closed, 7, 5000, OutputFormat.JSON)) is Exit.NEWLY_BLOCKED
        printed = json.loads(capsys.readouterr().out)
        assert (printed["examined"], printed["counts"]["newly blocked"], len(printed["images"])) == (3, 3, 3)
        (job,) = a.world.store.jobs.rows.values()
        assert (job.done, job.total, job.state) == (3, 3, "done")
        assert printed == job.result
        assert "policies: []" not in str(a.world.store.journal.events)


async def test_lint_says_where_and_notes_are_no_failure(tmp_path: Path, capsys: Captured) -> None:
    file = tmp_path / "p.yaml"
    async with served() as (_, place):
        assert await away(lambda: lint(place, None, OutputFormat.TEXT)) is Exit.FINE
        assert capsys.readouterr().out == "nothing found\n"
        file.write_text(POLICIES.replace('["**"]', '["**", "a"]'))
        assert await away(lambda: lint(place, file, OutputFormat.TEXT)) is Exit.FINE
        assert capsys.readouterr().out.startswith(f"{file}:2: note: policies[0].repositories[1]: a adds nothing")
        file.write_text("policies: [{}]")
        assert await away(lambda: lint(place, file, OutputFormat.TEXT)) is Exit.NO
        assert "error: policies[0].repositories: is missing" in capsys.readouterr().out


async def test_of_a_whole_configuration_only_policies_are_sent_and_none_applied(
    tmp_path: Path, capsys: Captured
) -> None:
    file = tmp_path / "countersign.yaml"
    secret = "postgresql://u:hunter2@db/c"
    text = f"store: {{url: '{secret}'}}\n{SETTINGS.replace('FROM', 'file')}"
    file.write_text(text.replace("signed_by: [release]", "signed_by: [nobody]"))
    async with served("file") as (a, place):
        assert await away(lambda: lint(place, file, OutputFormat.TEXT)) is Exit.NO
        line = next(n for n, row in enumerate(file.read_text().splitlines(), 1) if "nobody" in row)
        assert f"{file}:{line}: error" in capsys.readouterr().out
        with pytest.raises(ConfigError, match=r"it has store, .* besides `policies`"):
            await away(lambda: apply(place, file, "r", 0, YES))
        assert "hunter2" not in str(a.world.store.journal.events)
        await away(lambda: history(place, OutputFormat.TEXT))
        assert "no revisions" in capsys.readouterr().out
        await away(lambda: show(place, OutputFormat.TEXT))
        assert "change them there" in capsys.readouterr().err
    for wrong in ("[]", "keys: {}"):
        file.write_text(wrong)
        with pytest.raises(ConfigError, match="no setting `policies`"):
            plan(place, file, 7, 1, OutputFormat.TEXT)
    with pytest.raises(Invalid, match="there is no such file"):
        lint(place, tmp_path / "none", OutputFormat.TEXT)
