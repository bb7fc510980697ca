"""The basis of a decision besides the evidence: policies, keys, overrides, names and time, at this moment."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Hashable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from proxy.oci.reference import Digest, Repository
from proxy.registry.ports_in_use import Ports
from proxy.registry.reading.fresh import require_known
from proxy.trust.decision import Decision, decide, put_together
from proxy.trust.evidence import Evidence
from proxy.trust.keys import KeyRing
from proxy.trust.overrides import Overrides
from proxy.trust.policy import Policy, PolicySet
from proxy.trust.question import Question, Resolved
from proxy.trust.requirement import Basis, DecisionContext, Mode, Requirement, RequirementOutcome, outcome_of
from proxy.trust.signatures import requirements

SAME = timedelta(seconds=1)
AGAIN = 3  # times a judgement is repeated because its basis changed meanwhile
CHANGED = "keys, policies or denials changed each time while this was looked at; ask again"


Inputs = tuple[str, str, tuple[int, ...], tuple[Mode, ...], tuple[str, ...]]  # of `Now.basis`


class Now(NamedTuple):
    """The state in force in one repository.

    `basis` determines the evidence to gather; `stamp` is everything that a cached decision must share.
    """

    policy: Policy | None
    policies: PolicySet
    ring: KeyRing
    overrides: Overrides
    hosts: tuple[str, ...]
    at: datetime
    basis: Inputs
    stamp: tuple[Inputs, int, int]
    until: datetime  # after which it is put together again

    def is_made_of(self, policies: PolicySet, ring: KeyRing, overrides: Overrides, hosts: tuple[str, ...]) -> bool:
        """True if these are the very objects that this state was made of; then nothing need be computed again."""
        return self.policies is policies and self.ring is ring and self.overrides is overrides and self.hosts == hosts

    @property
    def modes(self) -> tuple[Mode, ...]:
        """The modes of the policy's requirements; none without a policy, which blocks."""
        return self.basis[3]

    def decide(self, question: Question, subject: Resolved, evidence: Evidence) -> Decision:
        """Return the decision on this evidence under this state."""
        return decide(question, self.policy, (subject.digest, subject.media_type), evidence, self._context())

    def put_together(
        self, question: Question, subject: Resolved, judged: Sequence[RequirementOutcome], listed_by: Collection[Digest]
    ) -> Decision:
        """Return the decision made of these outcomes under this state."""
        about = (subject.digest, subject.media_type)
        return put_together(question, self.policy, about, judged, listed_by, self._context())

    def judge(self, requirement: Requirement, question: Question, evidence: Evidence) -> RequirementOutcome:
        """Return what this requirement says about this evidence under this state."""
        return outcome_of(requirement, question, evidence, self._context(""))

    def requirements(self) -> tuple[Requirement, ...]:
        """Return the requirements of the policy that are judged now."""
        rows = requirements(self.policy) if self.policy else ()
        return tuple(each for each in rows if each.mode_at(self.at) != "off") or rows

    def stamps(self, requirement: Requirement) -> tuple[Hashable, Hashable]:
        """Return what an outcome of this requirement depends on: by itself, and if it depends on other manifests."""
        name, mode = requirement.name, requirement.mode_at(self.at)
        (revision, keys, lists, _, hosts), bucket, mark = self.stamp
        return (name, mode, requirement.stamp(Basis(revision, (keys, lists), hosts, bucket, mark))), (name, self.stamp)

    def _context(self, decision_id: str | None = None) -> DecisionContext:
        name = secrets.token_urlsafe(12) if decision_id is None else decision_id
        return DecisionContext(name, self.at, self.hosts, self.policies.revision, self.ring, self.overrides)


def now_in(repository: Repository, ports: Ports) -> Now:
    """Return the state in force. Raises Unavailable if our copy of other servers' denials and keys is too old.

    Pulls of the same second share the same state, as long as it is made of the same policies, keys and overrides.
    """
    require_known(repository, ports)
    policies, ring, at = ports.rules.current(), ports.lists(ports.keybook.ring()), ports.clock.now()
    hosts, overrides = ports.hosts_now(), ports.overrides.in_force()
    last: Now | None = ports.cache.latest.get(repository)
    if last is not None and last.at <= at < last.until and last.is_made_of(policies, ring, overrides, hosts):
        return last
    policy = policies.for_(repository)
    # `enforce_after` changes a mode without a new revision
    modes = (policy.fixed_modes or policy.modes_at(at)) if policy else ()
    # Hashes instead of the lists: decisions are cached, and lists of many megabytes are replaced often.
    lists = tuple([hash(authority.lists) for authority in ring.authorities]) if ring.authorities else ()
    basis = (policies.revision, ring.revision, lists, modes, hosts)
    bucket = int(at.timestamp()) // ports.limits.decision_bucket_s
    stamp = (basis, bucket, overrides.mark)
    now = Now(policy, policies, ring, overrides, hosts, at, basis, stamp, at + SAME)
    ports.cache.latest[repository] = now
    return now


def holds_still(then: Now, repository: Repository, ports: Ports) -> bool:
    """True if the state in force then is still in force: every pull ends with it. Raises Unavailable as `now_in`."""
    require_known(repository, ports)
    ring, overrides = ports.lists(ports.keybook.ring()), ports.overrides.in_force()
    if then.is_made_of(ports.rules.current(), ring, overrides, ports.hosts_now()):
        return True
    return now_in(repository, ports).stamp == then.stamp
