"""Attack 34: a token for some repositories reaches for others, or for the whole proxy."""

from __future__ import annotations

import pytest

from proxy.admin.operation import Route
from proxy.jobs.job import Job
from proxy.jobs.run import run_next
from proxy.journal.event import Event, EventKind
from proxy.policies.plan import PLAN, plan_in_job
from proxy.server.operations import ROUTES
from proxy.trust.roles import Role
from tests.attacks.test_a34_admin import filled, named
from tests.worlds.admin import POLICIES, admin
from tests.worlds.images import image
from tests.worlds.memory import NOON

# Written out by hand: what a token for some repositories may call at all, without naming one of them.
WITHOUT_A_NAME = {
    "GET /admin/v1/status",
    "GET /admin/v1/report/would-block",
    "GET /admin/v1/keys",
    "GET /admin/v1/keys/unrecorded",
    "GET /admin/v1/denials",
    "GET /admin/v1/exceptions",
    "GET /admin/v1/exceptions/unsigned",
    "GET /admin/v1/policies/revisions",
}
WHY = {"reason": "why"}


@pytest.mark.parametrize("route", ROUTES, ids=named)
async def test_whoever_names_no_repository_of_theirs_is_refused(route: Route) -> None:
    async with admin() as a:
        token = await a.token(*Role, only=("team/**",))
        reply = await a.call(route.method, filled(route), WHY if route.body else None, token=token)
        if named(route) in WITHOUT_A_NAME:
            assert reply.status == 200
        else:
            assert reply.status in {400, 403}, "400: the body lacks more than a repository"
            assert EventKind.ADMIN_CALLED not in a.world.store.journal.kinds()


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/admin/v1/journal?repository={}", None),
        ("GET", "/admin/v1/jobs?repository={}", None),
        ("GET", "/admin/v1/verify?ref={}:v1", None),
        ("GET", "/admin/v1/verify?ref=proxy.example/{}:v1", None),
        ("GET", "/admin/v1/why?question={}:v1", None),
        ("POST", "/admin/v1/sign", {**WHY, "ref": "{}:v1"}),
        ("POST", "/admin/v1/sign", {**WHY, "ref": "proxy.example/{}:v1"}),
        ("POST", "/admin/v1/keys/release/resign", {**WHY, "repository": "{}"}),
        ("POST", "/admin/v1/keys/release/resign?dry_run=true", {**WHY, "repository": "{}"}),
    ],
)
async def test_what_names_a_repository_opens_for_its_own_only(
    method: str, path: str, body: dict[str, str] | None
) -> None:
    async with admin() as a:
        token = await a.token(*Role, only=("team/*", "other"))
        for name, expected in (
            ("team/app", 200),
            ("other", 200),
            ("team/app/deep", 403),
            ("teams/app", 403),
            ("other/app", 403),
            ("secret", 403),
        ):
            a.world.put_behind(image(name), name, "v1")
            sent = None if body is None else {key: value.format(name) for key, value in body.items()}
            reply = await a.call(method, path.format(name), sent, token=token)
            assert reply.status in ({200, 202} if expected == 200 else {403}), (name, reply.value)
        refused = [e for e in a.world.store.journal.events if e.kind is EventKind.ADMIN_REFUSED]
        assert {e.reason for e in refused} == {"outside its repositories"}
        assert len(refused) == 4


async def test_a_row_or_a_job_of_others_is_not_shown() -> None:
    async with admin() as a:
        token = await a.token(Role.AUDITOR, Role.OPERATOR, only=("team/**",))
        await a.world.store.journal.record(
            *(Event(NOON, EventKind.SIGNED, repository=r) for r in ("team/app", "secret"))
        )
        rows = (await a.call("GET", "/admin/v1/journal?repository=team/app", token=token)).value["items"]
        assert {row["repository"] for row in rows} == {"team/app"}
        for job_id, repository in (("a" * 16, "team/app"), ("b" * 16, "secret"), ("c" * 16, "")):
            job = Job(job_id, "resign", "x", "y", "z", NOON, repository=repository)
            await a.world.store.jobs.add(job, Event(NOON, EventKind.JOB_QUEUED))
        got = {
            (method, job_id): (await a.call(method, f"/admin/v1/jobs/{job_id * 16}{end}", body, token=token)).status
            for job_id in "abcd"
            for method, end, body in (("GET", "", None), ("POST", "/cancel", {"reason": "r"}))
        }
        assert got == {(m, j): 200 if j == "a" else 403 for m in ("GET", "POST") for j in "abcd"}


