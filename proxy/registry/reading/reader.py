"""Identify the reader only if the response depends on it, and never leave anything behind upstream."""

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
    """Return the caller of a refused read; a name is proven only if this policy lists names for it."""
    lists = policy is not None and (policy.pull.reviewers or (pushing and "*" not in policy.push.allow))
    effort = Effort.READING if lists else Effort.NOTHING
    return await ports.rights.caller(repository, request.credential, effort)


ORAS_KIND = "application/vnd.oci.artifact.manifest.v1+json"  # a media type that was abandoned; only oras still names it


def looks_to_push(op: PullManifest, request: Request) -> bool:
    """True for the two forms in which clients check before a push; pulls have other forms (measured: ADR 0052).

    containerd, buildkit, docker and crane accept only the type they hold; oras and helm ask by digest for every type
    that oras knows. The form need not be proof: a denied HEAD gets 403 or 404, and neither starts an image.
    """
    named = (
        one.partition(";")[0].strip() for key, value in request.headers if key == "accept" for one in value.split(",")
    )
    kinds = {kind for kind in named if kind and not kind.endswith("/*")}
    return op.head and (len(kinds) == 1 or (is_digest(op.reference) and ORAS_KIND in kinds))


async def pushes(repository: Repository, policy: Policy | None, caller: Caller, request: Request, ports: Ports) -> bool:
    """True for a caller who may push here, by policy and by upstream, which is asked with the start of an upload.

    Called only for existing content, so no upload is begun in an invented repository. Too many probes at once, and
    silence, count as no: a HEAD is then denied like a GET.
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
