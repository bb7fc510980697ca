"""Resolve a reference to the bytes to be judged. One resolution per request; the digest is computed here."""

from __future__ import annotations

from functools import lru_cache

from proxy.oci.faults import Corrupt, Fault, Unavailable
from proxy.oci.image_name import host_of
from proxy.oci.manifest import DOCKER_SCHEMA1, DOCKER_SCHEMA1_SIGNED, INDEXES, MANIFESTS, parse
from proxy.oci.operation import PullManifest
from proxy.oci.reference import Digest, Repository, digest_of, is_digest, require_sha256
from proxy.registry.cache import MANY, SHORT, TagKey
from proxy.registry.ports.upstream import Headers, UpstreamResponse
from proxy.registry.ports_in_use import Ports
from proxy.registry.reading.read import ALL_TYPES, ask, examined, header, whole
from proxy.registry.request import Request, Response
from proxy.trust.fact import ManifestFact
from proxy.trust.question import Resolved


def accept_of(request: Request) -> tuple[str, ...]:
    """Return the Accept values to send upstream: the caller's own, or every type we judge if it names none of them.

    Registries convert manifests for clients that name no type they know, and then the digest differs (WIRE 7).
    """
    values = tuple([value for name, value in request.headers if name == "accept"])
    return (_remembered if sum(map(len, values)) <= SHORT and len(values) <= MANY else _accepted)(values)


def _accepted(values: tuple[str, ...]) -> tuple[str, ...]:
    known = MANIFESTS | INDEXES | {DOCKER_SCHEMA1, DOCKER_SCHEMA1_SIGNED}
    named = any(part.split(";")[0].strip() in known for value in values for part in value.split(","))
    return values if named else tuple(value for _, value in ALL_TYPES)


_remembered = lru_cache(1024)(_accepted)  # 1 MiB at most


async def resolve(op: PullManifest, request: Request, ports: Ports) -> Resolved | Response:
    """Return the manifest this reference means now, or upstream's own refusal to be relayed.

    Raises Unavailable, Corrupt (the bytes do not match the reference), Fault (unreadable, ambiguous, too large).
    """
    if is_digest(op.reference):
        require_sha256(Digest(op.reference))
        if (known := _known(op.repository, Digest(op.reference), request, ports)) is not None:
            return known
    accept = accept_of(request)
    cache = ports.cache
    tag_key = (op.repository, op.reference, cache.caller_key(request.credential, accept))
    digest = Digest(op.reference) if is_digest(op.reference) else cache.tags.get(tag_key)
    if digest is not None and (known := _known(op.repository, digest, request, ports)) is not None:
        return known
    last = digest or cache.last.get(tag_key)
    headers: Headers = tuple(("accept", value) for value in accept)
    held = last is not None and (op.repository, last) in cache.bodies

    async def work(request: Request) -> Resolved | Response:
        return await (_head_first if held else _fetch)(op, request, ports, headers, tag_key)

    return await cache.shared(("resolve", op.head, *tag_key), request, work)


def _known(repository: Repository, digest: Digest, request: Request, ports: Ports) -> Resolved | None:
    """Return the bytes if we hold them, upstream had them recently, and this caller may read them."""
    place = (repository, digest)
    if ports.rights.may_read(repository, request.credential) and place in ports.cache.present:
        return ports.cache.bodies.get(place)
    return None


async def _head_first(
    op: PullManifest, request: Request, ports: Ports, headers: Headers, tag_key: TagKey
) -> Resolved | Response:
    """Ask upstream only whether the reference still means bytes that we hold: we hashed those ourselves."""
    reply = await ask(PullManifest(op.repository, op.reference, head=True), request, ports, headers)
    await reply.close()
    claimed = header(reply, "docker-content-digest")
    if reply.status == 200 and claimed is not None:
        known = ports.cache.bodies.get((op.repository, Digest(claimed)))
        if known is not None and (not is_digest(op.reference) or claimed == op.reference):
            if (op.repository, known.digest) in ports.cache.unlearned:
                await _learn(op.repository, known, ports)
            _remember(op, request, ports, known, tag_key)
            return known
    return await _fetch(op, request, ports, headers, tag_key)


