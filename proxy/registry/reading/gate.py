"""Admission: upstream is asked before a body is read, a row written or anything else stored for a caller."""

from __future__ import annotations

from collections.abc import Hashable
from contextlib import suppress

from proxy.journal.event import EventKind
from proxy.oci.faults import Unavailable
from proxy.oci.operation import PullManifest
from proxy.oci.reference import Repository, is_digest
from proxy.registry.ports.upstream import Effort
from proxy.registry.ports_in_use import Ports
from proxy.registry.reading.resolve import ERROR_HEADERS
from proxy.registry.request import Request, Response
from proxy.trust.permit import may_push_by_policy
from proxy.trust.policy import Policy
from proxy.trust.question import Anonymous, Caller


async def turned_away(repository: Repository, request: Request, ports: Ports) -> Response | None:
    """Return None if upstream lets this credential write here, else its own refusal to be relayed.

    No request is sent if an upload was just started with this credential, so an ordinary push costs none. Callers that
    are not admitted are counted, and nothing else is stored about them. Raises Unavailable.
    """
    refusal = await ports.rights.let_in(repository, request.credential)
    if refusal is None:
        return None
    if refusal.status in (401, 403):
        await _count(refusal.status, request, ports)
    return Response(refusal.status, tuple(pair for pair in refusal.headers if pair[0] in ERROR_HEADERS), refusal.body)


def holder_of(request: Request, ports: Ports) -> Hashable | None:
    """Return the holder whose share this request uses: the proven name, else the address."""
    name = ports.rights.proven(request.credential)
    return request.network if name is None else ("name", name)


async def _count(status: int, request: Request, ports: Ports) -> None:
    event = ports.event(EventKind.TURNED_AWAY, Anonymous(), reason=str(status))
    event = event._replace(how=f"address {request.network or request.address or 'not told'}")
    if not ports.cache.rows.own(EventKind.TURNED_AWAY, event):
        event = event._replace(how="other addresses")
    with suppress(Unavailable):  # a store that is down must not admit them, nor be revealed to them
        await ports.journal.counted(event)


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
