"""Which images a change of a key affects: those that only this key has signed, and those verified elsewhere."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from proxy.admin.affected import counted
from proxy.trust.keys import VERIFYING, BookKey

if TYPE_CHECKING:
    from proxy.admin.operation import Call
    from proxy.admin.shapes import Affected
    from proxy.journal.impact import SignedBy
    from proxy.registry.ports_in_use import Ports
    from proxy.trust.policy import Policy


async def only_by(key: BookKey, call: Call, since: datetime | None = None, then: str = "") -> Affected:
    """Return the images that nothing but this key vouches for; `then` says what becomes of them."""
    by = signed_only_by(key, call.ports, since)
    what = f"only key {key.short} of {key.profile} has signed them{then}"
    if by.since is not None:
        what = f"only {key.described} has signed them, and not before {since:%Y-%m-%d %H:%M} UTC{then}"
    elif since is not None and any(policy.pull.trust_ledger for policy in _naming(key, call.ports)):
        what += "; where the policy sets trust_ledger, fewer are blocked"
    return await counted(call, by, what, f"countersign keys images {key.short} --only")


async def signed_by(key: BookKey, call: Call) -> Affected:
    """Return the images that the key has signed: people may verify them elsewhere, with this key alone."""
    from proxy.journal.impact import SignedBy

    what = f"{key.described} has signed them; those who verify them elsewhere need the new key for the next push"
    return await counted(call, SignedBy((key.fingerprint,)), what, f"countersign keys images {key.short}")


def signed_only_by(key: BookKey, ports: Ports, since: datetime | None = None) -> SignedBy:
    """Return the images that no longer have enough signatures of ours once this key's do not count.

    Other keys count if they verify, and if every policy that names the key's profile accepts theirs in its place. With
    `since` and where all those policies trust the ledger, signatures that it dates earlier go on to count.
    """
    from proxy.journal.impact import SignedBy

    ring, policies = ports.keybook.ring(), _naming(key, ports)
    clauses = [clause for policy in policies for clause in policy.pull.require if key.profile in clause.signed_by]
    names = {key.profile}.union(*(clause.signed_by for clause in clauses))
    names = names.intersection(*(clause.signed_by for clause in clauses)) if clauses else names
    others = (each for each in ring.ours if each.profile in names and each.state in VERIFYING and each != key)
    trusting = bool(policies) and all(policy.pull.trust_ledger for policy in policies)
    return SignedBy(
        (key.fingerprint,),
        tuple(each.fingerprint for each in others),
        max((clause.at_least for clause in clauses), default=1),
        since if trusting else None,
    )


def _naming(key: BookKey, ports: Ports) -> list[Policy]:
    """Return the policies that accept the key's profile."""
    policies = ports.rules.current().policies
    return [policy for policy in policies if any(key.profile in clause.signed_by for clause in policy.pull.require)]