async def _fetch(
    op: PullManifest, request: Request, ports: Ports, headers: Headers, tag_key: TagKey
) -> Resolved | Response:
    """GET the bytes, also for a HEAD: bytes that are not hashed here are not judged."""
    reply = await ask(PullManifest(op.repository, op.reference), request, ports, headers)
    if reply.status != 200:
        if reply.status in (401, 403):
            ports.rights.refused(request.credential)
        if reply.status in (200, 304) or reply.status < 400:
            await reply.close()
            raise Corrupt(f"upstream answered {reply.status} to an unconditional request for a manifest")
        return await relayed_error(reply, head=op.head)
    ports.rights.confirm_read(op.repository, request.credential)
    body = await whole(reply, ports.limits.manifest_bytes, request, ports)
    digest = digest_of(body)
    if is_digest(op.reference) and digest != op.reference:
        raise Corrupt(f"upstream returned bytes of {digest} for {op.reference}")
    kind = header(reply, "content-type") or ""
    manifest = await examined(lambda: parse(body, kind, ports.limits), body, request, ports)
    resolved = Resolved(digest, manifest.media_type, body, manifest)
    await _learn(op.repository, resolved, ports)
    _remember(op, request, ports, resolved, tag_key)
    return resolved


def _remember(op: PullManifest, request: Request, ports: Ports, known: Resolved, tag_key: TagKey) -> None:
    place = (op.repository, known.digest)
    ports.rights.confirm_read(op.repository, request.credential)
    if place not in ports.cache.unlearned:
        ports.cache.present[place] = True
    ports.cache.bodies[place] = known
    if not is_digest(op.reference):
        ports.cache.last[tag_key] = known.digest
        if ports.limits.tag_age_s > 0:
            ports.cache.tags[tag_key] = known.digest


async def _learn(repository: Repository, resolved: Resolved, ports: Ports) -> None:
    """Record what the manifest lists; under break-glass the store may follow later. Raises Unavailable."""
    place = (repository, resolved.digest)
    try:
        await learn(repository, resolved, ports)
    except Unavailable:
        if not ports.overrides.in_force().without_record(repository):
            raise
        ports.cache.unlearned[place] = True
    else:
        ports.cache.unlearned.pop(place, None)


async def learn(
    repository: Repository, resolved: Resolved, ports: Ports, *, artifact: bool | None = None, fresh: bool = False
) -> None:
    """Record what this manifest lists: content, never a verdict. `fresh`: the store is not searched for it first."""
    m = resolved.manifest
    fact = ManifestFact(
        repository=repository,
        digest=resolved.digest,
        media_type=resolved.media_type,
        size=len(resolved.body),
        children=tuple(dict.fromkeys(c.digest for c in m.children)),
        blobs=m.blobs,
        subject=m.subject.digest if m.subject else None,
        artifact=artifact,
    )
    await ports.facts.learn(fact, fresh=fresh)


ERROR_BODY = 64 * 1024
CROSS_ORIGIN = "access-control-"  # for web pages of other origins: upstream decides who may read
ERROR_HEADERS = frozenset(
    {"allow", "content-type", "content-range", "docker-content-digest", "docker-distribution-api-version", "etag"}
    | {"retry-after", "vary", "www-authenticate"}
)


async def relayed_error(reply: UpstreamResponse, *, head: bool = False) -> Response:
    """Return upstream's refusal unchanged: upstream decides who may do what."""
    body = b"" if head else await reply.read(ERROR_BODY)
    await reply.close()
    kept = tuple((k, v) for k, v in reply.headers if k in ERROR_HEADERS or k.startswith(CROSS_ORIGIN))
    return Response(reply.status, kept, body)


def not_given(what: str, status: int) -> Fault | Unavailable:
    """Return the exception to raise for upstream's answer to our own request about `what`."""
    if status == 404:
        host = host_of(what)
        hint = f"; if {host} is a registry: names are without it here" if host else ""
        return Fault("MANIFEST_UNKNOWN", f"{what} is not in the registry{hint}")
    if status in (401, 403):
        return Fault(
            "DENIED",
            f"the registry does not let our account read {what} (it answered {status}): upstreams[0].credentials must "
            "name an account that may, with its password; see: countersign doctor",
        )
    return Unavailable(f"the registry answered {status} for {what}")
