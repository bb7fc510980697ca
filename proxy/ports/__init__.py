"""What the flows need of the world, in the words of oci and trust; adapters implement these, wiring chooses them."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from proxy.formats.format import Scheme
from proxy.ports.approvals import Approvals as Approvals
from proxy.ports.certifier import Certifier as Certifier
from proxy.ports.facts import Facts as Facts
from proxy.ports.interventions import Books as Books
from proxy.ports.interventions import OverrideStore as OverrideStore
from proxy.ports.interventions import UnsignedPushes as UnsignedPushes
from proxy.ports.ledger import Ledger as Ledger
from proxy.ports.ledger import Signed as Signed
from proxy.ports.tags import Hold as Hold
from proxy.ports.tags import Tags as Tags
from proxy.ports.upstream import HOP_BY_HOP as HOP_BY_HOP
from proxy.ports.upstream import Credential as Credential
from proxy.ports.upstream import Effort as Effort
from proxy.ports.upstream import Headers as Headers
from proxy.ports.upstream import ReferrersApi as ReferrersApi
from proxy.ports.upstream import Refusal as Refusal
from proxy.ports.upstream import Registry as Registry
from proxy.ports.upstream import Rights as Rights
from proxy.ports.upstream import UpstreamResponse as UpstreamResponse
from proxy.trust.admin_token import AdminToken
from proxy.trust.allotment import Allotment
from proxy.trust.custody import TokenInfo, TokenKey
from proxy.trust.decision import Decision
from proxy.trust.event import Event, EventKind
from proxy.trust.job import Job, JobState
from proxy.trust.keys import Amendment, BookKey, KeyRing, KeyState
from proxy.trust.policy import PolicySet
from proxy.trust.policy_revision import PolicyRevision


@dataclass(frozen=True)
class TokenState:
    """A token of a key profile. `away` says why it is not expected to sign now, None where it is."""

    token: str
    away: str | None = None


class Signer(Protocol):
    """Keys that never leave their tokens."""

    def tokens_of(self, profile: str) -> tuple[TokenState, ...]:
        """Return the profile's tokens in its order: the first is to sign, each later one stands by for those before."""

    async def sign(self, key: BookKey, message: bytes, scheme: Scheme = "pkix") -> bytes:
        """Return a signature in this scheme, verified in software against `key.spki`.

        Raises Unavailable, Fault TOOMANYREQUESTS.
        """

    async def create_key(self, profile: str, label: str, token: str | None = None) -> BookKey:
        """Return a new key on that token (else the profile's first), proved: prepared, and not recorded yet.

        Raises Unavailable, Fault NAME_UNKNOWN for a profile that is not configured or not on that token.
        """

    async def prove(self, key: BookKey) -> None:
        """Do nothing where a recorded key signs and verifies, whatever its state. Raises Unavailable."""

    def health(self) -> str | None:
        """Return None when signing works as far as we know, else what is wrong."""


class TokenInventory(Protocol):
    """What is on the tokens. All calls raise Unavailable."""

    def of(self, profile: str) -> tuple[str, ...]:
        """Return the names of the profile's tokens, the one that signs first. Raises Fault NAME_UNKNOWN."""

    async def held(self, token: str) -> tuple[TokenKey, ...]:
        """Return every usable key pair on the token."""

    async def facts(self, token: str) -> TokenInfo:
        """Return what the token says of itself."""

    async def attest(self, key: BookKey, text: bytes) -> bytes:
        """Return the key's signature over a key evidence, whatever its state. Raises ValueError for another text."""

    async def destroy(self, key: BookKey) -> None:
        """Leave neither half of the key on the token of the recorded serial; it proves itself first. Raises Fault."""


class Rules(Protocol):
    """The policies in force."""

    def current(self) -> PolicySet:
        """Return all policies at their current revision."""


class KeyBook(Protocol):
    """Our keys and their states. What a change is to `record` becomes rows of the journal with it, or neither is."""

    def ring(self) -> KeyRing:
        """Return all keys at the current revision."""

    async def add(self, key: BookKey, *, after: str | None = None, record: tuple[Event, ...] = ()) -> None:
        """Record a key; with `after`, only while the key of that fingerprint is active.

        Raises ValueError when its SPKI is there under another profile, when two of its profile would be active or
        prepared on one token, and when the one before it is no longer active: somebody else was faster.
        """

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
        """Move a key to another state, with `was` only from that one; the revision changes. Raises ValueError.

        `since` is for a compromised one: since when others may have had it, None where nobody knows.
        """

    async def activate(
        self,
        fingerprint: str,
        at: datetime,
        *,
        signs_until: datetime | None = None,
        retire_after: datetime | None = None,
        record: tuple[Event, ...] = (),
    ) -> None:
        """Make a prepared key the active one on its token; the one before becomes trusted in the same transaction.

        The one before signs beside it until `signs_until`, and is retired at `retire_after`.
        Raises ValueError when there is no such key, or it is not prepared.
        """

    async def amend(self, fingerprint: str, changes: Amendment, *, record: tuple[Event, ...] = ()) -> None:
        """Change what is known of a key in whatever state; the revision changes with it.

        Raises ValueError when there is no such key.
        """


