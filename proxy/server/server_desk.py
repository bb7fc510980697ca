"""The implementation of the routes about the server as a whole and its journal."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import cast

from proxy.admin.dispatch import Acting, Topic
from proxy.admin.shapes import filled
from proxy.journal.event import Event
from proxy.journal.port import Search
from proxy.oci.image_name import parse_name
from proxy.registry.ports_in_use import Ports
from proxy.server import journal_routes, routes
from proxy.server.desk import Desk


class ServerDesk:
    """One method for each route; each raises Fault, Unavailable or Corrupt with a text for the caller."""

    def __init__(
        self,
        desk: Desk,
        ports: Callable[[], Ports],
        reload: Callable[[], Awaitable[str | None]],
        policies: Callable[[], str],
    ) -> None:
        """`reload` rereads the configuration, returns why it was refused; `policies` names those in force."""
        self._policies = policies
        self._desk = desk
        self._ports = ports
        self._reload_now = reload

    def topic(self) -> Topic:
        """Return the implementation of every route, by its name."""
        return Topic(
            {"status": self._status, "journal": self._journal, "reload": self._reload, "sign": self._sign},
            about={"journal": self._searched, "sign": self._meant},
        )

    async def _searched(self, acting: Acting) -> str:
        return cast("journal_routes.JournalPage", acting.query).repository

    async def _meant(self, acting: Acting) -> str:
        return parse_name(cast("routes.SignRequest", acting.body).ref, self._ports().hosts).repository

    async def _status(self, acting: Acting) -> routes.Status:
        """Return the status; problems about repositories only if the caller may see the repository."""
        found = await self._desk.status()
        mine = [p for p in found["problems"] if "repository" not in p or acting.holder.may_see(p["repository"])]
        return routes.Status.model_validate({**found, "problems": mine}, strict=False)

    async def _journal(self, acting: Acting) -> journal_routes.Rows:
        page = cast("journal_routes.JournalPage", acting.query)
        search = Search(
            kinds=() if page.kind is None else (page.kind,),
            repository=page.repository,
            digest=page.digest,
            since=page.since,
            limit=page.limit + 1,
            skip=page.skip,
        )
        rows = await self._ports().journal.search(search)
        after = page.skip + page.limit if len(rows) > page.limit else None
        return journal_routes.Rows(items=tuple(_row(event) for event in rows[: page.limit]), next=after)

    async def _reload(self, _acting: Acting) -> routes.Reloaded:
        refused = await self._reload_now()
        return routes.Reloaded(reloaded=refused is None, why=refused, policies=self._policies())

    async def _sign(self, acting: Acting) -> routes.SignedShown:
        wish = cast("routes.SignRequest", acting.body)
        done = await self._desk.sign(wish.ref, wish.reason, acting.holder.who, acting.holder.how)
        return routes.SignedShown.model_validate(done, strict=False)


def _row(event: Event) -> journal_routes.JournalRow:
    return filled(journal_routes.JournalRow, event, detail=dict(event.detail))
