"""What one process remembers between requests: bodies by digest, decisions, work in progress. Never authoritative."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Coroutine, Hashable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime
from functools import lru_cache, partial
from typing import Any, TypeVar, cast

from proxy.journal.event import Event
from proxy.oci.bounded import Bounded
from proxy.oci.limits import MIB, Limits
from proxy.oci.reference import Digest, Reference, Repository, Tag
from proxy.oci.shares import Shares
from proxy.registry.bodies import Kept
from proxy.registry.budget import Budget
from proxy.registry.ports.upstream import Credential, Headers
from proxy.registry.pushes import Pushes
from proxy.registry.request import Request
from proxy.registry.single_flight import SingleFlight
from proxy.registry.transfers import Transfers
from proxy.trust.decision import Decision, of_decision
from proxy.trust.fact import TagFact
from proxy.trust.ledger import SignatureKey
from proxy.trust.question import Question, Resolved, of_manifest
from proxy.trust.requirement import Outcome, RequirementOutcome, of_outcome

T = TypeVar("T")
ManifestKey = tuple[Repository, Digest]
JudgedKey = tuple[ManifestKey, Hashable, Reference | None]  # with the stamp judged under
TagKey = tuple[Repository, Reference, bytes]  # with the caller and its Accept headers


DECISIONS, DENIALS = 64 * MIB, 16 * MIB  # bytes; most decisions are in both caches bound by DECISIONS, counted once
OUTCOMES = 16 * MIB  # bytes; most share their parts with a decision
SHORT, MANY = 512, 16  # total characters and number of Accept headers that clients send; docker sends 8, 330 characters
LISTS = 8  # tag lists assembled at once
ROWS_TOGETHER = 100_000  # distinct rows in an hour, of all callers; about 8 MiB


class Rows:
    """Decides whether a caller may have its own journal row for an event, or has used up this hour's allowance."""

    def __init__(self, each: int) -> None:
        """Allow `each` holder this many rows per hour."""
        self._each = each
        self._hour = ""
        self._had: dict[Hashable, set[int]] = {}
        self._all = 0

    def own(self, holder: Hashable, event: Event) -> bool:
        """True for a row that this holder already has this hour, or may still add."""
        hour = event.at.isoformat()[: len("2026-01-02T12")]
        if hour != self._hour:
            self._hour, self._had, self._all = hour, {}, 0
        had = self._had.get(holder, set())
        reference = event.reference if event.decision_id else ""  # the same key that distinguishes rows
        row = hash((event.kind, event.how, event.repository, reference, event.reason))
        if row in had:
            return True
        if len(had) >= self._each or self._all >= ROWS_TOGETHER:
            return False
        had.add(row)
        self._had[holder] = had
        self._all += 1
        return True


