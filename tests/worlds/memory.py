"""A store in memory, a clock that stands still and keys in software: what flows are tested with.

The same contract suites hold for these as for the real store (tests/contract).
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from hsm.certificates import make_csr, make_self_signed
from proxy.admin.approval import Approval, ApprovalState, request_there
from proxy.admin.approval_operations import APPROVALS
from proxy.admin.token import AdminToken, token_refusal
from proxy.formats.format import Scheme
from proxy.jobs.job import WAITING, Job, JobState, job_there
from proxy.jobs.operations import JOBS
from proxy.journal.event import Event, EventKind
from proxy.journal.impact import AffectedImages, SignedBy, SignedImage, Within
from proxy.journal.port import Callers, JournalEntries, JournalEntry, Pulled, Search
from proxy.journal.reports import JUDGED, NAMED, SERVED, Warned, WouldBlock, caller, summed
from proxy.journal.rows import row_key, with_count
from proxy.keys.ring import ring_of, text_of, with_active, with_added, with_amended, with_state
from proxy.oci.faults import Unavailable
from proxy.oci.reference import Digest, Repository, Tag, parse_digest, parse_reference, parse_repository
from proxy.oci.slices import Slice, within
from proxy.oci.strict_json import canonical
from proxy.overrides.changes import with_denial, with_exception
from proxy.overrides.exception_operations import UNSIGNED
from proxy.overrides.store import Ordered
from proxy.policies.in_force import RulesInForce
from proxy.policies.revision import PolicyRevision
from proxy.registry.ports.keys import TokenState
from proxy.store.shared import Lease, hold
from proxy.trust.allotment import Allotment
from proxy.trust.decision import Decision
from proxy.trust.denial import Denial
from proxy.trust.exception import PolicyException, UnsignedPush
from proxy.trust.fact import Listing, ManifestFact
from proxy.trust.keys import Amendment, BookKey, KeyRing, KeyState, Trusted, fingerprint
from proxy.trust.ledger import Entry, SignatureKey, Stage, merge
from proxy.trust.overrides import AllOverrides, Overrides
from proxy.trust.pattern import matches
from proxy.trust.question import NOTHING
from tests.worlds.impact import affected, signed
from tests.worlds.softkey import PrivateKey, signature
from tests.worlds.tags import MemoryTags

NOON = datetime(2026, 1, 2, 12, 0, 0, tzinfo=UTC)
MemoryRules = RulesInForce  # the real one is already in memory


class FrozenClock:
    """A Clock that only moves when told to."""

    def __init__(self, at: datetime = NOON) -> None:
        self._at = at
        self._ticks = 1000.0

    def now(self) -> datetime:
        return self._at

    def monotonic(self) -> float:
        return self._ticks

    def advance(self, seconds: float) -> None:
        """Let this much time pass."""
        self._at += timedelta(seconds=seconds)
        self._ticks += seconds


class MemoryLedger:
    """A Ledger in a dict; `rows` is all of it, in the order it was first put."""

    def __init__(self) -> None:
        self.rows: dict[SignatureKey, Entry] = {}

    async def find(self, key: SignatureKey) -> Entry | None:
        return self.rows.get(key)

    async def put(self, entry: Entry) -> Entry:
        stands = merge(self.rows.get(entry.key), entry)
        self.rows[entry.key] = stands
        return stands

    async def advance(self, keys: Sequence[SignatureKey], stage: Stage, artifact: Digest | None = None) -> None:
        for key in keys:
            entry = self.rows.get(key)
            if entry is not None and (stage is Stage.REMOVED or entry.stage is not Stage.REMOVED):
                self.rows[key] = replace(entry, stage=stage, artifact=artifact or entry.artifact)

    async def entries(self, repository: Repository, digest: Digest) -> tuple[Entry, ...]:
        return tuple(e for e in self._newest(repository) if e.key.digest == digest)

    async def bound(self, repository: Repository, bound: str) -> tuple[Entry, ...]:
        return tuple(e for e in self._newest(repository) if e.key.bound == bound)

    def _newest(self, repository: Repository) -> list[Entry]:
        here = [
            (entry.at, n, entry)
            for n, entry in enumerate(self.rows.values())
            if entry.key.repository == repository and entry.stage is not Stage.REMOVED
        ]
        return [entry for _, _, entry in sorted(here, key=lambda row: row[:2], reverse=True)]

    async def images(
        self, fingerprints: Collection[str], repository: str, after: tuple[str, str], limit: int
    ) -> tuple[tuple[Repository, Digest], ...]:
        return tuple(each for each in self._images(fingerprints, repository) if each > after)[:limit]

    async def count(self, fingerprints: Collection[str], repository: str) -> int:
        return len(self._images(fingerprints, repository))

    def _images(self, fingerprints: Collection[str], repository: str) -> list[tuple[Repository, Digest]]:
        signed = {Stage.SIGNED, Stage.ATTACHED}
        return sorted(
            {
                (key.repository, key.digest)
                for key, entry in self.rows.items()
                if key.fingerprint in fingerprints and entry.stage in signed and repository in ("", key.repository)
            }
        )


class MemoryFacts:
    """Facts in a dict, oldest first."""

    def __init__(self, denied: Callable[[], Collection[Digest]] = tuple) -> None:
        self.rows: dict[tuple[Repository, Digest], ManifestFact] = {}
        self.when: dict[tuple[Repository, Digest], datetime] = {}
        self._denied = denied

    async def learn(self, fact: ManifestFact, *, fresh: bool = False) -> None:
        key = (fact.repository, fact.digest)
        known = self.rows.get(key)
        artifact = fact.artifact if fact.artifact is not None or known is None else known.artifact
        self.rows[key] = replace(fact, artifact=artifact)

    async def manifest(self, repository: Repository, digest: Digest) -> ManifestFact | None:
        return self.rows.get((repository, digest))

    async def repositories(self, limit: int) -> tuple[Repository, ...]:
        return tuple(sorted({repository for repository, _ in self.rows}))[:limit]

    async def parents(self, repository: Repository, digest: Digest, limit: int, skip: int = 0) -> Listing:
        found = [f.digest for f in self._newest(repository) if digest in f.children]
        return self._listing(repository, found, limit, skip)

    async def listing(self, repository: Repository, blob: Digest, limit: int, skip: int = 0) -> Listing:
        found = [f.digest for f in self._newest(repository) if blob in f.blobs]
        return self._listing(repository, found, limit, skip)

    def _listing(self, repository: Repository, found: list[Digest], limit: int, skip: int) -> Listing:
        when = {each: self.when[repository, each] for each in found if (repository, each) in self.when}
        latest = sorted(when, key=lambda each: when[each], reverse=True)
        page, whole = found[skip : skip + limit], len(found) <= skip + limit
        if not whole and skip == 0:
            page += [each for each in [e for e in latest if e not in self._denied()][:limit] if each not in page]
        return Listing((*(e for e in latest if e in page), *(e for e in page if e not in when)), whole)

    async def ancestors(self, repository: Repository, digest: Digest, limit: int) -> frozenset[Digest]:
        seen, level = set[Digest](), {digest}
        while level:
            level = {f.digest for f in self._newest(repository) if level & set(f.children)} - seen
            seen |= level
        return frozenset(itertools.islice(seen, limit + 1))

    async def passed(self, repository: Repository, digest: Digest, at: datetime) -> None:
        if (repository, digest) in self.rows:
            self.when[repository, digest] = at

    async def forget(self, repository: Repository, digest: Digest) -> None:
        self.rows.pop((repository, digest), None)
        self.when.pop((repository, digest), None)

    def _newest(self, repository: Repository) -> list[ManifestFact]:
        return [f for f in reversed(self.rows.values()) if f.repository == repository]


@dataclass
class _Row:
    event: Event
    last: datetime
    count: int = 1


class MemoryJournal:
    """A Journal in a list. `events` is everything in it, oldest first; repeats of a decision are one, with a count."""

    def __init__(self, store: MemoryStore | None = None) -> None:
        self.store = store
        self._rows: list[_Row] = []
        self._counted: dict[str, _Row] = {}
        self.decisions: dict[str, Decision] = {}
        self.revisions: dict[tuple[str, str], str] = {}

    @property
    def events(self) -> list[Event]:
        return [with_count(row.event, row.count) for row in self._rows]

    def kinds(self) -> list[EventKind]:
        """The kinds of all events, oldest first."""
        return [row.event.kind for row in self._rows]

    async def record(self, *events: Event) -> None:
        self._rows.extend(_Row(event, event.at) for event in events)

    async def decided(self, decision: Decision, event: Event, *, keep: bool = True) -> None:
        if keep:
            self.decisions.setdefault(decision.id, decision)
            event = event._replace(decision_id=decision.id)
        await self.counted(event)

    async def counted(self, event: Event) -> None:
        row = self._counted.get(row_key(event))
        if row is None:
            row = self._counted[row_key(event)] = _Row(event, event.at)
            self._rows.append(row)
        else:
            row.count += 1
            row.last = event.at

    async def decision(self, decision_id: str) -> Decision | None:
        return self.decisions.get(decision_id)

    async def search(self, search: Search) -> tuple[Event, ...]:
        return tuple(entry.event for entry in (await self.entries(search)).rows)

    async def entries(self, search: Search) -> JournalEntries:
        found = [
            JournalEntry(position, row.last, with_count(row.event, row.count))
            for position, row in enumerate(self._rows, 1)
            if _matches(row, search)
        ]
        return JournalEntries(
            tuple(within(found, lambda e: (e.position,), search.part, newest_first=not search.oldest_first))
        )

    async def keep_revision(self, kind: str, revision: str, text: str) -> None:
        self.revisions.setdefault((kind, revision), text)

    async def revision(self, kind: str, revision: str) -> str | None:
        return self.revisions.get((kind, revision))

    async def would_block(self, since: datetime) -> tuple[WouldBlock, ...]:
        rows = [(n, r) for n, r in enumerate(self._rows) if r.event.kind is EventKind.PULL_WARNED and r.last >= since]
        images: dict[tuple[str, ...], list[_Row]] = {}
        for _, row in rows:
            images.setdefault((row.event.repository, row.event.reference), []).append(row)
        return summed(
            (
                Warned(e.repository, e.reference, e.reason, row.count, row.last, position, e.decision_id)
                for position, row in rows
                if (e := row.event)
            ),
            {name: _callers(of) for name, of in images.items()},
        )

    def counts(self) -> list[tuple[Event, int, datetime]]:
        """Every row with its count and the time of its last event."""
        return [(row.event, row.count, row.last) for row in self._rows]

    async def affected(self, by: SignedBy | Within, since: datetime) -> AffectedImages:
        assert self.store is not None
        return affected(self.store, by, since)

    async def signed(self, by: SignedBy, part: Slice, *, only: bool = False) -> tuple[SignedImage, ...]:
        assert self.store is not None
        return signed(self.store, by, part, only=only)

    async def pulled(self, since: datetime, limit: int, repository: str = "") -> tuple[Pulled, ...]:
        groups: dict[tuple[str, str, str], list[_Row]] = {}
        for row in self._rows:
            if repository not in ("", row.event.repository):
                continue
            if row.event.kind in JUDGED and row.last >= since and row.event.digest not in ("", NOTHING):
                groups.setdefault((row.event.repository, row.event.reference, row.event.digest), []).append(row)
        return tuple(sorted(map(_pulled, groups.values()), key=lambda p: p.last, reverse=True)[:limit])


def _pulled(rows: list[_Row]) -> Pulled:
    event, last = rows[-1].event, max(row.last for row in rows)
    names = parse_repository(event.repository), parse_reference(event.reference), parse_digest(event.digest)
    total, callers = sum(row.count for row in rows), _callers(rows)
    return Pulled(*names, event.kind in SERVED, total, last, event.decision_id, callers)


def _callers(rows: list[_Row]) -> Callers:
    ordered = sorted(rows, key=lambda row: row.last)
    latest: dict[str, _Row] = {}
    for row in ordered:
        latest.pop(row.event.who, None)
        latest[row.event.who] = row
    names = [caller(row.event.who, row.event.detail) for row in reversed(latest.values())]
    return Callers(len(latest), tuple(names[:NAMED]))


def _matches(row: _Row, search: Search) -> bool:
    event = row.event
    return (
        (not search.kinds or event.kind in search.kinds)
        and event.kind not in search.but
        and (not search.repository or matches(search.repository, event.repository))
        and event.digest.startswith(search.digest)
        and (search.since is None or row.last >= search.since)
        and (search.until is None or event.at <= search.until)
        and search.who in {"", event.who}
        and search.reason in {"", event.reason}
        and (
            not search.key
            or f'"key":"{search.key}' in canonical(event.detail)
            or f"/keys/{search.key}" in canonical(event.detail)
        )
    )


class MemoryKeyBook:
    """A KeyBook in a tuple; `revisions` keeps the text of every revision there was."""

    def __init__(self, trusted: tuple[Trusted, ...] = (), journal: MemoryJournal | None = None) -> None:
        self._trusted = trusted
        self._journal = journal or MemoryJournal()
        self._set(())

    def ring(self) -> KeyRing:
        return self._ring

    async def add(self, key: BookKey, *, after: str | None = None, record: tuple[Event, ...] = ()) -> None:
        await self._change(lambda ours: with_added(ours, key, after), record)

    async def set_state(
        self,
        fingerprint: str,
        state: KeyState,
        at: datetime,
        *,
        since: datetime | None = None,
        was: KeyState | None = None,
        record: tuple[Event, ...] = (),
    ) -> None:
        await self._change(lambda ours: with_state(ours, fingerprint, state, at, since, was), record)

    async def activate(
        self,
        fingerprint: str,
        at: datetime,
        *,
        signs_until: datetime | None = None,
        retire_after: datetime | None = None,
        record: tuple[Event, ...] = (),
    ) -> None:
        await self._change(lambda ours: with_active(ours, fingerprint, at, signs_until, retire_after), record)

    async def amend(self, fingerprint: str, changes: Amendment, *, record: tuple[Event, ...] = ()) -> None:
        await self._change(lambda ours: with_amended(ours, fingerprint, changes), record)

    async def trust(self, trusted: tuple[Trusted, ...]) -> None:
        self._trusted = trusted
        self._set(self._ring.ours)

    async def _change(
        self, change: Callable[[tuple[BookKey, ...]], tuple[BookKey, ...]], record: tuple[Event, ...]
    ) -> None:
        change(self._ring.ours)  # raises before anything is on record
        await self._journal.record(*record)
        self._set(change(self._ring.ours))

    def _set(self, ours: tuple[BookKey, ...]) -> None:
        self._ring = ring_of(ours, self._trusted)
        self._journal.revisions.setdefault(("keybook", self._ring.revision), text_of(ours, self._trusted))


class MemoryLeases:
    """Leases in a dict."""

    def __init__(self, clock: FrozenClock) -> None:
        self._clock = clock
        self._rows: dict[str, Lease] = {}
        self._here: set[str] = set()

    async def acquire(self, name: str, holder: str, seconds: float) -> Lease | None:
        there = self._rows.get(name)
        now = self._clock.now()
        if there is not None and there.holder != holder and now < there.until <= now + timedelta(seconds=3 * seconds):
            return None
        fence = there.fence + 1 if there else 1
        self._rows[name] = Lease(name, holder, fence, self._clock.now() + timedelta(seconds=seconds))
        return self._rows[name]

    async def renew(self, lease: Lease, seconds: float) -> Lease | None:
        if not self._holds(lease):
            return None
        self._rows[lease.name] = replace(lease, until=self._clock.now() + timedelta(seconds=seconds))
        return self._rows[lease.name]

    async def release(self, lease: Lease) -> None:
        if self._holds(lease):
            self._rows[lease.name] = replace(lease, until=self._clock.now())

    def held(self, name: str) -> AbstractAsyncContextManager[asyncio.Event | None]:
        return hold(self, name, self._here, sole=False)

    async def holders(self, prefix: str) -> dict[str, str]:
        now = self._clock.now()
        return {n: lease.holder for n, lease in self._rows.items() if n.startswith(prefix) and lease.until > now}

    def _holds(self, lease: Lease) -> bool:
        there = self._rows.get(lease.name)
        return there is not None and there.fence == lease.fence and there.until > self._clock.now()


class MemoryAdminTokens:
    """AdminTokens in a dict."""

    def __init__(self) -> None:
        self.rows: dict[str, AdminToken] = {}

    async def add(self, token: AdminToken, room: Allotment | None = None) -> None:
        if (why := token_refusal(token, self.rows.values(), room)) is not None:
            raise ValueError(why)
        self.rows[token.id] = token

    async def add_first(self, token: AdminToken) -> bool:
        if self.rows:
            return False
        await self.add(token)
        return True

    async def find(self, token_id: str) -> AdminToken | None:
        return self.rows.get(token_id)

    async def all(self) -> tuple[AdminToken, ...]:
        return tuple(sorted(self.rows.values(), key=lambda token: (token.created, token.id)))

    async def revoke(self, token_id: str, at: datetime) -> bool:
        token = self.rows.get(token_id)
        if token is None or token.revoked is not None:
            return False
        self.rows[token_id] = replace(token, revoked=at)
        return True


class MemoryUnsigned:
    """Owed in a dict."""

    def __init__(self) -> None:
        self.rows: dict[tuple[Repository, Digest, Tag | None], UnsignedPush] = {}

    def waiting(self) -> int:
        return sum(push.settled is None for push in self.rows.values())

    async def record_unsigned(self, *pushes: UnsignedPush) -> None:
        self.rows |= {(p.repository, p.digest, p.tag): p for p in pushes}

    async def due(self, before: datetime, limit: int) -> tuple[UnsignedPush, ...]:
        waiting = (p for p in self.rows.values() if p.settled is None and (p.tried is None or p.tried < before))
        return tuple(itertools.islice(waiting, limit))

    async def note(self, push: UnsignedPush) -> None:
        there = self.rows.get((push.repository, push.digest, push.tag))
        if there is not None and there.at == push.at:
            self.rows[push.repository, push.digest, push.tag] = push

    async def page(self, part: Slice) -> tuple[UnsignedPush, ...]:
        return tuple(within([*self.rows.values()], UNSIGNED.key_of, part, newest_first=True))


class MemoryOverrides:
    """Interventions in two tuples."""

    def __init__(self, clock: FrozenClock) -> None:
        self._clock = clock
        self.ordered = Ordered(clock.now)

    def in_force(self) -> Overrides:
        return self.ordered.in_force()

    def orders(self) -> AllOverrides:
        return self.ordered.orders()

    async def deny(self, denial: Denial, room: Allotment | None = None) -> None:
        self.ordered.put(with_denial(self.orders(), denial, self._clock.now(), room))

    async def lift(self, denial_id: str) -> Denial | None:
        there = self.orders()
        found = next((d for d in there.denials if d.id == denial_id), None)
        self.ordered.put(replace(there, denials=tuple(d for d in there.denials if d.id != denial_id)))
        return found

    async def keep(self, exception: PolicyException, room: Allotment | None = None) -> bool:
        before = self.orders()
        self.ordered.put(with_exception(before, exception, room))
        return self.orders() != before


class MemoryPolicyBook:
    """A PolicyBook in a list, oldest first."""

    def __init__(self, journal: MemoryJournal) -> None:
        self._journal = journal
        self.rows: list[PolicyRevision] = []

    async def newest(self) -> PolicyRevision | None:
        return self.rows[-1] if self.rows else None

    async def find(self, number: int) -> PolicyRevision | None:
        return self.rows[number - 1] if 0 < number <= len(self.rows) else None

    async def history(self, part: Slice) -> tuple[PolicyRevision, ...]:
        return tuple(within(self.rows, lambda row: (row.number,), part, newest_first=True))

    async def tip(self) -> tuple[int, str]:
        return (len(self.rows), self.rows[-1].hash) if self.rows else (0, "")

    async def append(
        self, revision: PolicyRevision, canonical: str, event: Event, then: Callable[[bool | None], None] | None = None
    ) -> bool:
        added = await self.tip() == (revision.number - 1, revision.parent)
        if added:
            self.rows.append(revision)
            await self._journal.keep_revision("policy", revision.policies, canonical)
            await self._journal.record(event)
        if then is not None:
            then(added)
        return added


class MemoryApprovals:
    """Approvals in a dict."""

    def __init__(self, journal: MemoryJournal | None = None) -> None:
        self._journal = journal or MemoryJournal()
        self.rows: dict[str, Approval] = {}

    async def add(self, approval: Approval, event: Event, room: Allotment | None = None) -> Approval:
        pending = (each for each in self.rows.values() if each.state is ApprovalState.PENDING)
        if (there := request_there(approval, pending, room)) is not None:
            return there
        await self._journal.record(event)
        self.rows[approval.id] = approval
        return approval

    async def find(self, approval_id: str) -> Approval | None:
        return self.rows.get(approval_id)

    async def change(self, approval_id: str, change: Callable[[Approval], Approval | None]) -> Approval | None:
        there = self.rows.get(approval_id)
        wanted = None if there is None else change(there)
        if wanted is not None:
            self.rows[approval_id] = wanted
        return wanted

    async def page(self, state: ApprovalState | None, part: Slice) -> tuple[Approval, ...]:
        found = [each for each in self.rows.values() if state in (None, each.state)]
        return tuple(within(found, APPROVALS.key_of, part, newest_first=True))

    async def overdue(self, now: datetime) -> tuple[Approval, ...]:
        late = [each for each in self.rows.values() if each.state is ApprovalState.PENDING and each.expires <= now]
        return tuple(sorted(late, key=lambda each: each.created))


class MemoryJobs:
    """Jobs in a dict."""

    def __init__(self, journal: MemoryJournal | None = None) -> None:
        self._journal = journal or MemoryJournal()
        self.rows: dict[str, Job] = {}

    async def add(self, job: Job, event: Event, room: Allotment | None = None) -> Job:
        waiting = (each for each in self.rows.values() if each.state in WAITING)
        if (there := job_there(job, waiting, room)) is not None:
            return there
        await self._journal.record(event)
        self.rows[job.id] = job
        return job

    async def find(self, job_id: str) -> Job | None:
        return self.rows.get(job_id)

    async def change(self, job_id: str, change: Callable[[Job], Job | None], *, bulk: bool = False) -> Job | None:
        there = self.rows.get(job_id)
        wanted = None if there is None else change(there)
        if wanted is not None:
            self.rows[job_id] = wanted
        return wanted

    async def next(self, now: datetime, kinds: Collection[str] | None = None, but: Collection[str] = ()) -> Job | None:
        due = [j for j in self._sorted() if j.state in WAITING and (j.not_before is None or j.not_before <= now)]
        return next((j for j in due if j.kind not in but and (kinds is None or j.kind in kinds)), None)

    async def page(self, states: Collection[JobState], kind: str, repository: str, part: Slice) -> tuple[Job, ...]:
        found = [
            j
            for j in self._sorted()
            if (not states or j.state in states) and kind in ("", j.kind) and repository in ("", j.repository)
        ]
        return tuple(within(found, JOBS.key_of, part, newest_first=True))

    def _sorted(self) -> list[Job]:
        return sorted(self.rows.values(), key=lambda job: (job.created, job.id))


@dataclass
class MemoryStore:
    """The same rooms as proxy.store.Store."""

    clock: FrozenClock = field(default_factory=FrozenClock)
    trusted: tuple[Trusted, ...] = ()

    def __post_init__(self) -> None:
        self.ledger = MemoryLedger()
        self.journal = MemoryJournal(self)
        self.keybook = MemoryKeyBook(self.trusted, self.journal)
        self.leases = MemoryLeases(self.clock)
        self.jobs = MemoryJobs(self.journal)
        self.approvals = MemoryApprovals(self.journal)
        self.admin_tokens = MemoryAdminTokens()
        self.overrides = MemoryOverrides(self.clock)
        self.facts = MemoryFacts(lambda: [d.digest for d in self.overrides.in_force().denials if d.digest])
        self.tags = MemoryTags(self.clock, self.facts)
        self.unsigned = MemoryUnsigned()
        self.policy_book = MemoryPolicyBook(self.journal)

    async def close(self) -> None:
        """Nothing to give back."""


class SoftSigner:
    """A Signer whose keys live in this process. It knows both schemes.

    `made` lists every signature made, as (fingerprint, message). `down` says what is wrong, when something is.
    """

    def __init__(self) -> None:
        self._keys: dict[str, PrivateKey] = {}
        self.made: list[tuple[str, bytes]] = []
        self.down: str | None = None
        self.tokens: tuple[str, ...] = ("soft",)
        self.away: dict[str, str] = {}  # why, by token
        self.breaks: dict[str, str] = {}  # why, by token that is only found to be away when it is asked to sign

    def create(
        self,
        profile: str = "release",
        algorithm: str = "ecdsa-p256",
        state: KeyState = KeyState.ACTIVE,
        since: datetime = NOON,
    ) -> BookKey:
        """A new key, as the key book would have it; not recorded anywhere yet."""
        private = _generate(algorithm)
        spki = private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        self._keys[fingerprint(spki)] = private
        return BookKey(profile, "soft", "0001", fingerprint(spki)[:32], profile, algorithm, spki, state, since)

    def tokens_of(self, profile: str) -> tuple[TokenState, ...]:
        return tuple(TokenState(token, self._away(token)) for token in self.tokens)

    def _away(self, token: str) -> str | None:
        return self.down or self.away.get(token)

    async def create_key(self, profile: str, label: str, token: str | None = None) -> BookKey:
        token = token or self.tokens[0]
        if (why := self._away(token)) is not None:
            raise Unavailable(why)
        return replace(self.create(profile, state=KeyState.PREPARED), label=label, token=token)

    def private(self, key: BookKey) -> PrivateKey:
        """What no token would ever give away."""
        return self._keys[fingerprint(key.spki)]

    async def prove(self, key: BookKey) -> None:
        why = self._away(key.token)
        if why is not None or fingerprint(key.spki) not in self._keys:
            raise Unavailable(why or f"token soft: no key {key.label!r}")

    async def sign(self, key: BookKey, message: bytes, scheme: Scheme = "pkix") -> bytes:
        if key.token in self.breaks:
            self.away[key.token] = self.breaks.pop(key.token)
        if (why := self._away(key.token)) is not None:
            raise Unavailable(why)
        private = self._keys.get(fingerprint(key.spki))
        if private is None:
            raise Unavailable(f"token soft: no key {key.label!r}")
        self.made.append((fingerprint(key.spki), message))
        return signature(private, message, scheme)

    async def csr(self, key: BookKey, subject: str) -> bytes:
        await self.prove(key)
        private = self._keys[fingerprint(key.spki)]
        return make_csr(key.spki, lambda message: signature(private, message), subject)

    async def self_signed(self, key: BookKey, subject: str, first: datetime, last: datetime) -> bytes:
        await self.prove(key)
        private = self._keys[fingerprint(key.spki)]
        return make_self_signed(key.spki, lambda message: signature(private, message), subject, first, last)

    def health(self) -> str | None:
        return self.down

    def verifies(self, key: BookKey, message: bytes, made: bytes) -> bool:
        """True when this signature over this message is by this key."""
        public = self._keys[fingerprint(key.spki)].public_key()
        try:
            if isinstance(public, rsa.RSAPublicKey):
                public.verify(made, message, padding.PKCS1v15(), hashes.SHA256())
            else:
                public.verify(made, message, ec.ECDSA(hashes.SHA256()))
        except InvalidSignature:
            return False
        return True


def _generate(algorithm: str) -> PrivateKey:
    family, _, size = algorithm.partition("-")
    if family == "rsa":
        return rsa.generate_private_key(65537, int(size))
    return ec.generate_private_key({"p256": ec.SECP256R1(), "p384": ec.SECP384R1()}[size])
