"""Actions of the routes about policies: show, change and try them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import cast

from proxy.admin.dispatch import Acting, Topic, actor_of
from proxy.jobs import run as jobs_of
from proxy.jobs.job import Job
from proxy.jobs.operations import JobShown, job_room, shown
from proxy.jobs.port import Jobs
from proxy.oci.faults import Corrupt, Fault
from proxy.oci.image_name import parse_name
from proxy.policies import routes as shapes
from proxy.policies.in_force import Policies
from proxy.policies.lint import LintContext, looks
from proxy.policies.plan import CANDIDATE, PLAN, PulledSince, different, hash_of, impact, number_of
from proxy.policies.port import PolicyBook
from proxy.policies.process import Turns
from proxy.policies.replay import replay, supposing
from proxy.policies.revision import Change, PolicyRevision
from proxy.registry.judging.judge import judge
from proxy.registry.ports.upstream import Credential
from proxy.registry.ports_in_use import Ports
from proxy.registry.reading.provable import names_proven
from proxy.registry.reading.resolve import not_given
from proxy.registry.request import Request, Response
from proxy.trust import explain

PLAN_S = 90.0  # the client waits 120


class PolicyDesk:
    """One method per route; each raises Fault, Unavailable or Corrupt with a message for the caller."""

    def __init__(
        self, ports: Callable[[], Ports], policies: Policies, book: PolicyBook, pulled: PulledSince, jobs: Jobs
    ) -> None:
        """`book` holds the revisions; `pulled` returns the recorded pulls."""
        self._ports = ports
        self._policies = policies
        self._book = book
        self._pulled = pulled
        self._jobs = jobs
        self._planning = asyncio.Semaphore(2)  # pulls have priority
        few = policies.settings.limits.policy_checks
        self._trying, self._changing = Turns(few), Turns(few)

    def topic(self) -> Topic:
        """Return the action of every route, by name."""
        return Topic(
            {
                "policies": self._show,
                "apply_policies": self._apply,
                "policy_history": self._history,
                "policy_revision": self._revision,
                "revert_policies": self._revert,
                "policy_difference": self._difference,
                "lint_policies": self._lint,
                "test_policies": self._test,
                "plan_policies": self._plan,
                "plan_policies_job": self._plan_long,
            },
            {"apply_policies": self._plan_apply, "revert_policies": self._plan_revert},
            {"test_policies": self._meant},
        )

    async def _meant(self, acting: Acting) -> str:
        return parse_name(cast("shapes.ImageRequest", acting.body).ref, self._ports().hosts).repository

    async def _show(self, _acting: Acting) -> shapes.PoliciesShown:
        policies = self._policies
        return shapes.PoliciesShown(
            source=policies.settings.policies_from,
            path=str(policies.settings.path),
            policies=policies.file.policies.revision,
            revision=None if policies.revision is None else _line(policies.revision),
            text=policies.file.text,
        )

    async def _history(self, acting: Acting) -> shapes.History:
        page = cast("shapes.HistoryPage", acting.query)
        rows = await self._book.history(page.limit + 1, page.skip)
        after = page.skip + page.limit if len(rows) > page.limit else None
        return shapes.History(items=tuple(_line(row) for row in rows[: page.limit]), next=after)

    async def _revision(self, acting: Acting) -> shapes.RevisionShown:
        found = await self._found(int(acting.path_params["number"]))
        return shapes.RevisionShown(text=found.text, **dict(_line(found)))

    async def _found(self, number: int) -> PolicyRevision:
        try:
            found = await self._book.find(number)
        except Corrupt as altered:
            raise Fault("UNSUPPORTED", f"{altered.what}; it is not used any more", status=409) from None
        if found is None:
            raise Fault("NAME_UNKNOWN", f"there is no revision {number}; there are: countersign policy history")
        return found

    async def _difference(self, acting: Acting) -> shapes.Difference:
        pair = cast("shapes.Between", acting.query)
        async with self._trying.of(acting.holder.key):
            old, new = [await self._policies.understood(await self._found(number)) for number in (pair.old, pair.new)]
            return await different(old, new, self._policies)

    async def _apply(self, acting: Acting) -> shapes.Applied:
        return await self._changed(self._wish(acting), acting)

    async def _revert(self, acting: Acting) -> shapes.Applied:
        return await self._changed(await self._back(acting), acting)

    async def _changed(self, change: Change, acting: Acting) -> shapes.Applied:
        async with self._changing.of(acting.holder.key):
            changed = await self._policies.change(change)
        now = self._policies.revision
        if now is None:
            raise Fault("UNKNOWN", "the policies of the file were put in force meanwhile", status=409)
        return shapes.Applied(changed=changed, revision=_line(now))

    async def _plan_apply(self, acting: Acting) -> tuple[str, ...]:
        return await self._differing(self._wish(acting), acting)

    async def _plan_revert(self, acting: Acting) -> tuple[str, ...]:
        return await self._differing(await self._back(acting), acting)

    async def _differing(self, change: Change, acting: Acting) -> tuple[str, ...]:
        async with self._trying.of(acting.holder.key):
            _, lines = await self._policies.planned(change)
        return tuple(lines) or ("nothing is different but the text",)

    def _wish(self, acting: Acting) -> Change:
        wish, by = cast("shapes.ApplyRequest", acting.body), acting.holder
        return Change(wish.text, wish.name, wish.base, wish.reason, by.who, by.how, acting.request_id)

    async def _back(self, acting: Acting) -> Change:
        wish, by = cast("shapes.RevertRequest", acting.body), acting.holder
        self._policies.may_change()
        old = await self._found(int(acting.path_params["number"]))
        name = f"revision-{old.number}"
        return Change(old.text, name, wish.base, wish.reason, by.who, by.how, acting.request_id, reverts=old.number)

    async def _lint(self, acting: Acting) -> shapes.Linted:
        wish = cast("shapes.Candidate", acting.body)
        async with self._trying.of(acting.holder.key):
            return await linted(wish.text, wish.name, self._policies, self._ports())

    async def _test(self, acting: Acting) -> shapes.Tested:
        wish, ports = cast("shapes.ImageRequest", acting.body), self._ports()
        policies = self._policies.file
        if wish.text is not None:
            async with self._trying.of(acting.holder.key):
                policies = await self._policies.checked(wish.text, wish.name)
        supposed = supposing(policies.policies, ports)
        judged = await judge(parse_name(wish.ref, ports.hosts), _ours(acting), supposed)
        if isinstance(judged, Response):
            raise not_given(wish.ref, judged.status)
        decision = judged.decision
        told = explain.text(decision, ports.name, ports.url)
        return shapes.Tested(
            allowed=decision.allowed, outcome=decision.outcome.value, decision=explain.as_json(decision), text=told
        )

    async def _plan(self, acting: Acting) -> shapes.Impact:
        async with self._trying.of(acting.holder.key):
            return await self._planned(acting)

    async def _planned(self, acting: Acting) -> shapes.Impact:
        wish, ports = cast("shapes.PlanRequest", acting.body), self._ports()
        ends = ports.clock.monotonic() + PLAN_S
        file = await self._policies.checked(wish.text, wish.name)
        now, base = self._policies.file, number_of(self._policies)
        since = ports.clock.now() - timedelta(days=wish.days)
        async with self._planning:
            pulled = await self._pulled(since, wish.limit + 1)
            left = ends - ports.clock.monotonic()
            judged = await replay(pulled[: wish.limit], file.policies, _ours(acting), ports, left)
        return impact(base, await different(now, file, self._policies), since, judged, more=len(pulled) > wish.limit)

    async def _plan_long(self, acting: Acting) -> JobShown:
        wish, ports, by = cast("shapes.LongPlanRequest", acting.body), self._ports(), acting.holder
        async with self._trying.of(by.key):
            await self._policies.checked(wish.text, wish.name)
        request = {"text": hash_of(wish.text), "name": wish.name, "days": wish.days, "limit": wish.limit}
        why = "to know what would be blocked"
        job, room = Job("", PLAN, by.who, by.how, why, ports.clock.now(), request), job_room(actor_of(acting), ports)
        await jobs_of.may_start(job, self._jobs, room)  # checked before the text is stored permanently
        await ports.journal.keep_revision(CANDIDATE, hash_of(wish.text), wish.text)
        return shown(await jobs_of.start(job, self._jobs, room))


def _ours(acting: Acting) -> Request:
    return Request(Credential(ours=True), acting.request_id, address="admin")


def _line(revision: PolicyRevision) -> shapes.RevisionLine:
    return shapes.RevisionLine(
        number=revision.number,
        hash=revision.hash,
        parent=revision.parent,
        policies=revision.policies,
        at=revision.at,
        by=revision.who,
        how=revision.how,
        reason=revision.reason,
    )


async def linted(text: str | None, name: str, policies: Policies, ports: Ports) -> shapes.Linted:
    """Return all findings in this text, or in the policies in force. Raises Fault if the check takes too long."""
    settings = policies.settings
    images = [key for key in settings.keys if settings.purpose(key) == "image"]
    proven = await names_proven(ports.registry)
    around = LintContext(looks(images, ports.keybook.ring()), tuple(settings.file.trust), ports.clock.now(), proven)
    if text is None:
        found = await policies.texts.lint_kept(policies.file, settings, around)
    else:
        found = await policies.texts.lint(text, name, settings, around)
    return shapes.Linted(findings=tuple(shapes.LintFindingShown.model_validate(each) for each in found))