class Cache:
    """Bounded caches of one process; each key holds everything its answer depends on."""

    def __init__(self, limits: Limits, monotonic: Callable[[], float]) -> None:
        """Start empty."""
        timed = partial(Bounded[Any, Any], now=monotonic)
        self.bodies: Bounded[ManifestKey, Resolved] = Bounded(
            limits.memory_cache_bytes, of_manifest, subjects=_children_and_blobs
        )
        # served while the store was away; the store must still learn them
        self.unlearned: Bounded[ManifestKey, bool] = Bounded(20_000)
        self.present: Bounded[ManifestKey, bool] = timed(100_000, seconds=limits.right_to_read_s)
        self.tags: Bounded[TagKey, Digest] = timed(20_000, seconds=limits.tag_age_s, subjects=_tag)
        self.last: Bounded[TagKey, Digest] = Bounded(20_000)
        # upstream's CORS headers by web origin
        self.origins: Bounded[str, Headers] = timed(256, seconds=60)
        self.checked: Bounded[ManifestKey, bool] = timed(50_000, seconds=limits.repair_check_s)
        self.single_post: Bounded[Repository, bool] = Bounded(20_000)  # whether a whole blob may come in one POST
        self.transfers = Transfers(limits, monotonic)
        self.push_probes = Shares(limits.push_probes)
        self.blobs: Bounded[ManifestKey, bool] = Bounded(20_000)  # our small blobs that are known to be upstream
        self.attached: dict[SignatureKey, Digest | None] = {}  # in which manifest, until the ledger has it
        # fallback tags, and when each was first seen
        self.kept_by_users: Bounded[tuple[Repository, Tag], datetime] = Bounded(1_000)
        # the reference each last passed under: where to look first
        self.passed: Bounded[ManifestKey, Reference] = Bounded(50_000)
        self._lists: Bounded[ManifestKey, Digest] = Bounded(50_000)  # blob: a manifest that passed and lists it
        # Searches that exceeded a request's budget, and why: an immediate repeat would cost the same again.
        self.exhausted: Bounded[Hashable, str] = timed(20_000, seconds=limits.exhausted_s)
        self.large = asyncio.Lock()  # held while a large document is parsed
        self._decisions: Bounded[JudgedKey, Decision] = Bounded(DECISIONS, of_decision, subjects=_repository)
        soon = partial(timed, seconds=limits.denial_cache_s, subjects=_repository_and_manifest)
        self._denials: Bounded[JudgedKey, Decision] = soon(DENIALS, of_decision)
        self._met: Bounded[JudgedKey, RequirementOutcome] = Bounded(OUTCOMES, of_outcome, subjects=_repository)
        self._unmet: Bounded[JudgedKey, RequirementOutcome] = soon(OUTCOMES / 4, of_outcome)
        self._made: Bounded[tuple[Question, Digest], Decision] = Bounded(DECISIONS, of_decision)
        self._key = secrets.token_bytes(32)
        self._nobody = lru_cache(1024)(lambda ours, accept: self._mark(Credential(None, ours), accept))  # 1 MiB at most
        self.latest: Bounded[Repository, Any] = Bounded(10_000)  # the state in force: see `now_in`
        self._changes: Bounded[Repository, int] = Bounded(20_000)
        self._counter = itertools.count(1)
        self._later: set[asyncio.Task[None]] = set()
        self.finished_to: TagFact | None = None  # the last unfinished move that was handled
        self._once: SingleFlight[Any] = SingleFlight()
        self._shared: dict[Hashable, tuple[Budget, list[Budget]]] = {}
        self.pushes = Pushes(self.lock)
        # Deleted images with signatures still upstream: the request whose credential is used, and the tries left.
        self.to_withdraw: Bounded[ManifestKey, tuple[Request, int]] = Bounded(1_000)
        self._locks: dict[Hashable, tuple[asyncio.Lock, int]] = {}
        self.kept = Kept(limits)
        # while tag lists are assembled
        self.tag_lists = Kept(replace(limits, kept_bytes=LISTS * limits.tag_list_bytes))
        self.rows = Rows(limits.rows_each)

    async def once(self, key: Hashable, work: Callable[[], Awaitable[T]]) -> T:
        """Return the result of `work`, shared by all callers that request the same key while it runs."""
        return cast("T", await self._once.do(key, work))

    async def shared(self, key: Hashable, request: Request, work: Callable[[Request], Awaitable[T]]) -> T:
        """Return the result of `work`, shared as by `once`, with its own budget instead of a caller's.

        The work is cancelled when no caller waits for it any more. Each waiting caller is charged its cost.
        """
        for last in (False, True):
            budget, waiting = self._shared.get(key) or request.budget.shared()
            self._shared[key] = budget, waiting
            waiting.append(request.budget)
            try:
                return await self.once(key, partial(work, replace(request, budget=budget)))
            except asyncio.CancelledError:
                task = asyncio.current_task()
                if last or request.budget.gone or task is None or task.cancelling():
                    raise  # else the work was cancelled for callers that left, just as this one arrived
            finally:
                waiting.remove(request.budget)
                if not waiting:
                    self._shared.pop(key, None)
                request.budget.absorb(budget)
        raise AssertionError("the last try returns or raises")

    def later(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run this task beside the request that started it; `settle` waits for it."""
        task = asyncio.ensure_future(work)
        self._later.add(task)
        task.add_done_callback(self._later.discard)
        return task

    async def settle(self) -> None:
        """Return when no task runs beside requests any more."""
        while self._later:
            await asyncio.gather(*self._later, return_exceptions=True)

    def busy(self, key: Hashable) -> bool:
        """True while a task in this process holds the lock of this key, or waits for it."""
        return key in self._locks

    @asynccontextmanager
    async def lock(self, key: Hashable) -> AsyncIterator[None]:
        """Hold the lock of this key, so that only one task at a time reads, changes and writes a tag."""
        lock, users = self._locks.get(key, (asyncio.Lock(), 0))
        self._locks[key] = (lock, users + 1)
        try:
            async with lock:
                yield
        finally:
            lock, users = self._locks[key]
            if users == 1:
                del self._locks[key]
            else:
                self._locks[key] = (lock, users - 1)

    def parents(self, repository: Repository, digest: Digest) -> list[Digest]:
        """Return the indexes held here that list this manifest."""
        return [held for _, held in self.bodies.about((repository, CHILD, digest))]

    def listing(self, repository: Repository, blob: Digest) -> list[Digest]:
        """Return the manifests held here that list this blob."""
        return [held for _, held in self.bodies.about((repository, BLOB, blob))]

    def lists(self, repository: Repository, blobs: Collection[Digest], by: Digest) -> None:
        """Remember that this manifest, which has just passed, lists these blobs."""
        self._lists.update({(repository, blob): by for blob in blobs})

    def lister(self, repository: Repository, blob: Digest) -> Digest | None:
        """Return the manifest that lists this blob and passed last, unless it has been forgotten since."""
        found = self._lists.get((repository, blob))
        return found if found is not None and (repository, found) in self.passed else None

    def caller_key(self, credential: Credential, accept: Sequence[str]) -> bytes:
        """Return a short key for the caller and its Accept headers: no credential and no long header is stored."""
        if credential.authorization is None and len(accept) <= MANY and sum(map(len, accept)) <= SHORT:
            return self._nobody(credential.ours, tuple(accept))
        return self._mark(credential, accept)

    def _mark(self, credential: Credential, accept: Sequence[str]) -> bytes:
        told = (str(credential.ours), str(credential.authorization is None), credential.authorization or "", *accept)
        said = "\0".join(told).encode("utf-8", "surrogateescape")
        return hashlib.blake2b(said, key=self._key, digest_size=16).digest()

    def reuse_if_equal(self, decision: Decision) -> Decision:
        """Return an earlier decision of this hour if only the time differs, else this one.

        A decision repeated every minute, or for every request during an outage, thus becomes one journal row an hour.
        """
        about = (decision.question, decision.digest)
        made = self._made.get(about)
        if made and _hour(made) == _hour(decision) and replace(made, id=decision.id, at=decision.at) == decision:
            return made
        self._made[about] = decision
        return decision

    def decision(self, place: ManifestKey, stamp: Hashable, reference: Reference | None) -> Decision | None:
        """Return a decision for the same manifest, stamp (revisions, clock bucket) and, if it binds one, reference."""
        for key in ((place, stamp, reference), (place, stamp, None)):
            if found := self._decisions.get(key) or self._denials.get(key):
                return found
        return None

    def outcome(
        self, place: ManifestKey, stamps: tuple[Hashable, Hashable], reference: Reference
    ) -> RequirementOutcome | None:
        """Return what a requirement said about the same manifest under one of its stamps (see `Now.stamps`)."""
        for key in ((place, stamps[0], None), (place, stamps[0], reference), (place, stamps[1], reference)):
            if found := self._met.get(key) or self._unmet.get(key):
                return found
        return None

    def judged(
        self,
        place: ManifestKey,
        stamps: tuple[Hashable, Hashable],
        reference: Reference,
        outcome: RequirementOutcome,
        changes: int,
    ) -> None:
        """Keep the outcome of one requirement as long as a decision, and like one.

        One that passed by itself is kept under the requirement's own stamp, so it outlives changes of anything else.
        """
        if changes != self.changes(place[0]):
            return
        if outcome.outcome is Outcome.PASSED:
            under = None if outcome.alone and not outcome.binds_reference else reference
            self._met[place, stamps[0] if outcome.alone else stamps[1], under] = outcome
        elif outcome.outcome is Outcome.FAILED:
            self._unmet[place, stamps[1], reference] = outcome

    def changes(self, repository: Repository) -> int:
        """Return a number that changes whenever signatures are added or removed in this repository."""
        return self._changes.get(repository, 0)

    def _changed(self, repository: Repository) -> None:
        self._changes[repository] = next(self._counter)

    def decided(self, place: ManifestKey, stamp: Hashable, decision: Decision, changes: int) -> None:
        """Keep a decision: a pass for its clock bucket, a denial for seconds, an inconclusive one never.

        Other references share it, unless they may be decided differently. A decision is dropped if signatures changed
        since `changes` was read, when gathering began.
        """
        if changes != self.changes(place[0]):
            return
        self.put_for_reference(place, stamp, decision)
        if not decision.binds_reference:
            self._keep((place, stamp, None), decision)

    def put_for_reference(self, place: ManifestKey, stamp: Hashable, decision: Decision) -> None:
        """Keep a decision for its own reference only."""
        self._keep((place, stamp, decision.question.reference), decision)

    def _keep(self, key: JudgedKey, decision: Decision) -> None:
        if decision.outcome is Outcome.PASSED:
            self._decisions[key] = decision
        elif decision.outcome is Outcome.FAILED:
            self._denials[key] = decision

    def forget_tag(self, repository: Repository, reference: Reference) -> None:
        """Drop the cached digest of a tag that has just moved."""
        self.tags.drop((repository, reference))

    def forget_denials(self, repository: Repository) -> None:
        """Drop cached denials of a repository, because a signature was added there."""
        self._changed(repository)
        for cache in (self._denials, self._unmet):
            cache.drop(repository)

    def drop_denials_of_children(self, places: Collection[ManifestKey]) -> None:
        """Drop cached denials of these manifests, because an index that lists them passed."""
        for place in places:
            self._denials.drop(place)
            self._unmet.drop(place)

    def forget(self, place: ManifestKey) -> None:
        """Drop one manifest that was deleted or lost a signature, and all passing decisions of its repository.

        Children are allowed by their parents, so any of those decisions may depend on this manifest.
        """
        self._changed(place[0])
        self.bodies.pop(place, None)
        self.present.pop(place, None)
        self.passed.pop(place, None)
        for cache in (self._decisions, self._met):
            cache.drop(place[0])


CHILD, BLOB = "child", "blob"


def _children_and_blobs(key: ManifestKey, held: Resolved) -> Iterable[Hashable]:
    """Return what a body lists: `parents` and `listing` look for it."""
    for child in held.manifest.children:
        yield key[0], CHILD, child.digest
    for blob in held.manifest.blobs:
        yield key[0], BLOB, blob


def _tag(key: TagKey, _digest: Digest) -> Iterable[Hashable]:
    return (key[:2],)


def _repository(key: JudgedKey, _judged: object) -> Iterable[Hashable]:
    return (key[0][0],)


def _repository_and_manifest(key: JudgedKey, _judged: object) -> Iterable[Hashable]:
    return key[0][0], key[0]


def _hour(decision: Decision) -> str:
    return f"{decision.at:%Y-%m-%dT%H}"
