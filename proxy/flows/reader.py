"""Who reads: found out only as far as an answer depends on it, and never by leaving something behind upstream."""

from __future__ import annotations

from proxy.flows.asked import Asked
from proxy.flows.gate import holder_of
from proxy.flows.house import House
from proxy.oci.faults import Unavailable
from proxy.oci.reference import Repository
from proxy.ports import Effort
from proxy.trust.permit import may_push_by_policy
from proxy.trust.policy import Policy
from proxy.trust.question import Caller


async def reader(repository: Repository, policy: Policy | None, asked: Asked, house: House, *, head: bool) -> Caller:
    """Return who asks for what is not allowed: a name is asked about only where this policy lists names for it."""
    lists = policy is not None and (policy.pull.reviewers or (head and "*" not in policy.push.allow))
    effort = Effort.READING if lists else Effort.NOTHING
    return await house.rights.caller(repository, asked.credential, effort)


async def pushes(repository: Repository, policy: Policy | None, caller: Caller, asked: Asked, house: House) -> bool:
    """True for who may push here, by policy and by upstream, which is asked by the start of an upload.

    Only about what is there: so nothing is begun in a repository that somebody made up. Too many at once, and silence,
    are a no: then a HEAD is denied like a GET.
    """
    if policy is not None and not may_push_by_policy(caller, policy):
        return False
    holder = holder_of(asked, house)
    probes = house.memory.push_probes
    if not probes.take(holder):
        return False
    try:
        return await house.rights.may_push(repository, asked.credential)
    except Unavailable:
        return False
    finally:
        probes.give_back(holder)
