"""The basis of a decision besides the evidence: policies, keys, overrides, names and time, at this moment."""

from __future__ import annotations

import secrets
from collections.abc import Hashable
from datetime import datetime
from typing import NamedTuple

from proxy.oci.reference import Repository
from proxy.registry.ports_in_use import Ports
from proxy.registry.reading.fresh import require_known
from proxy.trust.decision import Decision, DecisionContext, decide
from proxy.trust.evidence import Evidence
from proxy.trust.keys import KeyRing
from proxy.trust.overrides import Overrides
from proxy.trust.policy import Policy, PolicySet
from proxy.trust.question import Question, Resolved

AGAIN = 3  # times a judgement is repeated because its basis changed meanwhile
CHANGED = "keys, policies or denials changed each time while this was looked at; ask again"


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
    basis: Hashable
    stamp: Hashable

    def decide(self, question: Question, subject: Resolved, evidence: Evidence) -> Decision:
        """Return the decision on this evidence under this state."""
        setting = DecisionContext(
            secrets.token_urlsafe(12), self.at, self.hosts, self.policies.revision, self.ring, self.overrides
        )
        return decide(question, self.policy, (subject.digest, subject.media_type), evidence, setting)


def now_in(repository: Repository, ports: Ports) -> Now:
    """Return the state in force. Raises Unavailable if our copy of other servers' denials and keys is too old."""
    require_known(repository, ports)
    policies, ring, at = ports.rules.current(), ports.lists(ports.keybook.ring()), ports.clock.now()
    policy, hosts, overrides = policies.for_(repository), ports.hosts_now(), ports.overrides.in_force()
    mode = policy.pull.mode_at(at) if policy else None  # `enforce_after` changes the mode without a new revision
    # Hashes instead of the lists: decisions are cached, and lists of many megabytes are replaced often.
    lists = tuple([hash(authority.lists) for authority in ring.authorities])
    basis = (policies.revision, ring.revision, lists, mode, hosts)
    bucket = int(at.timestamp()) // ports.limits.decision_bucket_s
    return Now(policy, policies, ring, overrides, hosts, at, basis, (basis, bucket, overrides.mark))


def holds_still(then: Now, repository: Repository, ports: Ports) -> bool:
    """True if the state in force then is still in force. Raises Unavailable as `now_in` does.

    Every pull ends with this check: if policies, keys, overrides and names are the same objects, nothing is computed
    again.
    """
    require_known(repository, ports)
    same = ports.rules.current() is then.policies and ports.overrides.in_force() is then.overrides
    if same and ports.lists(ports.keybook.ring()) is then.ring and ports.hosts_now() == then.hosts:
        return True
    return now_in(repository, ports).stamp == then.stamp
