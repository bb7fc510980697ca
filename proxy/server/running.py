"""All parts of one serving process, and their exchange on a reload."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial
from ipaddress import ip_network

from structlog.typing import FilteringBoundLogger

from proxy.admin.approve import EXPIRE_S, expire
from proxy.admin.certificates import known_by
from proxy.admin.dispatch import AdminApi
from proxy.admin.http_problems import problem
from proxy.config import Settings, load
from proxy.jobs import runner
from proxy.jobs.periodic import Periodic
from proxy.journal.event import Event, EventKind
from proxy.keyless.examiner import SigstoreExaminer
from proxy.keys import schedule_runner
from proxy.oci.faults import ConfigError, Corrupt, Unavailable
from proxy.oci.operation import Operation
from proxy.overrides import offline, sign_pending
from proxy.overrides.exceptions import close_ended
from proxy.overrides.offline import HostException
from proxy.overrides.sign_pending import start_if_needed
from proxy.overrides.unsigned_store import OWED
from proxy.policies.in_force import TRIES, Policies, RulesInForce, Taken
from proxy.policies.process import PolicyProcesses
from proxy.policies.store import POLICY
from proxy.registry.cache import Cache
from proxy.registry.ports_in_use import Ports
from proxy.registry.reading.rights import UpstreamRights
from proxy.registry.request import Request, Response
from proxy.registry.signing import retag, withdraw
from proxy.registry.single_flight import SingleFlight
from proxy.server import revocation_lists
from proxy.server.build import (
    check_listeners,
    outbound_of,
    password_of,
    served_with,
    timestamper_of,
    told_by,
    upstream_of,
)
from proxy.server.doctor.checkup import DoctorFinding
from proxy.server.doctor.examine import examine
from proxy.server.listeners import answer_as_realm, public_pages
from proxy.server.operations import OPERATIONS, services, works
from proxy.server.problems import expiry_watch, staleness
from proxy.server.problems.all import AllProblems
from proxy.server.problems.expiry_watch import ExpirySources, ExpiryWatch
from proxy.server.problems.upstream import UpstreamWatch
from proxy.server.problems.watch import ProblemWatch
from proxy.server.reload import keep_revisions, only_changeable
from proxy.server.revocation_lists import RevocationLists
from proxy.server.server_operations import Live
from proxy.server.store import Store, open_store
from proxy.server.token_plans import tokens_plan
from proxy.store.clock import SystemClock
from proxy.tokens.inventory import OpenTokens
from proxy.tokens.open import PinRefusedAtStart, Record
from proxy.tokens.signer import TokenCertifier, TokenSigner
from proxy.trust.policy import PolicySet
from proxy.upstream.client import Upstream
from proxy.web.app import admin_app, public_app
from proxy.web.logs import AccessLog
from proxy.web.metrics import (
    CountedJournal,
    Metrics,
    watch_books,
    watch_endings,
    watch_interventions,
    watch_key_times,
    watch_problems,
    watch_signing,
)
from proxy.web.outermost import Edge, outermost
from proxy.web.server import Address, Server, Tls

LOOK_S = 0.3  # the greatest age of our books when another process changes them
ALONE_S = 1.0  # the same where no other process writes the store: only what a failure left unsure is read again
PROBLEMS_S = 1.0  # until a problem is in log and journal; `status` and metrics show it at once
LATER_S = 5.0  # for background work, after the last connection has closed


class Running:
    """A serving proxy. `ports` is what requests use; a reload replaces it."""

    def __init__(
        self,
        settings: Settings,
        ports: Ports,
        store: Store,
        policies: Policies,
        signer: TokenSigner,
        upstream: Upstream,
        metrics: Metrics,
        tls: Tls | None,
        admin_tls: Tls | None,
        lists: RevocationLists,
        log: FilteringBoundLogger,
    ) -> None:
        """Called by `open_running`."""
        self.settings = settings
        self.ports = ports
        self.store = store
        self.leaving = asyncio.Event()
        self.public = self.admin = ""
        self.policies = policies
        self.signer = signer
        self.upstream = upstream
        self.metrics = metrics
        self._tls, self._admin_tls = tls, admin_tls
        self._lists = lists
        self._log = log
        self._server = Server(self.leaving, settings.limits, log.warning)
        self._ticking = Periodic(log)
        self._on_the_host = HostException(settings.directory, lambda: self.ports, store.overrides, log)
        self._jobs = runner.JobRunner(works(lambda: self.ports, store, policies), store.jobs, store.leases, ports)
        self._staleness = staleness.Staleness(store.watch, settings.limits, ports.clock.now, log)
        self._reloading = asyncio.Lock()
        self.keytimes = schedule_runner.ScheduleRunner(lambda: self.ports, store.leases, store.keybook.refresh, log)
        watch_key_times(metrics, lambda: len(self.keytimes.soon()), self.keytimes.next_at)
        ends = ExpirySources(
            lambda: self.settings, lambda: self.ports, store.admin_tokens, lists.times, upstream.certificate
        )
        self.endings = ExpiryWatch(ends, ports.clock.now, log)
        watch_endings(metrics, self.endings.days)
        times, stale, path = self.keytimes, self._staleness, settings.path
        self._registry = UpstreamWatch(upstream, ports.clock, path, log, lambda: password_of(self.settings))
        knowing = self._registry, policies, lists, self.endings
        self._wrong = AllProblems(signer, store, lambda: self.ports, path, times, stale, knowing)
        self.problems = self._wrong.now
        self._told = ProblemWatch(self.problems, store.journal, ports.clock.now, log)
        watch_problems(metrics, self.problems)
        checks = SingleFlight[Sequence[DoctorFinding]]()  # each opens every token
        looks = lambda writable: checks.do(writable, lambda: examine(path, writable))  # noqa: E731
        live = Live(ports.clock.now(), policies, self.reload, looks, self.problems, times.shown, self.endings.warnings)
        dual = lambda: self.settings.admin.dual_control  # noqa: E731  a reload exchanges the settings
        people = lambda: self.settings.admin.certificates  # noqa: E731
        supplied = services(live, store, OpenTokens(signer), people)
        known = lambda shown: known_by(shown, self.settings.admin.certificates, ports.clock.now())  # noqa: E731
        self.api = AdminApi(OPERATIONS, lambda: self.ports, supplied, store.journal, dual, known)

    async def listen(self) -> None:
        """Accept connections on every listener. Raises ConfigError when an address is not available."""
        with contextlib.suppress(Corrupt, Unavailable):  # the next look reports it again
            await self._on_the_host.look()
        settings = self.settings
        log, networks = self._log, [ip_network(text) for text in settings.server.trusted_proxies]
        bounds, kept, leaving = settings.limits, self.ports.cache.kept, self.leaving.is_set
        public_edge = Edge(bounds, (self.metrics, AccessLog(log)), networks, leaving, kept=kept)
        inward = Edge(bounds, (AccessLog(log, errors_only=True),), (), leaving, problem)
        shown = public_pages(lambda: self.ports, self.upstream.realm, settings.attesting)
        public = outermost(public_app(self._handle, shown), public_edge)
        admin = outermost(self.api.over_network(admin_app(self.metrics.text, self._obstacle)), inward)
        local = outermost(self.api.over_socket(), inward)
        try:
            at = await self._server.public(public, Address(*settings.server.address), self._tls, networks)
        except OSError as taken:
            raise ConfigError(f"server.listen: cannot listen on {settings.server.listen}: {taken.strerror}") from None
        self.public = str(at)
        try:
            at = await self._server.admin(admin, Address(*settings.admin.address), self._admin_tls)
        except OSError as taken:
            raise ConfigError(f"admin.listen: cannot listen on {settings.admin.listen}: {taken.strerror}") from None
        self.admin = str(at)
        try:
            await self._server.local(local, settings.socket)
        except OSError as taken:
            raise ConfigError(f"{settings.socket}: cannot listen there: {taken.strerror}") from None
        await self.ports.journal.record(
            Event(self.ports.clock.now(), EventKind.STARTED, detail={"listen": self.public})
        )
        watch, store = self.store.watch, self.store
        look_s = ALONE_S if store.sole else LOOK_S
        self._ticking.every(PROBLEMS_S, "present problems", self._told.look)
        self._ticking.every(look_s, "denials and keys of other servers", watch.look)
        self._ticking.every(self._registry.every_s, "whether upstream answers", self._registry.look)
        self._ticking.every(staleness.LOOK_S, "age of denials and keys", self._staleness.look)
        self._ticking.every(look_s, "policies of other servers", watch.follower(POLICY, self.policies))
        self._ticking.every(look_s, "unsigned pushes of other servers", watch.follower(OWED, store.unsigned))
        self._ticking.every(EXPIRE_S, "approvals", lambda: expire(self.store.approvals, self.ports))
        self._ticking.every(revocation_lists.LOOK_S, "revocation lists", self._lists.refresh)
        self._ticking.every(expiry_watch.LOOK_S, "expiries", self.endings.look)
        self._ticking.every(schedule_runner.LOOK_S, "scheduled changes of keys", self.keytimes.look)
        self._ticking.every(offline.LOOK_S, "break-glass on this host", self._on_the_host.look)
        self._ticking.every(1, "expired exceptions", lambda: close_ended(self.ports))
        self._ticking.every(
            sign_pending.LOOK_S, "unsigned pushes", lambda: start_if_needed(self.ports, self.store.jobs)
        )
        self._jobs.every(runner.LOOK_S, self._ticking)
        self._ticking.every(retag.LOOK_S, "unfinished moves of tags", lambda: retag.finish_all(self.ports))
        self._ticking.every(withdraw.LOOK_S, "unfinished withdrawals", lambda: withdraw.withdraw_again(self.ports))

    async def _handle(self, op: Operation, request: Request) -> Response:
        return await answer_as_realm(op, request, self.ports, self.upstream.realm, self.settings.server.public_urls)

    def _obstacle(self) -> str | None:
        """Return why no traffic should be routed here. A failed token is no reason: pulls still work."""
        return "leaving" if self.leaving.is_set() else None

    async def reload(self) -> str | None:
        """Put the configuration file in force; an invalid one changes nothing. Return the reason if it was refused."""
        async with self._reloading:
            self._registry.again()
            try:
                await self._reload()
            except (ConfigError, PinRefusedAtStart, OSError, ssl.SSLError, Unavailable) as wrong:
                why = wrong.what if isinstance(wrong, Unavailable) else str(wrong)
                now = self.ports.clock.now()
                self._wrong.refused = now, why
                self._log.error("configuration refused, the old one stays in force", why=why)
                with contextlib.suppress(Unavailable):  # `problems` reports the store
                    await self.store.journal.record(Event(now, EventKind.CONFIG_REFUSED, detail={"why": why[:2000]}))
                return why
            return None

    async def _reload(self) -> None:
        settings = await asyncio.to_thread(load, self.settings.path)  # a large file takes long
        only_changeable(self.settings, settings)
        check_listeners(settings)
        await self.signer.reopen(tokens_plan(settings))
        await self._lists.refresh(settings.trust)
        for _ in range(TRIES):
            taken = await self.policies.taken(settings)
            async with self.policies.lock:
                if self.policies.overtaken(taken):
                    continue
                await keep_revisions(settings, taken, self.store, self.ports)
                for tls in filter(None, (self._tls, self._admin_tls)):
                    tls.reload()
                await self.store.keybook.trust(settings.trust, partial(self._put_in_force, settings, taken))
            self._log.info("configuration reloaded", policies=self.policies.described)
            await self.endings.look()  # an expired certificate is reported at once
            return
        raise Unavailable("the policies were changed each time while the configuration was read; reload again")

    def _put_in_force(self, settings: Settings, taken: Taken) -> None:
        """Exchange all parts between two requests: no request sees new keys with old policies."""
        self.policies.put(settings, taken)
        self.ports = replace(self.ports, **told_by(settings), plans=settings.plans())
        self.settings, self._wrong.refused = settings, None

    async def leave(self) -> int:
        """Drain: readiness off, no new connections, transfers finish or are cut. Return how many were cut."""
        cut = await self._server.leave()
        await self._ticking.stop()
        with contextlib.suppress(TimeoutError):  # the next pull restarts unfinished repairs
            async with asyncio.timeout(LATER_S):
                await self.ports.cache.settle()
        await self.store.journal.record(Event(self.ports.clock.now(), EventKind.STOPPED, detail={"transfers_cut": cut}))
        return cut


async def open_running(settings: Settings, log: FilteringBoundLogger, stack: AsyncExitStack) -> Running:
    """Open store, tokens and upstream, without listening yet. Raises ConfigError, PinRefusedAtStart, Unavailable."""
    clock = SystemClock()
    store = await open_store(settings.store.url, clock, trusted=settings.trust)
    stack.push_async_callback(store.close)
    upstream = upstream_of(settings, await store.secrets.named("uploads"))
    stack.push_async_callback(upstream.close)
    shared = None if store.sole else store.leases
    signer = TokenSigner(tokens_plan(settings), Record(store.keybook, store.journal, clock), log, shared)
    stack.push_async_callback(signer.close)
    signer.begin()
    keyless = SigstoreExaminer()
    stack.callback(keyless.close)
    outbound = outbound_of(settings)
    stack.push_async_callback(outbound.close)
    lists = RevocationLists(lambda: store.keybook.ring().authorities, outbound, settings.limits, clock, log)
    await lists.refresh()
    rules = RulesInForce(PolicySet("", ()))
    metrics = Metrics()
    watch_interventions(metrics, store.overrides, store.unsigned)
    watch_books(metrics, store.watch.age)
    watch_signing(metrics, signer.health, lambda: len(signer.standby.now()))
    ports = Ports(
        registry=upstream,
        rights=UpstreamRights(upstream, upstream.realm, clock, settings.limits),
        signer=signer,
        keyless=keyless,
        certifier=TokenCertifier(signer.held),
        rules=rules,
        keybook=store.keybook,
        ledger=store.ledger,
        facts=store.facts,
        tags=store.tags,
        journal=CountedJournal(store.journal, metrics),
        overrides=store.overrides,
        unsigned=store.unsigned,
        names=lambda: policies.settings.server.hosts,
        books=store.watch,
        clock=clock,
        limits=settings.limits,
        cache=Cache(settings.limits, clock.monotonic),
        **told_by(settings),
        lists=lists.known,
        timestamper=timestamper_of(settings, outbound),
        plans=settings.plans(),
    )
    reader = PolicyProcesses(settings.limits)
    stack.push_async_callback(reader.close)
    policies = Policies(settings, store.policy_book, rules, store.journal, clock, reader)
    taken = await policies.taken(settings)
    policies.put(settings, taken)
    await keep_revisions(settings, taken, store, ports)
    tls = served_with("server.tls", settings.server.tls)
    admin_tls = served_with("admin.tls", settings.admin.tls, settings.admin.client_ca)
    await signer.start()
    return Running(settings, ports, store, policies, signer, upstream, metrics, tls, admin_tls, lists, log)
