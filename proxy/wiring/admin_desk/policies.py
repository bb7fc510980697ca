"""What the routes about policies do: show, change and try them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import cast

from proxy.config.policy_file import BLANK, PolicyFile
from proxy.flows.asked import Answer, Asked
from proxy.flows.house import House
from proxy.flows.judge import judge
from proxy.flows.named import parse_name
from proxy.flows.replay import replay, supposing
from proxy.oci.faults import Corrupt, Fault
from proxy.ports import Credential, PolicyBook
from proxy.trust import explain
from proxy.trust.impact import Effect, Judgement, Pulled, Verdict, counted
from proxy.trust.policy_diff import PolicyChange, differences, rendered
from proxy.trust.policy_revision import PolicyRevision
from proxy.web.admin_api import policies as shapes
from proxy.web.admin_api.handler import Acting, Topic
from proxy.wiring.admin_desk.policy_lint import linted
from proxy.wiring.desk import refused
from proxy.wiring.policies import Change, Policies

PLAN_S = 90.0  # whoever asks waits for 120
PulledSince = Callable[[datetime, int], Awaitable[Sequence[Pulled]]]


class PolicyDesk:
    """One method for each route; each raises Fault, Unavailable or Corrupt with words for whoever called."""

    def __init__(self, house: Callable[[], House], policies: Policies, book: PolicyBook, pulled: PulledSince) -> None:
        """`pulled` returns what was pulled since a moment, at most so many."""
        self._house = house
        self._policies = policies
        self._book = book
        self._pulled = pulled

    def topic(self) -> Topic:
        """Return what every route does, by its name."""
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
            },
            {"apply_policies": self._plan_apply, "revert_policies": self._plan_revert},
            {"test_policies": self._meant},
        )

    async def _meant(self, acting: Acting) -> str:
        return parse_name(cast("shapes.ImageWish", acting.body).ref, self._house().hosts).repository

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
        found = await self._found(int(acting.places["number"]))
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
        old, new = [self._policies.understood(await self._found(number)) for number in (pair.old, pair.new)]
        return _different(old, new)

    async def _apply(self, acting: Acting) -> shapes.Applied:
        return await self._changed(self._wish(acting))

    async def _revert(self, acting: Acting) -> shapes.Applied:
        return await self._changed(await self._back(acting))

    async def _changed(self, change: Change) -> shapes.Applied:
        changed = await self._policies.change(change)
        now = self._policies.revision
        if now is None:
            raise Fault("UNKNOWN", "the policies of the file were put in force meanwhile", status=409)
        return shapes.Applied(changed=changed, revision=_line(now))

    async def _plan_apply(self, acting: Acting) -> tuple[str, ...]:
        _, lines = await self._policies.planned(self._wish(acting))
        return tuple(lines) or ("nothing is different but the text",)

    async def _plan_revert(self, acting: Acting) -> tuple[str, ...]:
        _, lines = await self._policies.planned(await self._back(acting))
        return tuple(lines) or ("nothing is different but the text",)

    def _wish(self, acting: Acting) -> Change:
        wish, by = cast("shapes.ApplyWish", acting.body), acting.holder
        return Change(wish.text, wish.name, wish.base, wish.reason, by.who, by.how, acting.request_id)

    async def _back(self, acting: Acting) -> Change:
        wish, by = cast("shapes.RevertWish", acting.body), acting.holder
        self._policies.may_change()
        old = await self._found(int(acting.places["number"]))
        name = f"revision-{old.number}"
        return Change(old.text, name, wish.base, wish.reason, by.who, by.how, acting.request_id, reverts=old.number)

    async def _lint(self, acting: Acting) -> shapes.Linted:
        wish = cast("shapes.Candidate", acting.body)
        return await linted(wish.text, wish.name, self._policies, self._house())

    async def _test(self, acting: Acting) -> shapes.Tested:
        wish, house = cast("shapes.ImageWish", acting.body), self._house()
        policies = self._policies.file if wish.text is None else self._policies.checked(wish.text, wish.name)
        supposed = supposing(policies.policies, house)
        judged = await judge(parse_name(wish.ref, house.hosts), _ours(acting), supposed)
        if isinstance(judged, Answer):
            raise refused(wish.ref, judged)
        decision = judged.decision
        told = explain.text(decision, house.name, house.url)
        return shapes.Tested(
            allowed=decision.allowed, outcome=decision.outcome.value, decision=explain.as_json(decision), text=told
        )

    async def _plan(self, acting: Acting) -> shapes.Impact:
        wish, house = cast("shapes.PlanWish", acting.body), self._house()
        file = self._policies.checked(wish.text, wish.name)
        base = 0 if self._policies.revision is None else self._policies.revision.number
        difference = _different(self._policies.file, file)
        since = house.clock.now() - timedelta(days=wish.days)
        pulled = await self._pulled(since, wish.limit + 1)
        judged = await replay(pulled[: wish.limit], file.policies, _ours(acting), house, PLAN_S)
        return shapes.Impact(
            base=base,
            difference=difference,
            since=since,
            examined=len(judged),
            more=len(pulled) > wish.limit,
            counts=counted(judged),
            images=tuple(_image(each) for each in judged if each.effect is not Effect.UNCHANGED),
        )


def _ours(acting: Acting) -> Asked:
    return Asked(Credential(ours=True), acting.request_id, address="admin")


def _different(old: PolicyFile, new: PolicyFile) -> shapes.Difference:
    changes = differences(old.written, new.written, BLANK)
    return shapes.Difference(changes=tuple(map(_changed, changes)), lines=tuple(rendered(changes)))


def _changed(change: PolicyChange) -> shapes.PolicyChanged:
    settings = tuple(shapes.SettingChanged(setting=s.setting, old=s.old, new=s.new) for s in change.settings)
    return shapes.PolicyChanged(repositories=change.repositories, change=change.change, settings=settings)


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


def _image(judged: Judgement) -> shapes.ImageShown:
    pulled = judged.pulled
    return shapes.ImageShown(
        repository=pulled.repository,
        reference=pulled.reference,
        digest=pulled.digest,
        effect=judged.effect,
        pulls=pulled.pulls,
        last=pulled.last,
        before=_verdict(judged.before),
        after=_verdict(judged.after),
    )


def _verdict(verdict: Verdict) -> shapes.VerdictShown:
    return shapes.VerdictShown(standing=verdict.standing, reason=verdict.reason, detail=verdict.detail)
