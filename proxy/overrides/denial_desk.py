"""What the routes about denials do."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import cast

from proxy.admin.dispatch import Acting, Topic
from proxy.admin.part import part
from proxy.admin.shapes import Why
from proxy.oci.faults import Fault
from proxy.oci.reference import Digest, parse_digest
from proxy.overrides import denial_routes as shapes
from proxy.overrides.denials import deny, find, lift, may_deny
from proxy.registry.ports_in_use import Ports
from proxy.trust.actor import Actor
from proxy.trust.allotment import rank_of
from proxy.trust.denial import Denial
from proxy.trust.pattern import check_pattern


class DenialDesk:
    """One method for each route; each raises Fault or Unavailable with words for whoever called."""

    def __init__(self, ports: Callable[[], Ports]) -> None:
        """`ports` returns the one in force."""
        self._ports = ports

    def topic(self) -> Topic:
        """Return what every route does, by its name."""
        return Topic(
            {"list_denials": self._list, "add_denial": self._add, "remove_denial": self._remove},
            {"add_denial": self._plan_add, "remove_denial": self._plan_remove},
            {"add_denial": self._meant, "remove_denial": self._found},
        )

    async def _list(self, acting: Acting) -> shapes.Denials:
        now = self._ports().clock.now()
        mine = tuple(d for d in self._ports().overrides.orders().denials if acting.holder.may_see(_of(d)))
        rows, after = part(mine, acting)
        return shapes.Denials(items=tuple(_shown(row, now) for row in rows), next=after)

    async def _add(self, acting: Acting) -> shapes.DenialShown:
        ports, wish = self._ports(), cast("shapes.NewDenial", acting.body)
        target, digest = _target(wish.target)
        made = await deny(target, wish.until, actor_of(acting), ports, digest=digest)
        return _shown(made, ports.clock.now())

    async def _remove(self, acting: Acting) -> shapes.DenialShown:
        ports = self._ports()
        return _shown(await lift(acting.path_params["id"], actor_of(acting), ports), ports.clock.now())

    async def _plan_add(self, acting: Acting) -> tuple[str, ...]:
        wish = cast("shapes.NewDenial", acting.body)
        target, digest = _target(wish.target)
        ends = may_deny(target, wish.until, actor_of(acting), self._ports(), digest=digest).until
        until = "until it is removed" if ends is None else f"until {ends:%Y-%m-%d %H:%M}Z"
        what = f"every pull and push in {target}"
        if digest:
            what = f"every pull and push of {target} in every repository, and of what it lists where it is an index"
        return (f"block {what}, {until}: whatever signed it, in every mode, whatever exception is open",)

    async def _plan_remove(self, acting: Acting) -> tuple[str, ...]:
        found = find(acting.path_params["id"], self._ports())
        return (f"let policy alone decide on {found.target} again; it was denied by {found.by}: {found.reason}",)

    async def _meant(self, acting: Acting) -> str:
        target = cast("shapes.NewDenial", acting.body).target
        return "" if ":" in target else one(target)

    async def _found(self, acting: Acting) -> str:
        orders = self._ports().overrides.orders()
        return next((_of(d) for d in orders.denials if d.id == acting.path_params["id"]), "")


def _of(denial: Denial) -> str:
    return "" if denial.digest else one(denial.repositories)


def one(pattern: str) -> str:
    """Return the name of the one repository that this pattern means, or nothing: several are for who may see all."""
    return "" if "*" in pattern else pattern


def actor_of(acting: Acting) -> Actor:
    """Return who wants it and why, as the flows take it."""
    holder, reason = acting.holder, cast("Why", acting.body).reason
    return Actor(holder.who, holder.how, reason, acting.request_id, rank_of(holder.roles, holder.repositories))


def _target(text: str) -> tuple[Digest | str, bool]:
    """Return the digest or the pattern, and whether it is a digest. Raises Fault."""
    return (parse_digest(text), True) if ":" in text else (pattern_in(text), False)


def pattern_in(text: str) -> str:
    """Return the pattern. Raises Fault."""
    try:
        return check_pattern(text)
    except ValueError as wrong:
        raise Fault("NAME_INVALID", f"{text[:80]!a} is neither a digest nor a repository pattern; {wrong}") from None


def _shown(denial: Denial, now: datetime) -> shapes.DenialShown:
    return shapes.DenialShown(
        id=denial.id,
        target=denial.target,
        reason=denial.reason,
        by=denial.by,
        at=denial.at,
        until=denial.until,
        in_force=denial.holds_at(now),
    )
