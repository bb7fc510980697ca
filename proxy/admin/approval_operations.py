"""Operations on calls that wait for a second person."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import Field

from proxy.admin.approval import Approval, ApprovalState
from proxy.admin.operation import Call, Command, Option, Row, operation
from proxy.admin.paging import Listing, Page, Paged
from proxy.admin.shapes import Affected, ApprovalShown, Shape, Why
from proxy.oci.duration import instant, minute
from proxy.oci.faults import visible
from proxy.trust.roles import Permission


class ApprovalsPage(Page, frozen=True):
    """A query for approval requests, newest first."""

    state: Annotated[ApprovalState | None, Option(reads="choice")] = Field(
        default=None, description="only requests in this state"
    )


class ApprovalsShown(Paged, frozen=True):
    """A page of requests, newest first."""

    items: tuple[ApprovalShown, ...]


class Approved(Shape, frozen=True):
    """The result of an approved request."""

    approval: ApprovalShown
    result: dict[str, Any] = Field(description="the response of the call")
    done: Literal[True] = True


def _table(rows: Sequence[Row]) -> list[tuple[str, ...]]:
    return [("ID", "CALL", "OF", "STATE", "UNTIL", "ASKED BY", "DECIDED BY"), *map(_row, rows)]


def _row(row: Row) -> tuple[str, ...]:
    of, until = ",".join(str(value)[:20] for value in row["places"].values()), minute(row["decided"] or row["expires"])
    return (row["id"], row["call"], of, row["state"], until, row["who"], row["decided_by"])


def _empty(query: Row) -> str:
    return "nothing waits for a second person" if query.get("state") == ApprovalState.PENDING else "no request matches"


def _described(row: Row) -> list[str]:
    about = {
        "asked": f"{row['who']} ({row['how']}) at {minute(row['created'])}",
        "until": minute(row["expires"]),
        "with": ", ".join(f"{k} {v}" for k, v in (row["places"] | row["given"]).items()),
        "decided": f"{row['decided_by']} at {minute(row['decided'])}" if row["decided_by"] else "",
        "note": row["note"],
    }
    lines = [f"request {row['id']}: {row['call']}, {row['state']}"]
    lines += [f"  {name:<8}{visible(str(value), 500)}" for name, value in about.items() if value]
    return lines + [f"  - {visible(str(step), 500)}" for step in row["plan"]]


APPROVALS = Listing[Approval]("approvals", lambda each: (instant(each.created), each.id), (str, str))
_LIST = Command("approvals list", table=_table, rows="items", empty=_empty)


@operation("GET /approvals", Permission.JOURNAL, _LIST, query=ApprovalsPage)
async def list_approvals(call: Call) -> ApprovalsShown:
    """List approval requests, pending and decided, newest first."""
    from proxy.admin.approve import shown
    from proxy.admin.ports import Approvals

    page = call.query
    found = await call.use(Approvals).page(page.state, APPROVALS.part(page))
    return APPROVALS.page(ApprovalsShown, page, found, shown)


@operation("GET /approvals/{id}", Permission.JOURNAL, Command("approvals show", _described))
async def show_approval(call: Call) -> ApprovalShown:
    """Show one approval request: the call and its plan."""
    from proxy.admin.approve import find, shown

    return shown(await find(call))


async def _plan_approve(call: Call) -> tuple[str, ...]:
    from proxy.admin.approve import ready

    wanted, _, _ = await ready(call)
    return (f"{wanted.route} as {wanted.by.name} asked: {wanted.given.get('reason', 'no reason given')}", *wanted.plan)


_APPROVE = Command("approvals approve", lambda row: _described(row["approval"]))


async def _affects_approve(call: Call) -> Affected | None:
    from proxy.admin.approve import ready

    _, operation, again = await ready(call)
    return await operation.affected(again)


@operation("POST /approvals/{id}/approve", Permission.APPROVE, _APPROVE, plan=_plan_approve, affects=_affects_approve)
async def approve(call: Call, body: Why) -> Approved:  # noqa: ARG001  its reason is the actor's
    """Approve the request of another person. The call runs at once."""
    from proxy.admin.approve import agree, shown

    done, result = await agree(call)
    return Approved(approval=shown(done), result=result.model_dump(mode="json"))


@operation("POST /approvals/{id}/reject", Permission.APPROVE, Command("approvals reject", _described))
async def reject(call: Call, body: Why) -> ApprovalShown:  # noqa: ARG001  its reason is the actor's
    """Reject the request of another person, or withdraw your own."""
    from proxy.admin.approve import shown, turn_down

    return shown(await turn_down(call))


OPERATIONS = (list_approvals, show_approval, approve, reject)
