"""Operations on policies: show, change and try them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from proxy.admin.operation import Call, Command, Given, Printed, Row, Scope, operation
from proxy.admin.paging import Listing
from proxy.admin.shapes import filled, pulled_by
from proxy.jobs.operations import described, job_room
from proxy.oci.duration import minute
from proxy.oci.faults import Conflict, NotFound, visible
from proxy.policies import shapes
from proxy.policies.revision import TEXT_BYTES, Change, PolicyRevision
from proxy.trust.roles import Permission

if TYPE_CHECKING:
    from proxy.policies.in_force import Policies

_BYTES = 2 * TEXT_BYTES + 64 * 1024  # a line break is two bytes in JSON
_TEXT_ALONE = "only the text differs"
_NEWLY_BLOCKED, _NOT_KNOWN = 12, 5  # exit codes


def _policies(call: Call) -> Policies:
    from proxy.policies.in_force import Policies

    return call.use(Policies)


def _line(revision: PolicyRevision) -> shapes.RevisionLine:
    return filled(shapes.RevisionLine, revision, by=revision.who)


async def _found(number: int, call: Call) -> PolicyRevision:
    from proxy.oci.faults import Corrupt
    from proxy.policies.in_force import PolicyBook

    try:
        found = await call.use(PolicyBook).find(number)
    except Corrupt as altered:
        raise Conflict(f"{altered.what}; it is not used any more") from None
    if found is None:
        raise NotFound(f"no revision {number}; list them with: countersign policy history")
    return found


def _file(row: Row, _: Given) -> Printed:
    line = row.get("revision") or row
    if row.get("source") == "file":
        about = f"# from {row['path']}; change them there"
    else:
        about = f"# revision {line['number']} by {line['by']}, {minute(line['at'])}: {line['reason']}"
    return Printed(raw=row["text"], aside=[about])


_SHOW = Command("policy show", shows=_file, metavar="REVISION", listed_by="history")


@operation("GET /policies", Permission.POLICIES, _SHOW)
async def policies(call: Call) -> shapes.PoliciesShown:
    """Show the policies in force, as a file."""
    now = _policies(call)
    return shapes.PoliciesShown(
        source=now.settings.policies_from,
        path=str(now.settings.path),
        policies=now.file.policies.revision,
        revision=None if now.revision is None else _line(now.revision),
        text=now.file.text,
    )


@operation("GET /policies/revisions/{number}", Permission.POLICIES, _SHOW)
async def policy_revision(call: Call) -> shapes.RevisionShown:
    """Show one revision of the policies, as a file."""
    found = await _found(int(call.path_params["number"]), call)
    return filled(shapes.RevisionShown, found, by=found.who)


def _table(rows: Sequence[Row]) -> list[tuple[str, ...]]:
    told = [(str(r["number"]), minute(r["at"]), r["by"], r["policies"][:12], r["reason"]) for r in rows]
    return [("REVISION", "SINCE", "BY", "POLICIES", "REASON"), *told]


_REVISIONS = Listing[PolicyRevision]("revisions", lambda revision: (revision.number,), (int,))
_HISTORY = Command(
    "policy history", table=_table, rows="items",
    empty="no revisions: the policies are those of the configuration file",
)  # fmt: skip


@operation("GET /policies/revisions", Permission.POLICIES, _HISTORY, about=Scope.NEUTRAL, query=shapes.HistoryPage)
async def policy_history(call: Call) -> shapes.History:
    """List every revision of the policies, newest first."""
    from proxy.policies.in_force import PolicyBook

    page = call.query
    rows = await call.use(PolicyBook).history(_REVISIONS.part(page))
    return _REVISIONS.page(shapes.History, page, rows, _line)


_DIFF = Command("policy diff", shows=lambda row, _: Printed(diff=row["lines"] or [_TEXT_ALONE]))


@operation("GET /policies/diff", Permission.POLICIES, _DIFF, query=shapes.Between)
async def policy_difference(call: Call) -> shapes.Difference:
    """Compare two revisions of the policies, setting by setting."""
    from proxy.policies.plan import different

    now = _policies(call)
    async with now.trying.of(call.actor.key):
        old, new = [await now.understood(await _found(each, call)) for each in (call.query.old, call.query.new)]
        return (await different(old, new, now))[0]


def _applied(row: Row) -> list[str]:
    line = row["revision"]
    if not row["changed"]:
        return [f"nothing to do: revision {line['number']} has exactly this text"]
    return [f"revision {line['number']} is in force (policies {line['policies'][:12]})"]


def _requested(call: Call) -> Change:
    return Change(call.body.text, call.body.name, call.body.base, call.actor)


async def _reverted(call: Call) -> Change:
    _policies(call).may_change()
    old = await _found(int(call.path_params["number"]), call)
    return Change(old.text, f"revision-{old.number}", call.body.base, call.actor, reverts=old.number)


async def _plan_apply(call: Call) -> tuple[str, ...]:
    return await _differing(_requested(call), call)


async def _plan_revert(call: Call) -> tuple[str, ...]:
    return await _differing(await _reverted(call), call)


async def _differing(change: Change, call: Call) -> tuple[str, ...]:
    now = _policies(call)
    async with now.trying.of(call.actor.key):
        _, lines = await now.planned(change, known=await _known(call))
    return tuple(lines) or (_TEXT_ALONE,)


async def _known(call: Call) -> tuple[str, ...]:
    """Return repositories known here, unless the caller may not see what is pulled from them."""
    from proxy.policies.plan import KNOWN

    if not call.may(Permission.TRY_POLICIES):
        return ()
    return tuple(each for each in await call.ports.facts.repositories(KNOWN) if call.may_see(each))


async def _changed(change: Change, call: Call) -> shapes.Applied:

    now = _policies(call)
    async with now.changing.of(call.actor.key):
        changed = await now.change(change)
    if now.revision is None:
        raise Conflict("the policies of the file were put in force meanwhile")
    return shapes.Applied(changed=changed, revision=_line(now.revision))


@operation(
    "POST /policies", Permission.CHANGE_POLICIES, Command("policy apply", _applied, diff=True), plan=_plan_apply,
    dual_control=True, body_bytes=_BYTES, about=Scope.NEUTRAL,
)  # fmt: skip
async def apply_policies(call: Call, body: shapes.ApplyRequest) -> shapes.Applied:  # noqa: ARG001  `call` has it
    """Put the policies of a file in force, as a new revision."""
    return await _changed(_requested(call), call)


@operation(
    "POST /policies/revisions/{number}/revert", Permission.CHANGE_POLICIES,
    Command("policy revert", _applied, diff=True, metavar="REVISION", listed_by="history"), plan=_plan_revert,
    dual_control=True,
)  # fmt: skip
async def revert_policies(call: Call, body: shapes.RevertRequest) -> shapes.Applied:  # noqa: ARG001  `call` has it
    """Put an older revision in force again, as a new one."""
    return await _changed(await _reverted(call), call)


def _findings(row: Row, given: Given) -> Printed:
    found, name = row["findings"], given["text"] or "policies"
    lines = [_finding(each, name) for each in found] or ["nothing found"]
    return Printed(lines, code=int(any(each["level"] != "note" for each in found)))


def _finding(found: Row, name: str) -> str:
    at = "" if found["line"] is None else f"{name}:{found['line']}: "
    where = f"{found['where']}: " if found["where"] else ""
    return f"{at}{found['level']}: {where}{found['text']} [{found['code']}]"


@operation(
    "POST /policies/lint", Permission.POLICIES, Command("policy lint", shows=_findings), about=Scope.NEUTRAL,
    body_bytes=_BYTES,
)  # fmt: skip
async def lint_policies(call: Call, body: shapes.Candidate) -> shapes.Linted:
    """Find rules that can never take effect. Exit code 1: more than notes."""
    from proxy.policies.lint import LintContext, looks
    from proxy.registry.reading.provable import names_proven

    now, ports = _policies(call), call.ports
    async with now.trying.of(call.actor.key):
        settings = now.settings
        images = [key for key in settings.keys if settings.purpose(key) == "image"]
        proven = await names_proven(ports.registry)
        base = tuple(pattern for policy in now.file.policies.policies for pattern in policy.repositories)
        look, trust = looks(images, ports.keybook.ring()), tuple(settings.file.trust)
        around = LintContext(look, trust, ports.clock.now(), proven, base, await _known(call))
        if body.text is None:
            found = await now.texts.lint_kept(now.file, settings, around)
        else:
            found = await now.texts.lint(body.text, body.name, settings, around)
    return shapes.Linted(findings=tuple(shapes.LintFindingShown.model_validate(each) for each in found))


def _tested(row: Row, _: Given) -> Printed:
    code = 0 if row["allowed"] else _NOT_KNOWN if row["outcome"] == "inconclusive" else 1
    return Printed(raw=row["text"], json=row["decision"], code=code)


async def _repository_named(call: Call) -> str:
    from proxy.oci.image_name import parse_name

    return parse_name(call.body.ref, call.ports.hosts).repository


@operation(
    "POST /policies/test", Permission.TRY_POLICIES, Command("policy test", shows=_tested), about=_repository_named,
    body_bytes=_BYTES,
)  # fmt: skip
async def test_policies(call: Call, body: shapes.ImageRequest) -> shapes.Tested:
    """Show what the result of a pull would be. Exit code 0: allowed, 1: blocked, 5: not known."""
    from proxy.oci.image_name import parse_name
    from proxy.policies.replay import supposing
    from proxy.registry.judging.judge import judge
    from proxy.registry.ports.upstream import Credential
    from proxy.registry.reading.resolve import not_given
    from proxy.registry.request import Request, Response
    from proxy.trust import explain

    now, ports = _policies(call), call.ports
    file = now.file
    if body.text is not None:
        async with now.trying.of(call.actor.key):
            file = await now.checked(body.text, body.name)
    request = Request(Credential(ours=True), call.actor.request_id, address="admin")
    judged = await judge(parse_name(body.ref, ports.hosts), request, supposing(file.policies, ports))
    if isinstance(judged, Response):
        raise not_given(body.ref, judged.status)
    decision = judged.decision
    told = explain.text(decision, ports.name, ports.url)
    return shapes.Tested(
        allowed=decision.allowed, outcome=decision.outcome.value, decision=explain.as_json(decision), text=told
    )


def _impact(row: Row, given: Given) -> Printed:
    counts, days = row["counts"], given["days"]
    told = ", ".join(f"{counts[effect]} {effect}" for effect in counts if counts[effect]) or "nothing was pulled"
    days_told = "day" if days == 1 else f"{days} days"
    lines = [f"images pulled in the last {days_told}, judged again ({row['examined']}): {told}"]
    if row["more"]:
        lines.append(f"MORE WAS PULLED than the {row['examined']} newest that were judged; see --limit")
    changed = sum(counts.values()) - counts["unchanged"]
    if changed > len(row["images"]):
        lines.append(f"the first {len(row['images'])} of {changed} that change or could not be judged:")
    code = _NOT_KNOWN if counts["could not judge"] or row["more"] else 0
    code = _NEWLY_BLOCKED if counts["newly blocked"] else code
    table = (
        [("EFFECT", "PULLS", "LAST", "IMAGE", "PULLED BY", "WHY"), *map(_image, row["images"])] if row["images"] else []
    )
    if given.get("markdown"):
        from proxy.policies.markdown import markdown

        return Printed(raw=markdown(row, given, table), code=code)
    if row["without_policy"]:
        from proxy.policies.lint import none_for

        lines.append(f"WARNING: {none_for(row['without_policy'], row['without_policy_count'])}")
    return Printed([*lines, *table], diff=row["difference"]["lines"], code=code)


def _image(image: Row) -> tuple[str, ...]:
    joint = "@" if ":" in image["reference"] else ":"
    after = image["after"] if image["effect"] != "newly allowed" else image["before"]
    why = ": ".join(part for part in (after["reason"], after["detail"]) if part)
    name = f"{image['repository']}{joint}{image['reference']}"
    return (image["effect"], str(image["pulls"]), minute(image["last"]), name, pulled_by(image), visible(why, 160))


@operation(
    "POST /policies/plan/job", Permission.TRY_POLICIES,
    Command("policy plan", described, shows=_impact, job=True, markdown=True), status=202, body_bytes=_BYTES,
    about=Scope.NEUTRAL,
)  # fmt: skip
async def plan_policies_job(call: Call, body: shapes.PlanRequest) -> shapes.PlanJob:
    """Judge past pulls under these policies. Exit code 12: one newly blocked, 5: not known."""
    from proxy.jobs import run
    from proxy.jobs.job import Job
    from proxy.jobs.port import Jobs
    from proxy.policies.plan import CANDIDATE, PLAN, hash_of

    now, by, jobs, text = _policies(call), call.actor, call.use(Jobs), hash_of(body.text)
    async with now.trying.of(by.key):
        now.may_change_only(by, await now.checked(body.text, body.name))
    request = {"text": text, "name": body.name, "days": body.days, "limit": body.limit}
    request |= {"only": list(by.scope)} if by.scope else {}
    job = Job("", PLAN, by.name, by.authenticated_by, "to see what would be blocked", call.now, request)
    room = job_room(by, call.ports)
    await run.may_start(job, jobs, room)  # checked before the text is stored permanently
    await call.ports.journal.keep_revision(CANDIDATE, text, body.text)
    made = await run.start(job, jobs, room)
    return filled(shapes.PlanJob, made, asked=request, result=dict(made.result))


OPERATIONS = (
    policies, policy_revision, policy_history, policy_difference, plan_policies_job, apply_policies, revert_policies,
    test_policies, lint_policies,
)  # fmt: skip
