"""The configured tokens of one process, each open or retried: a failing token never stops pulls."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Coroutine
from datetime import datetime

from structlog.typing import FilteringBoundLogger

from hsm import Token
from proxy.oci.faults import ConfigError, Unavailable
from proxy.store.shared import Leases
from proxy.tokens.failing import FailingKeys
from proxy.tokens.open import Opened, PinRefusedAtStart, Record, may_serve, open_token
from proxy.tokens.plan import TokensPlan
from proxy.tokens.sessions import STEP_S, InUse, Sessions
from proxy.tokens.setup import token_settings

START_S = 3.0  # a start waits this long for a token; pulls wait for the start
RETRY_S = 5.0


class ConfiguredTokens:
    """Every configured token. Failures are retried, except a refused PIN."""

    def __init__(
        self,
        plan: TokensPlan,
        record: Record,
        failing: FailingKeys,
        log: FilteringBoundLogger,
        leases: Leases | None = None,
    ) -> None:
        """Start with no open token. Pass `leases` if other processes may use the same tokens."""
        self.plan = plan
        self.open: dict[str, Opened] = {}
        self.wrong: dict[str, str] = {}  # why a token is not open
        self._record = record
        self._failing = failing
        self._log = log
        self._since: dict[str, datetime] = {}
        self._first: tuple[asyncio.Task[None], ...] = ()
        self._opening: dict[str, asyncio.Task[None]] = {}
        self._beside: set[asyncio.Task[None]] = set()
        self._one_at_a_time: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._uses = {name: InUse() for name in plan.tokens}
        self._shares = {
            name: Sessions(leases, name, token.sessions, record.clock.monotonic)
            for name, token in plan.tokens.items()
            if leases is not None
        }

    def begin(self) -> None:
        """Begin to open every token; `start` waits for them. The rest of the start can run in the meantime."""
        first = {name: asyncio.create_task(self.open_again(name)) for name in self.plan.tokens}
        self._opening.update(first)
        self._first = tuple(first.values())

    async def start(self) -> None:
        """Open every token. An unusable token is opened later; a refused PIN aborts the start.

        Raises PinRefusedAtStart, ConfigError if there is no PIN.
        """
        if not self._first:
            self.begin()
        first = dict(self._opening)
        if first:
            await asyncio.wait(first.values(), timeout=START_S)
        for name, opening in first.items():
            if not opening.done():
                self._later(name, f"it did not open within {START_S:g} s and is being waited for", opening)
                continue
            try:
                opening.result()
            except Unavailable as away:
                self._later(name, away.what)
        for name in self._shares:
            self.do(self._keep_share(name))

    async def opened_within(self, seconds: float) -> None:
        """Wait until each token has opened or failed, but no longer than this."""
        if self._first:
            await asyncio.wait(self._first, timeout=seconds)

    async def close(self) -> None:
        """Log out of all tokens."""
        tasks = [*self._opening.values(), *self._beside]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(*(opened.token.close() for opened in self.open.values()))
        self.open.clear()
        for share in self._shares.values():
            await share.leave()

    def do(self, work: Coroutine[None, None, None]) -> None:
        """Run this task in the background until `close`."""
        task = asyncio.create_task(work)
        self._beside.add(task)
        task.add_done_callback(self._beside.discard)

    async def reopen(self, plan: TokensPlan) -> None:
        """Use the new plan: a token whose PIN or location has changed is opened again, once.

        Raises PinRefusedAtStart, ConfigError; the previously open tokens then stay open and in use.
        """
        for name, token in plan.tokens.items():
            now = token_settings(token)
            opened = self.open.get(name)
            same = opened is not None and opened.token.settings.pin_identity == now.pin_identity
            if opened is not None and same and self.plan.tokens.get(name) == token:
                await may_serve(name, self.plan, plan, opened.token)
                continue
            waiting = self._opening.pop(name, None)
            if waiting is not None:  # two logins must not run at once
                waiting.cancel()
                await asyncio.gather(waiting, return_exceptions=True)
            try:
                await self.open_again(name, plan)
            except Unavailable as away:
                if opened is not None:
                    raise ConfigError(f"tokens.{name}: {away.what}") from None
                self._later(name, away.what, plan=plan)
            except (ConfigError, PinRefusedAtStart):
                if opened is None and name in self.wrong:
                    self._later(name, self.wrong[name])
                raise
        self.plan = plan

    def _later(
        self, name: str, why: str, opening: asyncio.Task[None] | None = None, plan: TokensPlan | None = None
    ) -> None:
        self.wrong[name] = why
        self._log.error("token away", token=name, why=why)
        self._opening[name] = asyncio.create_task(self._at_last(name, opening, plan or self.plan))

    async def _at_last(self, name: str, opening: asyncio.Task[None] | None, plan: TokensPlan) -> None:
        while True:
            try:
                if opening is None:
                    await asyncio.sleep(RETRY_S)
                    await self.open_again(name, plan)
                else:
                    under_way, opening = opening, None
                    await under_way
            except Unavailable as away:
                self.wrong[name] = away.what
            except ConfigError as wrong:
                self.wrong[name] = str(wrong)
            except PinRefusedAtStart as final:
                self.wrong[name] = str(final)
                self._log.error("token not usable", token=name, why=str(final))
                return
            else:
                self._log.info("token back", token=name)
                return

    async def open_again(self, name: str, plan: TokensPlan | None = None) -> None:
        """Use the token through new sessions, even if it is open. Raises the same errors as `open_token`."""
        async with self._one_at_a_time[name]:  # two logins must not run at once
            plan = plan or self.plan
            use, share, total = self._uses[name], self._shares.get(name), plan.tokens[name].sessions
            if share is not None:
                share.total = total
                await share.first(use, START_S)
            mine = total if share is None else len(share)
            await use.make_room(mine)
            fresh = await open_token(name, plan, self._record, self._failing, max(1, mine - use.used))
            before, self.open[name] = use.replaced(fresh.token), fresh
            self.wrong.pop(name, None)
            if before is not None:
                self.do(self._retire(name, before, plan.sign_deadline_s))

    async def _retire(self, name: str, token: Token, seconds: float) -> None:
        """Close a replaced token once it has answered its pending requests."""
        try:
            async with asyncio.timeout(seconds):
                while token.stats.busy or token.stats.queued:  # noqa: ASYNC110  it has no event for this
                    await asyncio.sleep(0.05)
        except TimeoutError:
            pass
        finally:
            await token.close()
            self._uses[name].closed(token)
            if name not in self._shares:
                self._uses[name].allow(self.plan.tokens[name].sessions)

    async def _keep_share(self, name: str) -> None:
        """Keep to this process's share of the sessions, until cancelled."""
        while True:
            try:
                await self._shares[name].step(self._uses[name])
            except Unavailable as away:
                self._log.warning("sessions cannot be confirmed", token=name, why=away.what)
            await asyncio.sleep(STEP_S)

    def why_away(self, token: str) -> str | None:
        """Return why no session of this token works; None if one does."""
        opened = self.open.get(token)
        if opened is None:
            return self.wrong.get(token, f"token {token} is not open")
        return opened.token.health

    def away(self) -> dict[str, tuple[str, datetime]]:
        """Return the tokens without a working session, each with the reason and when it was first seen."""
        why = {name: f"token {name}: {wrong}" for name, wrong in self.wrong.items()}
        why |= {name: o.token.health for name, o in self.open.items() if name not in why and o.token.health is not None}
        now = self._record.clock.now()
        self._since = {name: self._since.get(name, now) for name in why}
        return {name: (why[name], self._since[name]) for name in why}

    def opened(self, token: str) -> Opened:
        """Return an open token. Raises Unavailable."""
        opened = self.open.get(token)
        if opened is None:
            raise Unavailable(self.wrong.get(token, f"token {token} is not open"))
        return opened
