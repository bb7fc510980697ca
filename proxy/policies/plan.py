"""The impact of other policies on earlier pulls, computed by a job."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from proxy.admin.shapes import filled
from proxy.config.policy_file import PolicyFile
from proxy.jobs.job import Job
from proxy.jobs.run import Step
from proxy.journal.port import Pulled
from proxy.oci.faults import NotFound
from proxy.policies import shapes
from proxy.policies.impact import Effect, Judgement, counted
from proxy.policies.in_force import Policies
from proxy.policies.replay import replay
from proxy.registry.ports.upstream import Credential
from proxy.registry.ports_in_use import Ports
from proxy.registry.request import Request
from proxy.trust.actor import Actor

PLAN = "plan-policies"  # the kind of these jobs
CANDIDATE = "candidate"  # the kind of the candidate texts
TOGETHER = 64  # images between two steps of a job
STEP_S = 300.0
KNOWN = 10_000  # repositories looked through for those left without a policy
NAMED = 100  # images and repositories named in a job's result; all are counted
_FIRST = (Effect.NEWLY_BLOCKED, Effect.UNKNOWN, Effect.NEWLY_ALLOWED, Effect.GONE)

PulledSince = Callable[[datetime, int], Awaitable[Sequence[Pulled]]]
TextOf = Callable[[str, str], Awaitable[str | None]]


def hash_of(text: str) -> str:
    """Return the key under which a candidate's text is stored for its job."""
    return hashlib.sha256(text.encode()).hexdigest()


async def plan_in_job(
    job: Job, step: Step, ports: Ports, policies: Policies, pulled: PulledSince, text_of: TextOf
) -> Mapping[str, Any]:
    """Return the impact as JSON values. An interrupted job starts again: it changes nothing, so nothing is lost.

    Raises Stop, Unavailable, and Fault if the text is no longer valid.
    """
    text = await text_of(CANDIDATE, str(job.asked["text"]))
    if text is None:
        raise NotFound("the text of these policies is not in the store any more")
    file, now, revision = await policies.checked(text, str(job.asked["name"])), policies.file, policies.revision
    since, limit = job.created - timedelta(days=int(job.asked["days"])), int(job.asked["limit"])
    own = Actor(job.who, job.how, scope=tuple(map(str, job.asked.get("only", ()))))
    policies.may_change_only(own, file)  # others may have changed theirs since the job was made
    found = [each for each in await pulled(since, limit + 1) if own.may_see(each.repository)]
    request = Request(Credential(ours=True), f"job-{job.id}", address="job")
    judged: list[Judgement] = []
    for at in range(0, min(len(found), limit), TOGETHER):
        judged += await replay(found[at : min(at + TOGETHER, limit)], file.policies, request, ports, STEP_S)
        await step(len(judged), min(len(found), limit), str(len(judged)), {})
    known = [each for each in await ports.facts.repositories(KNOWN) if own.may_see(each)]
    difference, left = await different(now, file, policies, known)
    changed = sorted((each for each in judged if each.effect in _FIRST), key=lambda each: _FIRST.index(each.effect))
    told = shapes.Impact(
        base=0 if revision is None else revision.number,
        difference=difference,
        without_policy=None if left is None else tuple(left[:NAMED]),
        without_policy_count=len(left or ()),
        since=since,
        examined=len(judged),
        more=len(found) > limit,
        counts=counted(judged),
        images=tuple(_image(each) for each in changed[:NAMED]),
    )
    return told.model_dump(mode="json")


async def different(
    old: PolicyFile, new: PolicyFile, policies: Policies, known: Sequence[str] = ()
) -> tuple[shapes.Difference, list[str] | None]:
    """Return the differences in the form of the admin API, and the known repositories left without a policy.

    None: there is too much to compare. Raises Fault, Unavailable.
    """
    compared = dict(await policies.texts.compare(old, new, known=known))
    left: list[str] | None = compared.pop("left")
    return shapes.Difference.model_validate_json(json.dumps(compared)), left


def _image(judged: Judgement) -> shapes.ImageShown:
    before, after = (filled(shapes.VerdictShown, each) for each in (judged.before, judged.after))
    by = judged.pulled.callers
    return filled(
        shapes.ImageShown, judged.pulled, effect=judged.effect, before=before, after=after, pulled_by=by.names,
        callers=by.count,
    )  # fmt: skip
