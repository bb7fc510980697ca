"""Which token is asked, with tokens that say what a test wants; real ones are in tests/faults/test_f07_standby.py."""

from __future__ import annotations

import io
from typing import cast

from proxy.journal.event import Event, EventKind
from proxy.journal.port import Journal
from proxy.oci.faults import Unavailable
from proxy.registry.ports.keys import TokenState
from proxy.server.token_plans import tokens_plan
from proxy.tokens.failover import Standby
from proxy.tokens.open import Record
from proxy.web.logs import open_log
from tests.unit.config.test_settings import SIGNING, parse
from tests.worlds.memory import MemoryStore

BOTH = SIGNING.replace("  hsm: {", "  spare: {module: /m.so, label: x, pin: {file: pin}}\n  hsm: {").replace(
    "release: {tokens: [hsm]}", "release: {tokens: [hsm, spare]}"
)


class Scene:
    """A standby whose tokens are away when `away` says so."""

    def __init__(self, text: str = BOTH) -> None:
        self.store, self.away = MemoryStore(), dict[str, str]()
        self.plan = tokens_plan(parse(text))
        record = Record(self.store.keybook, self.store.journal, self.store.clock)
        log = open_log(io.StringIO(), as_json=True)
        self.standby = Standby(lambda: self.plan, lambda _, token: self.away.get(token), record, log)

    async def look(self) -> None:
        for profile in self.plan.profiles:
            await self.standby._tell(profile)

    def told(self) -> list[tuple[str, str]]:
        events = [e for e in self.store.journal.events if e.kind is EventKind.KEY_STANDBY]
        return [(str(e.detail["token"]), str(e.detail["why"])) for e in events]


def test_tokens_are_asked_in_their_order_and_say_why_they_are_away() -> None:
    s = Scene()
    assert s.standby.tokens_of("release") == (TokenState("hsm"), TokenState("spare"))
    s.away["hsm"] = "switched off"
    assert s.standby.tokens_of("release") == (TokenState("hsm", "switched off"), TokenState("spare"))
    assert s.standby.tokens_of("nobody") == ()
    assert s.standby.all_sign()
    s.away["spare"] = "too"
    assert not s.standby.all_sign()


async def test_the_journal_is_told_once_when_it_begins_and_once_when_it_ends() -> None:
    s = Scene()
    await s.look()
    assert s.told() == []
    s.away["hsm"] = "switched off"
    for _ in range(3):
        await s.look()
    (now,) = s.standby.now()
    assert (now.profile, now.first, now.token, now.why) == ("release", "hsm", "spare", "switched off")
    s.away["spare"] = "gone too"
    await s.look()
    assert s.standby.now()[0].token == ""
    s.away.clear()
    for _ in range(3):
        await s.look()
    assert s.told() == [("spare", "switched off"), ("none", "switched off"), ("hsm", "")]
    assert s.standby.now() == ()


async def test_what_the_journal_could_not_take_is_told_at_the_next_look() -> None:
    s = Scene()
    journal = s.store.journal

    class Full:
        async def record(self, *_events: Event) -> None:
            raise Unavailable("disk full")

    s.away["hsm"] = "switched off"
    s.standby._record = Record(s.store.keybook, cast("Journal", Full()), s.store.clock)
    await s.look()
    assert s.standby.now() == ()
    s.standby._record = Record(s.store.keybook, journal, s.store.clock)
    await s.look()
    assert s.told() == [("spare", "switched off")]
