"""Who reads: found out only as far as an answer depends on it, and never by leaving something behind upstream."""

from __future__ import annotations

from proxy.oci.faults import Unavailable
from proxy.oci.operation import PullManifest
from proxy.oci.reference import Repository, is_digest
from proxy.registry.ports.upstream import Effort
from proxy.registry.ports_in_use import Ports
from proxy.registry.reading.gate import holder_of
from proxy.registry.request import Request
from proxy.trust.permit import may_push_by_policy
from proxy.trust.policy import Policy
from proxy.trust.question import Caller


async def reader(
    repository: Repository, policy: Policy | None, request: Request, ports: Ports, *, pushing: bool
) -> Caller:
    """Return who asks for what is not allowed: a name is asked about only where this policy lists names for it."""
    lists = policy is not None and (policy.pull.reviewers or (pushing and "*" not in policy.push.allow))
    effort = Effort.READING if lists else Effort.NOTHING
    return await ports.rights.caller(repository, request.credential, effort)


ORAS_KIND = "application/vnd.oci.artifact.manifest.v1+json"  # a kind that came to nothing; only oras still names it


def looks_to_push(op: PullManifest, request: Request) -> bool:
    """True for the two forms in which clients look before a push; pulls have others (measured: ADR 0052).

    containerd, buildkit, docker and crane accept the one kind they hold; oras and helm ask by digest for every kind
    that oras knows. The form is no proof and needs to be none: a HEAD that is denied gets 403 or 404, and neither lets
    an image start.
    """
    named = (
        one.partition(";")[0].strip() for key, value in request.headers if key == "accept" for one in value.split(",")
    )
    kinds = {kind for kind in named if kind and not kind.endswith("/*")}
    return op.head and (len(kinds) == 1 or (is_digest(op.reference) and ORAS_KIND in kinds))


async def pushes(repository: Repository, policy: Policy | None, caller: Caller, request: Request, ports: Ports) -> bool:
    """True for who may push here, by policy and by upstream, which is asked by the start of an upload.

    Only about what is there: so nothing is begun in a repository that somebody made up. Too many at once, and silence,
    are a no: then a HEAD is denied like a GET.
    """
    if policy is not None and not may_push_by_policy(caller, policy):
        return False
    holder = holder_of(request, ports)
    probes = ports.cache.push_probes
    if not probes.take(holder):
        return False
    try:
        return await ports.rights.may_push(repository, request.credential)
    except Unavailable:
        return False
    finally:
        probes.give_back(holder)