@dataclass(frozen=True)
class Search:
    """What to look for in the journal; empty fields match everything. `limit` rows after `skip`, newest first."""

    kinds: tuple[EventKind, ...] = ()
    repository: str = ""
    digest: str = ""
    since: datetime | None = None
    limit: int = 100
    skip: int = 0


class Journal(Protocol):
    """The append-only record."""

    async def record(self, *events: Event) -> None:
        """Append rows; durable on return (group commit with whatever else is waiting)."""

    async def decided(self, decision: Decision, event: Event, *, keep: bool = True) -> None:
        """Keep the decision under its id and count the event: a row per decision, caller and hour.

        Without `keep` the event is counted alone, as by `counted`.
        """

    async def counted(self, event: Event) -> None:
        """Count the event: a row per kind, caller, repository, reason and hour."""

    async def decision(self, decision_id: str) -> Decision | None:
        """Return a decision by its id, or None."""

    async def search(self, search: Search) -> tuple[Event, ...]:
        """Return matching rows, newest first."""

    async def keep_revision(self, kind: str, revision: str, text: str) -> None:
        """Keep the whole text of a policy, configuration or key-book revision under its hash."""


class PolicyBook(Protocol):
    """Revisions of the policies, for where they are changed by the API. All calls raise Unavailable.

    `newest` and `find` raise Corrupt for a revision that is not what it was when it was written.
    """

    async def newest(self) -> PolicyRevision | None:
        """Return the newest revision, or None where there never was one."""

    async def find(self, number: int) -> PolicyRevision | None:
        """Return the revision of this number, or None."""

    async def history(self, limit: int, skip: int = 0) -> tuple[PolicyRevision, ...]:
        """Return revisions, newest first, altered ones as they are."""

    async def tip(self) -> tuple[int, str]:
        """Return number and hash of the newest revision, also where it was altered; 0 and "" without one."""

    async def append(
        self, revision: PolicyRevision, canonical: str, event: Event, then: Callable[[bool | None], None] | None = None
    ) -> bool:
        """Add this revision, its policies under their hash and its row in the journal; all of it or nothing.

        Return False, having changed nothing, when it does not follow the newest: somebody was first. `then` is told the
        same in that moment, even where the caller has gone; None where the outcome is not known.
        """


class AdminTokens(Protocol):
    """Who may use the admin API; secrets are not in here, only their hashes. All calls raise Unavailable."""

    async def add(self, token: AdminToken, room: Allotment | None = None) -> None:
        """Keep a new token; durable on return.

        Raises ValueError when a valid one has its name, or its maker has no room for it (None: there always is).
        """

    async def add_first(self, token: AdminToken) -> bool:
        """Keep the token where there never was one, else change nothing and return False."""

    async def find(self, token_id: str) -> AdminToken | None:
        """Return the token of this id, valid or not, or None."""

    async def all(self) -> tuple[AdminToken, ...]:
        """Return every token there ever was, oldest first."""

    async def revoke(self, token_id: str, at: datetime) -> bool:
        """End a token for good; return False when there is none of this id or it was revoked before."""


class Jobs(Protocol):
    """Long work. All calls raise Unavailable."""

    async def add(self, job: Job, event: Event, room: Allotment | None = None) -> Job:
        """Keep a new job and its row of the journal, in one transaction, and return it; durable on return.

        Where one of the same holder waits for the same already, nothing is kept and that one is returned. Raises
        ValueError when there is no room for it (None: there always is).
        """

    async def find(self, job_id: str) -> Job | None:
        """Return the job of this id, or None."""

    async def change(self, job_id: str, change: Callable[[Job], Job | None]) -> Job | None:
        """Put what `change` makes of the job in its place, in one transaction, and return it.

        None where there is no such job, or `change` returned None: then it is as it was.
        """

    async def next(self, now: datetime) -> Job | None:
        """Return the job that is to go on first: not over, not put off, the oldest."""

    async def page(
        self, states: Collection[JobState], kind: str, repository: str, limit: int, skip: int
    ) -> tuple[Job, ...]:
        """Return jobs in these states, of this kind, about this repository alone (empty: any), newest first."""


class Clock(Protocol):
    """Time, so that tests can freeze it."""

    def now(self) -> datetime:
        """Return the current time, aware, UTC."""

    def monotonic(self) -> float:
        """Return seconds that never go backwards."""
