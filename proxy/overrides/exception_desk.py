"""What the routes about exceptions do."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from proxy.admin.dispatch import Acting, Topic, actor_of
from proxy.admin.part import part
from proxy.admin.shapes import Page
from proxy.admin.shapes import one_repository as one
from proxy.oci.reference import parse_digest, parse_repository
from proxy.overrides import exception_routes as shapes
from proxy.overrides import exceptions as breakglass
from proxy.overrides.denial_operations import pattern_in
from proxy.registry.ports_in_use import Ports
from proxy.trust.exception import PolicyException
from proxy.trust.roles import Permission, permitted


class ExceptionDesk:
    """One method for each route; each raises Fault or Unavailable with words for whoever called."""

    def __init__(self, ports: Callable[[], Ports]) -> None:
        """`ports` returns the one in force."""
        self._ports = ports

    def topic(self) -> Topic:
        """Return what every route does, by its name."""
        return Topic(
            {
                "list_exceptions": self._list,
                "list_unsigned": self._unsigned,
                "open_exception": self._open,
                "close_exception": self._close,
                "review_exception": self._review,
            },
            {"open_exception": self._plan_open},
            {"open_exception": self._meant, "close_exception": self._found, "review_exception": self._found},
        )

    async def _list(self, acting: Acting) -> shapes.Exceptions:
        ports = self._ports()
        mine = (e for e in ports.overrides.orders().exceptions if acting.holder.may_see(one(e.repositories)))
        rows, after = part(tuple(mine), acting)
        return shapes.Exceptions(items=tuple(_shown(row, ports) for row in rows), next=after)

    async def _unsigned(self, acting: Acting) -> shapes.Unsigned:
        page = cast("Page", acting.query)
        rows = await self._ports().unsigned.page(page.limit + 1, page.skip)
        after = page.skip + page.limit if len(rows) > page.limit else None
        mine = [row for row in rows[: page.limit] if acting.holder.may_see(row.repository)]
        names = tuple(shapes.UnsignedShown.model_fields)
        shown = (shapes.UnsignedShown(**{name: getattr(row, name) for name in names}) for row in mine)
        return shapes.Unsigned(items=tuple(shown), next=after)

    async def _meant(self, acting: Acting) -> str:
        return one(cast("shapes.NewException", acting.body).repository)

    async def _found(self, acting: Acting) -> str:
        exceptions = self._ports().overrides.orders().exceptions
        return next((one(e.repositories) for e in exceptions if e.id == acting.path_params["id"]), "")

    async def _open(self, acting: Acting) -> shapes.ExceptionShown:
        ports = self._ports()
        wish = _wish(acting)
        made = await breakglass.open_exception(wish, _longest(acting, ports), actor_of(acting), ports)
        return _shown(made, ports)

    async def _close(self, acting: Acting) -> shapes.ExceptionShown:
        ports = self._ports()
        return _shown(await breakglass.close(acting.path_params["id"], actor_of(acting), ports), ports)

    async def _review(self, acting: Acting) -> shapes.ExceptionShown:
        ports = self._ports()
        return _shown(await breakglass.review(acting.path_params["id"], actor_of(acting), ports), ports)

    async def _plan_open(self, acting: Acting) -> tuple[str, ...]:
        ports, wish = self._ports(), _wish(acting)
        breakglass.may_open(wish, _longest(acting, ports), actor_of(acting), ports)
        what = f"{wish.digest} and what it lists" if wish.digest else "everything"
        where = f"{what} in {wish.repositories}"
        unsigned = (
            "accept pushes there without a signature while signing does not work, and list each until it is signed",
            "sign them by a job as soon as signing works again",
        )
        return (
            f"let {where} be pulled for {_span(wish.seconds)} although policy blocks it; what is denied stays denied",
            *(unsigned if wish.unsigned_push else ()),
            "say so in the Warning header of each such pull, in the journal, in status and in the metrics",
            "close it by itself then, and ask for a review of it until there was one",
        )


def _wish(acting: Acting) -> breakglass.ExceptionRequest:
    """Return what is wished. Raises Fault: only who may open long exceptions may open wide ones."""
    wish = cast("shapes.NewException", acting.body)
    wide = permitted(acting.holder.roles, Permission.EXCEPT_LONG)
    where = pattern_in(wish.repository) if wide else parse_repository(wish.repository)
    digest = None if wish.digest is None else parse_digest(wish.digest)
    return breakglass.ExceptionRequest(where, digest, wish.seconds, wish.allow_unsigned_push)


def _longest(acting: Acting, ports: Ports) -> float:
    long = permitted(acting.holder.roles, Permission.EXCEPT_LONG)
    return ports.limits.exception_long_s if long else ports.limits.exception_s


def _span(seconds: int) -> str:
    hours, minutes = divmod(seconds // 60, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def _shown(exception: PolicyException, ports: Ports) -> shapes.ExceptionShown:
    return shapes.ExceptionShown(
        id=exception.id,
        repository=exception.repositories,
        digest=exception.digest,
        unsigned_push=exception.unsigned_push,
        reason=exception.reason,
        by=exception.by,
        how=exception.how,
        opened=exception.opened,
        until=exception.until,
        open=not breakglass.is_over(exception, ports),
        closed=exception.closed,
        closed_by=exception.closed_by,
        reviewed=exception.reviewed,
        reviewed_by=exception.reviewed_by,
        review=exception.review,
        offline=exception.offline,
    )