@pytest.mark.parametrize("only", ["team/**", "*"])
async def test_a_decision_on_a_repository_of_others_is_one_that_never_was(only: str) -> None:
    async with admin() as a:
        for name in ("team/app", "secret/app"):
            a.world.put_behind(image(name), name, "v1")
            assert await a.world.blocked(name, "v1") == "unsigned"
        made = {e.repository: e.decision_id for e in a.world.store.journal.events if e.kind is EventKind.PULL_DENIED}
        unknown = made["secret/app"][:-1] + ("0" if made["secret/app"][-1] != "0" else "1")
        token = await a.token(Role.VIEWER, only=(only,))
        got = []
        for decision in (made["secret/app"], unknown):
            reply = await a.call("GET", f"/admin/v1/why?question={decision}", token=token)
            told = {key: value for key, value in reply.value.items() if key != "request_id"}
            got.append((reply.status, str(told).replace(decision, "ID")))
        assert got[0] == got[1]
        assert got[0][0] == 404, "an id that nobody knows"
        mine = await a.call("GET", f"/admin/v1/why?question={made['team/app']}", token=token)
        assert mine.status == (200 if only == "team/**" else 404)


async def test_nobody_with_less_than_everything_makes_tokens() -> None:
    async with admin() as a:
        token = await a.token(Role.POLICY_ADMIN, Role.KEY_ADMIN, only=("**",))
        wish = {"name": "more", "roles": ["viewer"]}
        assert (await a.call("POST", "/admin/v1/tokens", wish, token=token)).status == 403
        assert (await a.call("DELETE", f"/admin/v1/tokens/{'0' * 12}", token=token)).status == 403


@pytest.mark.parametrize("pattern", ["", "Team/*", "a//b", "**x", "a b", "a/" * 200, "**/**/**/**/**"])
async def test_what_is_no_pattern_makes_no_token(pattern: str) -> None:
    async with admin() as a:
        wish = {"name": "erika", "roles": ["viewer"], "repositories": [pattern]}
        assert (await a.call("POST", "/admin/v1/tokens", wish, socket=True)).status == 400


async def test_the_patterns_are_shown_and_kept() -> None:
    async with admin() as a:
        wish = {"name": "erika", "roles": ["viewer"], "repositories": ["team/**"]}
        made = await a.call("POST", "/admin/v1/tokens", wish, socket=True)
        assert made.value["repositories"] == ["team/**"]
        (row,) = (await a.call("GET", "/admin/v1/tokens", socket=True)).value["items"]
        assert row["repositories"] == ["team/**"]


THEIRS = (
    POLICIES
    + """  - repositories: [team/app, "team/lib/**"]
    push: {sign_with: [release]}
    pull: {require: [{signed_by: [release]}]}
"""
)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (POLICIES.replace("#platform-help", "#mine"), "another contact for everybody"),
        (THEIRS.replace('team/app, "team/lib/**"', "secret"), "a policy for a repository of others"),
        (THEIRS.replace('"team/lib/**"', '"team*/**"'), "a pattern wider than its own"),
        ("policies: []", "no policy for anybody"),
        (POLICIES.replace('"**"', '"**", "*/x"'), "a pattern more, for repositories of others too"),
    ],
)
async def test_a_pipeline_for_some_repositories_changes_no_policy_of_others(text: str, why: str) -> None:
    async with admin(policies_from="api") as a:
        token = await a.token(Role.POLICY_APPLY, name="team ci", only=("team/**",))
        for path in ("", "?dry_run=true", "/plan/job"):
            body = {"text": text} if path == "/plan/job" else {"text": text, "base": 1, "reason": "r"}
            reply = await a.call("POST", f"/admin/v1/policies{path}", body, token=token)
            assert reply.status == 403, why
            assert "'team ci' is for team/**" in reply.value["detail"]
        assert len(a.world.store.policy_book.rows) == 1


async def test_a_pipeline_for_some_repositories_plans_and_applies_the_policies_of_its_own() -> None:
    async with admin(policies_from="api") as a:
        token = await a.token(Role.POLICY_APPLY, name="team ci", only=("team/**",))
        for name in ("team/app", "secret"):
            await a.world.push(image(name), name, "v1")
            await a.world.pull(name, "v1")
        made = await a.call("POST", "/admin/v1/policies/plan/job", {"text": THEIRS}, token=token)
        pulled, texts = a.world.store.journal.pulled, a.world.store.journal.revision
        works = {PLAN: lambda job, step: plan_in_job(job, step, a.world.ports, a.policies, pulled, texts)}
        await run_next(works, a.world.store.jobs, a.world.store.journal, a.world.store.clock)
        done = (await a.call("GET", f"/admin/v1/jobs/{made.value['id']}", token=token)).value
        assert (done["state"], done["result"]["examined"]) == ("done", 1), "what others pulled is not told"
        assert "secret" not in str(done)
        body = {"text": THEIRS, "base": 1, "reason": "r"}
        assert (await a.call("POST", "/admin/v1/policies", body, token=token)).value["revision"]["number"] == 2
        late = await a.call("POST", "/admin/v1/policies", {**body, "text": THEIRS + "# again\n"}, token=token)
        assert late.status == 409
        assert "team/lib" not in late.value["detail"], "what others changed is not told"
        found = await a.call("POST", "/admin/v1/policies/lint", {"text": "policies: []"}, token=token)
        assert "team/app" in found.body.decode()
        assert "secret" not in found.body.decode()
