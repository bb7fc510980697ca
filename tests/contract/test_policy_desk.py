"""What the routes about policies answer: shown, changed as revisions, put back, tried."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from proxy.jobs.run import run_next
from proxy.journal.event import EventKind
from proxy.oci.faults import Unavailable
from proxy.oci.reference import Repository
from proxy.policies.plan import PLAN, plan_in_job
from proxy.trust.roles import Role
from tests.worlds.admin import POLICIES, Admin, admin
from tests.worlds.conversation import SIGN
from tests.worlds.images import image
from tests.worlds.registry import Said, Seen

WARN = POLICIES.replace("pull: {require", "pull: {mode: warn, require")
NOBODY = POLICIES.replace("signed_by: [release]", "signed_by: [nobody]")
APP = Repository("team/app")


async def said(a: Admin, path: str, body: object = None, status: int = 200) -> Any:
    reply = await a.call("GET" if body is None else "POST", f"/admin/v1/policies{path}", body, socket=True)
    assert reply.status == status, reply.value
    return reply.value


async def planned(a: Admin, text: str) -> Any:
    """What the job finds that tries these policies on what was pulled."""
    job, w = await said(a, "/plan/job", {"text": text}, 202), a.world
    pulled, texts = w.store.journal.pulled, w.store.journal.revision
    works = {PLAN: lambda job, step: plan_in_job(job, step, w.ports, a.policies, pulled, texts)}
    await run_next(works, w.store.jobs, w.store.journal, w.store.clock)
    done = await a.call("GET", f"/admin/v1/jobs/{job['id']}", socket=True)
    assert done.value["state"] == "done", done.value
    return done.value["result"]


def wish(text: str, base: int = 1, reason: str = "r") -> dict[str, object]:
    return {"text": text, "base": base, "reason": reason}


async def test_a_change_is_a_revision_in_force_at_once_and_in_the_journal() -> None:
    async with admin(policies_from="api") as a:
        shown = await said(a, "")
        assert (shown["source"], shown["text"], shown["revision"]["number"]) == ("api", POLICIES, 1)
        planned = await said(a, "?dry_run=true", wish(WARN))
        assert planned["plan"] == ["changed **", '  - pull.mode: "enforce"', '  + pull.mode: "warn"']
        assert a.world.ports.rules.current().revision == shown["policies"]
        done = await said(a, "", wish(WARN, reason="let it through"))
        assert done["changed"] is True
        policy = a.world.ports.rules.current().for_(APP)
        assert policy is not None
        assert policy.pull.mode == "warn"
        event = a.world.store.journal.events[-1]
        assert (event.kind, event.who, event.policy_revision) == (
            EventKind.POLICY_CHANGED,
            "operator on the host",
            done["revision"]["policies"],
        )
        assert event.detail["reason"] == "let it through"
        assert event.detail["changes"] == planned["plan"]
        assert a.world.store.journal.revisions["policy", done["revision"]["policies"]]
        (one, two) = reversed((await said(a, "/revisions"))["items"])
        assert two["parent"] == one["hash"]
        assert (await said(a, "/revisions/1"))["text"] == POLICIES


async def test_the_journal_of_calls_has_the_hash_of_the_text_only() -> None:
    async with admin(policies_from="api") as a:
        await said(a, "", wish(WARN))
        given = next(e for e in a.world.store.journal.events if e.kind is EventKind.ADMIN_CALLED).detail["given"]
        assert given["text"].startswith("sha256:")
        assert len(given["text"]) == 71


async def test_who_comes_second_is_told_what_changed_and_undoes_nothing() -> None:
    async with admin(policies_from="api") as a:
        await said(a, "", wish(WARN, reason="mine"))
        for dry in ("", "?dry_run=true"):
            refused = await said(a, dry, wish(POLICIES + "# other\n"), status=409)
            assert "revision 2" in refused["detail"]
            assert 'pull.mode: "warn"' in refused["detail"]
            assert "mine" in refused["detail"]
        assert (await said(a, ""))["text"] == WARN


async def test_the_same_text_again_does_nothing() -> None:
    async with admin(policies_from="api") as a:
        assert (await said(a, "", wish(POLICIES)))["changed"] is False
        assert len(a.world.store.policy_book.rows) == 1


async def test_an_older_revision_is_put_back_as_a_new_one() -> None:
    async with admin(policies_from="api") as a:
        await said(a, "", wish(WARN))
        planned = await said(a, "/revisions/1/revert?dry_run=true", {"base": 2, "reason": "r"})
        assert '  + pull.mode: "enforce"' in planned["plan"]
        back = await said(a, "/revisions/1/revert", {"base": 2, "reason": "bad night"})
        assert back["revision"]["number"] == 3
        assert a.world.store.journal.events[-1].detail["reverts"] == 1
        assert (await said(a, ""))["text"] == POLICIES
        assert (await said(a, "/diff?old=2&new=3"))["changes"][0]["settings"] == [
            {"setting": "pull.mode", "old": "warn", "new": "enforce"}
        ]
        assert "no revision 9" in (await said(a, "/revisions/9/revert", {"base": 3, "reason": "r"}, 404))["detail"]


@pytest.mark.parametrize("path", ["", "?dry_run=true", "/plan/job"])
@pytest.mark.parametrize(
    ("text", "words"),
    [
        (NOBODY, "policies.yaml:5:35: policies[0].pull.require[0].signed_by[0]: found nobody"),
        ("policies: [{}]", "policies[0].repositories: is missing"),
        ("server: {}", "found a setting besides `policies`"),
        ("policies: *x", "aliases and anchors are not allowed"),
        ("policies: []\npolicies: []", "found a second time"),
    ],
)
async def test_what_a_configuration_would_be_refused_with(path: str, text: str, words: str) -> None:
    async with admin(policies_from="api") as a:
        body = {"text": text} if path == "/plan/job" else wish(text)
        assert words in (await said(a, path, body, 400))["detail"]
        assert len(a.world.store.policy_book.rows) == 1


async def test_policies_of_the_file_are_shown_and_not_changed() -> None:
    async with admin() as a:
        shown = await said(a, "")
        assert (shown["source"], shown["revision"], shown["text"]) == ("file", None, POLICIES)
        back: dict[str, object] = {"base": 0, "reason": "r"}
        for path, body in (("", wish(WARN, 0)), ("?dry_run=true", wish(WARN, 0)), ("/revisions/1/revert", back)):
            refused = await said(a, path, body, 409)
            assert "pinned to /etc/countersign/countersign.yaml" in refused["detail"]
        assert a.world.store.policy_book.rows == []


@pytest.mark.parametrize(
    ("role", "path", "status"),
    [
        (Role.VIEWER, "", 403),
        (Role.AUDITOR, "", 403),
        (Role.OPERATOR, "", 403),
        (Role.KEY_ADMIN, "", 403),
        (Role.POLICY_ADMIN, "", 200),
        (Role.VIEWER, "/lint", 200),
        (Role.VIEWER, "/plan/job", 403),
        (Role.VIEWER, "/test", 403),
        (Role.AUDITOR, "/plan/job", 202),
    ],
)
async def test_roles(role: Role, path: str, status: int) -> None:
    async with admin(policies_from="api") as a:
        token = await a.token(role)
        body = wish(WARN) if path == "" else {"text": WARN, **({"ref": "a:1"} if path == "/test" else {})}
        assert (await a.call("POST", f"/admin/v1/policies{path}", body, token=token)).status == status


async def test_the_role_of_a_pipeline_plans_and_applies_and_reads_its_own_plans_only() -> None:
    async with admin(policies_from="api") as a:
        ci, other = await a.token(Role.POLICY_APPLY, name="ci"), await a.token(Role.POLICY_APPLY, name="other ci")
        job = (await a.call("POST", "/admin/v1/policies/plan/job", {"text": WARN}, token=ci)).value["id"]
        assert (await a.call("GET", f"/admin/v1/jobs/{job}", token=ci)).value["kind"] == PLAN
        refused = await a.call("GET", f"/admin/v1/jobs/{job}", token=other)
        unknown = await a.call("GET", f"/admin/v1/jobs/{job[::-1]}", token=other)
        assert refused.status == unknown.status == 404
        assert refused.value["detail"].replace(job, "") == unknown.value["detail"].replace(job[::-1], "")
        assert (await a.call("GET", "/admin/v1/jobs", token=ci)).status == 403, "the jobs of others name their images"
        assert (await a.call("POST", "/admin/v1/policies", wish(WARN), token=ci)).value["revision"]["by"] == "ci"


async def test_where_two_must_agree_the_second_one_puts_it_in_force() -> None:
    async with admin(policies_from="api", dual=True) as a:
        erika, max_ = [await a.token(Role.POLICY_ADMIN, name=name) for name in ("erika", "max")]
        held = []
        for text in (WARN, f"{WARN}# other\n"):
            reply = await a.call("POST", "/admin/v1/policies", wish(text), token=erika)
            assert reply.status == 202, reply.value
            held.append(reply.value["approval"]["id"])
        assert (await said(a, ""))["text"] == POLICIES
        (waits, _) = reversed((await a.call("GET", "/admin/v1/approvals?state=pending", token=max_)).value["items"])
        assert waits["plan"] == ["changed **", '  - pull.mode: "enforce"', '  + pull.mode: "warn"']
        approve = f"/admin/v1/approvals/{held[0]}/approve"
        assert (await a.call("POST", approve, {"reason": "seen"}, token=max_)).status == 200
        now = await said(a, "")
        assert (now["text"], now["revision"]["by"]) == (WARN, "erika")
        late = await a.call("POST", f"/admin/v1/approvals/{held[1]}/approve", {"reason": "seen"}, token=max_)
        assert "made from revision 1" in str(late.value), "what was agreed to was another difference"
        assert (await said(a, ""))["text"] == WARN


async def test_a_token_for_some_repositories_tries_its_own_only() -> None:
    async with admin(policies_from="api") as a:
        a.world.put_behind(image("x"), "team/app", "1")
        token = await a.token(Role.OPERATOR, only=("team/**",))
        for path, ref, status in (("test", "team/app:1", 200), ("test", "prod/app:1", 403), ("plan/job", "", 403)):
            body = {"text": WARN, **({"ref": ref} if ref else {})}
            reply = await a.call("POST", f"/admin/v1/policies/{path}", body, token=token)
            assert reply.status == status, reply.value


async def test_an_image_is_judged_by_what_is_in_force_and_by_a_candidate() -> None:
    async with admin(policies_from="api") as a:
        a.world.put_behind(image("x"), "team/app", "1")
        now = await said(a, "/test", {"ref": "team/app:1"})
        assert (now["allowed"], now["decision"]["reason"]) == (False, "unsigned")
        then = await said(a, "/test", {"ref": "team/app:1", "text": WARN})
        assert then["allowed"] is True
        assert "would be blocked" in then["text"]
        assert await a.world.blocked("team/app", "1") == "unsigned"
        assert "not in the registry" in (await said(a, "/test", {"ref": "team/gone:1"}, 404))["detail"]


async def test_a_plan_judges_again_what_was_pulled() -> None:
    async with admin(policies_from="api") as a:
        await said(a, "", wish(WARN))
        a.world.put_behind(image("unsigned"), "team/app", "1")
        await a.world.push(image("signed"), "team/app", "2")
        for tag in ("1", "2", "2"):
            await a.world.pull("team/app", tag)
        before = len(a.world.registry.seen)
        plan = await planned(a, POLICIES)
        assert plan["base"] == 2
        assert (plan["examined"], plan["more"]) == (2, False)
        assert plan["counts"] == {
            "newly blocked": 1,
            "newly allowed": 0,
            "unchanged": 1,
            "could not judge": 0,
            "gone": 0,
        }
        (found,) = plan["images"]
        assert (found["reference"], found["effect"], found["after"]["reason"]) == ("1", "newly blocked", "unsigned")
        asked = [type(seen.operation).__name__ for seen in a.world.registry.seen[before:]]
        assert asked
        assert all(name.startswith(("Pull", "List")) for name in asked), "nothing is written upstream"
        assert (await said(a, ""))["text"] == WARN


async def test_who_would_leave_a_repository_without_a_policy_is_warned() -> None:
    async with admin(policies_from="api") as a:
        await a.world.push(image("signed"), "team/app", "1")
        narrow = POLICIES.replace('["**"]', '["vendor/**"]')
        warned = [f for f in (await said(a, "/lint", {"text": narrow}))["findings"] if f["level"] == "warning"]
        assert [f["code"] for f in warned] == ["left-without-policy"]
        plan = await planned(a, narrow)
        assert (plan["without_policy"], plan["without_policy_count"]) == (["team/app"], 1)
        assert plan["counts"]["newly blocked"] == 0, "nobody has pulled it yet"
        lines = (await said(a, "?dry_run=true", wish(narrow)))["plan"]
        assert lines[-1].startswith("WARNING: team/app matches no policy any more")
        viewer = await a.token(Role.VIEWER)
        told = await a.call("POST", "/admin/v1/policies/lint", {"text": narrow}, token=viewer)
        assert "team/app" not in told.body.decode(), "a viewer does not see what is pushed and pulled"
        await said(a, "", wish(narrow))
        assert "WARNING" not in str(a.world.store.journal.events[-1].detail["changes"])


async def test_what_cannot_be_looked_at_is_said_and_what_is_gone_too() -> None:
    async with admin(policies_from="api") as a:
        await said(a, "", wish(WARN))
        a.world.put_behind(image("one"), "team/app", "1")
        digest = a.world.put_behind(image("two"), "team/other", "1")
        await a.world.pull("team/app", "1")
        await a.world.pull("team/other", "1")
        a.world.registry.shelf("team/other").tags.pop("1")
        a.world.registry.shelf("team/other").manifests.pop(digest)

        def silent(seen: Seen) -> Said | None:
            if "team/app" in str(seen):
                raise Unavailable("upstream is asleep")
            return None

        a.world.registry.hooks.append(silent)
        plan = await planned(a, POLICIES)
        assert plan["counts"]["could not judge"] == 1
        assert plan["counts"]["gone"] == 1
        unknown = next(each for each in plan["images"] if each["effect"] == "could not judge")
        assert "asleep" in unknown["after"]["detail"]


async def test_lint_names_places_and_refusals_are_findings_too() -> None:
    async with admin(policies_from="api") as a:
        assert (await said(a, "/lint", {}))["findings"] == []
        bad = (await said(a, "/lint", {"text": NOBODY, "name": "p.yaml"}))["findings"]
        assert [(f["level"], f["line"], f["where"]) for f in bad] == [
            ("error", 5, "policies[0].pull.require[0].signed_by[0]")
        ]
        twice = (await said(a, "/lint", {"text": POLICIES.replace('["**"]', '["**", "**/**"]')}))["findings"]
        assert [(f["code"], f["line"]) for f in twice] == [("pattern-never-wins", 2)]


async def test_the_plan_did_not_say_who_pulled_what_it_would_block() -> None:
    async with admin() as a:
        w = a.world
        w.rules.set(replace(SIGN, pull=replace(SIGN.pull, mode="warn")))
        w.put_behind(image(), "team/app", "v1")
        assert (await w.pull("team/app", "v1")).status == 200
        (found,) = (await planned(a, POLICIES))["images"]
        assert (found["effect"], found["pulled_by"], found["callers"]) == ("newly blocked", ["anonymous"], 1)
