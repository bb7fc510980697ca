"""Actions of the approval routes, and the step that holds a call until a second person approves it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import cast

from proxy.admin import approval_routes as shapes
from proxy.admin import approve as flow
from proxy.admin.approval import WAITS_FOR, Approval, ApprovalState, Person, same_steps
from proxy.admin.approvals_port import Approvals
from proxy.admin.certificates import KnownCertificate, may_ask
from proxy.admin.dispatch import Acting, Holder, Topic
from proxy.admin.operation import Route
from proxy.admin.shapes import ApprovalShown, Held, Why, kept
from proxy.admin.token_operations import NewToken
from proxy.admin.tokens_port import AdminTokens
from proxy.oci.faults import Corrupt, Fault, Unavailable
from proxy.registry.ports_in_use import Ports
from proxy.trust.roles import beyond, holders, permitted


class ApprovalDesk:
    """One method per route; each raises Fault, Unavailable or Corrupt with a message for the caller."""

    def __init__(
        self,
        ports: Callable[[], Ports],
        routes: Sequence[Route],
        approvals: Approvals,
        tokens: AdminTokens,
        topics: Sequence[Topic],
        dual: Callable[[], bool],
        people: Callable[[], Iterable[KnownCertificate]],
    ) -> None:
        """`topics` hold the actions of the requested calls; `dual` says whether some calls need a second person.

        `people` returns the people with a client certificate, from the current configuration.
        """
        self._ports = ports
        self._routes = {route.name: route for route in routes}
        self._approvals = approvals
        self._tokens = tokens
        self._actions = {name: action for topic in topics for name, action in topic.actions.items()}
        self._plans = {name: plan for topic in topics for name, plan in topic.plans.items()}
        self._alone = {name: alone for topic in topics for name, alone in topic.alone.items()}
        self._dual = dual
        self._people = people

    def topic(self) -> Topic:
        """Return the action of every approval route by name, and the function that holds calls."""
        return Topic(
            {
                "list_approvals": self._list,
                "show_approval": self._show,
                "approve": self._approve,
                "reject": self._reject,
            },
            {"approve": self._plan_approve},
            holds=self._hold,
        )

    async def _hold(self, route: Route, acting: Acting) -> Held | None:
        """Hold the call if it needs a second person, after its plan has shown that it could be executed now."""
        if not self._dual() or (route.name in self._alone and await self._alone[route.name](acting)):
            return None
        await flow.must_count(_person(acting.holder), self._tokens)
        if isinstance(acting.body, NewToken) and acting.body.fingerprint is None:
            raise Fault(
                "DENIED",
                f"{acting.body.name!a} could agree to what others ask for (admin.dual_control), so nobody else may see "
                "that token: have them run countersign tokens draft, and ask with the fingerprint it prints",
                status=409,
            )
        now = self._ports().clock.now()
        wanted = Approval(
            id="",
            route=route.name,
            places=dict(acting.path_params),
            body="" if acting.body is None else acting.body.model_dump_json(),
            plan=await self._plans[route.name](acting),
            by=_person(acting.holder),
            roles=acting.holder.roles,
            request_id=acting.request_id,
            created=now,
            expires=now + WAITS_FOR,
            given={} if acting.body is None else kept(acting.body),
        )
        return Held(approval=shown(await flow.ask(wanted, self._approvals, self._ports())))

    async def _list(self, acting: Acting) -> shapes.ApprovalsShown:
        page = cast("shapes.ApprovalsPage", acting.query)
        found = await self._approvals.page(page.state, page.limit + 1, page.skip)
        after = page.skip + page.limit if len(found) > page.limit else None
        return shapes.ApprovalsShown(items=tuple(shown(each) for each in found[: page.limit]), next=after)

    async def _show(self, acting: Acting) -> ApprovalShown:
        found = await self._approvals.find(acting.path_params["id"])
        if found is None:
            # raises the Fault for an unknown request
            await flow.pending(acting.path_params["id"], self._approvals, self._ports())
        return shown(cast("Approval", found))

    async def _reject(self, acting: Acting) -> ApprovalShown:
        wanted = await flow.pending(acting.path_params["id"], self._approvals, self._ports())
        by = _person(acting.holder)
        if by != wanted.by:
            self._may(wanted, acting.holder)
            await flow.must_count(by, self._tokens)
        reason = cast("Why", acting.body).reason
        return shown(await flow.reject(wanted, by, reason, self._approvals, self._ports()))

    async def _plan_approve(self, acting: Acting) -> tuple[str, ...]:
        wanted, _ = await self._ready(acting)
        return (
            f"{wanted.route} as {wanted.by.who} asked: {wanted.given.get('reason', 'no reason given')}",
            *wanted.plan,
        )

    async def _approve(self, acting: Acting) -> shapes.Approved:
        wanted, again = await self._ready(acting)
        reason = cast("Why", acting.body).reason
        agreed = await flow.agree(wanted, _person(acting.holder), reason, self._approvals, self._ports())
        try:
            result = await self._actions[wanted.route](replace(again, agreed_by=acting.holder.who))
        except (Fault, Unavailable, Corrupt) as failed:
            await flow.came_to(agreed, ApprovalState.FAILED, str(failed), self._approvals)
            raise
        done = await flow.came_to(agreed, ApprovalState.DONE, reason, self._approvals)
        return shapes.Approved(approval=shown(done), result=result.model_dump(mode="json"))

    async def _ready(self, acting: Acting) -> tuple[Approval, Acting]:
        """Return the request and its original call if it may be executed now with the same plan. Raises Fault."""
        wanted = await flow.pending(acting.path_params["id"], self._approvals, self._ports())
        route = self._may(wanted, acting.holder)
        await flow.may_agree(wanted, _person(acting.holder), self._tokens, self._ports())
        if not may_ask(wanted.by.who, wanted.by.how, route.permission, self._people()):
            raise Fault(
                "DENIED",
                f"{wanted.by.who!a}, who asked for this, may not ask for it any more (admin.certificates): reject it",
                status=409,
            )
        body = None if route.body is None else route.body.model_validate_json(wanted.body)
        holder = Holder(wanted.by.who, wanted.by.how, wanted.roles, wanted.by.token_id)
        again = Acting(holder, wanted.request_id, wanted.places, None, body)
        now = await self._plans[route.name](again)
        if not same_steps(wanted.plan, now):
            raise Fault(
                "DENIED",
                f"things have changed since {wanted.by.who!a} asked; now it would {'; '.join(now)}: reject it",
                status=409,
            )
        return wanted, again

    def _may(self, wanted: Approval, holder: Holder) -> Route:
        route = self._routes.get(wanted.route)
        if route is None:
            raise Fault("DENIED", f"this version has no call {wanted.route}: reject it", status=409)
        if not permitted(holder.roles, route.permission):
            raise Fault("DENIED", f"only a holder of the role {', '.join(holders(route.permission))} decides on this")
        if route.body is NewToken and (more := beyond(holder.roles, NewToken.model_validate_json(wanted.body).roles)):
            raise Fault("DENIED", f"only a holder of the role {', '.join(more)} may agree that it is handed out")
        return route


def _person(holder: Holder) -> Person:
    return Person(holder.who, holder.how, holder.token_id)


def shown(approval: Approval) -> ApprovalShown:
    """Return the request in the form of the admin API."""
    by = approval.decided_by
    return ApprovalShown(
        id=approval.id,
        state=approval.state,
        call=approval.route,
        places=dict(approval.places),
        given=dict(approval.given),
        plan=approval.plan,
        who=approval.by.who,
        how=approval.by.how,
        created=approval.created,
        expires=approval.expires,
        decided_by="" if by is None else f"{by.who} ({by.how})",
        decided=approval.decided,
        note=approval.note,
        request_id=approval.request_id,
    )
