"""Blobs: served when a manifest in the same repository lists them and would itself be served now."""

from __future__ import annotations

from contextlib import suppress

from proxy.journal.event import EventKind
from proxy.oci.faults import Corrupt, Fault, Unavailable
from proxy.oci.operation import PullBlob, StartUpload
from proxy.oci.reference import Digest, Repository
from proxy.registry.judging.judge import decision_on, remembered_in
from proxy.registry.judging.listed import LISTED, LOOKS, Judging, Part, first_good
from proxy.registry.judging.now import AGAIN, CHANGED, Now, now_in
from proxy.registry.ports_in_use import Ports
from proxy.registry.reading.denied_parents import denied
from proxy.registry.reading.fresh import require_known
from proxy.registry.reading.gate import pushes, reader
from proxy.registry.reading.refuse import is_outage, refuse
from proxy.registry.reading.relay import RANGE_HEADERS, relay
from proxy.registry.request import Request, Response
from proxy.registry.writing.admit import admit_upload
from proxy.trust.exception import SIGNATURES
from proxy.trust.fact import Listing
from proxy.trust.policy import Policy
from proxy.trust.question import Caller, Named
from proxy.trust.reason import Reason

EXCEPTED = 16  # images named by exceptions that are checked for the blob


async def pull_blob(op: PullBlob, request: Request, ports: Ports) -> Response:
    """Relay the blob if it may be read; else return upstream's refusal, or raise ours. Bytes are not hashed here."""
    reason, what, told = None, str(op.digest), ""
    try:
        reason = await kept_back(op.repository, op.digest, request, ports)
    except Unavailable as silent:
        if is_outage(silent):  # no manifest that lists the blob could be read: nothing was judged
            raise
        reason, what, told = Reason.NOT_VERIFIABLE, silent.what, silent.told
    if reason is None:
        return await relay(op, request, ports, RANGE_HEADERS)
    answer = await _upstreams_word(op, request, ports)
    # a login problem or a missing blob: upstream's own answer is clearest
    if answer is not None and answer.status >= 400:
        return answer
    policy = ports.rules.current().for_(op.repository)
    caller = await reader(op.repository, policy, request, ports, pushing=op.head)
    # If a HEAD did not report the blob as present, a push would upload every layer again.
    if answer is not None and policy is not None and await pushes(op.repository, policy, caller, request, ports):
        return answer
    if answer is not None and answer.relayed is not None:
        await answer.relayed.close()
    if reason is not Reason.DENIED_DIGEST and await _reviews(op, policy, caller, ports):
        return await relay(op, request, ports, RANGE_HEADERS)
    raise await refuse(EventKind.BLOB_DENIED, op.repository, op.digest, reason, what, caller, request, ports, told=told)


async def _upstreams_word(op: PullBlob, request: Request, ports: Ports) -> Response | None:
    """Return upstream's refusal, or its answer to a HEAD; None when upstream would allow the GET."""
    if op.head:
        answer = await relay(op, request, ports, RANGE_HEADERS)
        if answer.status < 400:
            ports.rights.confirm_read(op.repository, request.credential)
        return answer
    probe = await ports.registry.perform(PullBlob(op.repository, op.digest, head=True), request.credential)
    await probe.close()
    if probe.status < 400:
        ports.rights.confirm_read(op.repository, request.credential)
        return None
    answer = await relay(op, request, ports)
    if answer.relayed is not None:  # HEAD was refused but GET succeeds: drop the body; our refusal follows
        await answer.relayed.close()
        return None
    return answer


async def kept_back(repository: Repository, blob: Digest, request: Request, ports: Ports) -> Reason | None:
    """Return None when the policy allows all blobs or an allowed manifest lists this one; else the reason to refuse it.

    Raises Unavailable when no manifest that lists the blob is allowed and at least one of them could not be judged.
    """
    for _ in range(AGAIN):
        now = now_in(repository, ports)
        reason = await _kept_back(repository, blob, now, request, ports)
        if reason is not None or now_in(repository, ports).stamp == now.stamp:
            return reason
    raise Unavailable(CHANGED)


async def _kept_back(repository: Repository, blob: Digest, now: Now, request: Request, ports: Ports) -> Reason | None:
    policy, overrides = now.policy, now.overrides
    if overrides.denial(repository, {blob}) is not None:
        return Reason.DENIED_DIGEST
    if _open(now) or _suspended(repository, now):
        return await _only_denied(repository, blob, ports)
    if policy is None and not overrides.exceptions:
        return Reason.UNLISTED_BLOB
    judging = Judging(
        remembered_in(repository, now.stamp, ports),
        lambda digest: decision_on(repository, digest, request, ports),
        lambda decision: decision.allowed,
    )
    looked = await first_good(repository, _parts(repository, blob, ports), judging, set(), ports)
    if looked.found is not None:
        return None
    if looked.silent is not None:
        raise Unavailable(looked.silent, told=looked.told)
    return Reason.DENIED_DIGEST if looked.denied else Reason.UNLISTED_BLOB


def _open(now: Now) -> bool:
    return now.policy is not None and (now.policy.pull.blobs == "open" or "enforce" not in now.modes)


def _suspended(repository: Repository, now: Now) -> bool:
    """True when open exceptions suspend every enforced requirement in the whole repository."""
    if not now.overrides.exceptions:
        return False
    enforced = [each.name for each in now.requirements() if each.mode_at(now.at) == "enforce"] or [SIGNATURES]
    return all(now.overrides.exception(repository, (), name) is not None for name in enforced)


async def _only_denied(repository: Repository, blob: Digest, ports: Ports) -> Reason | None:
    """Return DENIED_DIGEST when known manifests list the blob and all of them are denied, else None.

    Raises Unavailable when such a manifest is listed by too many indexes to check them all.
    """
    if not ports.overrides.in_force().denials:
        return None
    part, found = _parts(repository, blob, ports), False
    for number in range(LOOKS):
        try:
            listing = await part(number)
        except Unavailable:
            return None  # best effort: while the store is away, a denial of another image must not stop every layer
        found = found or bool(listing.digests)
        for digest in listing.digests:
            if await denied(repository, digest, ports) is None:
                return None
        if listing.whole:
            break
    return Reason.DENIED_DIGEST if found else None


def _parts(repository: Repository, blob: Digest, ports: Ports) -> Part:
    """Return the search for manifests that list this blob: the last one that served it, those excepted, then all known.

    While the store does not answer, the manifests in this process's memory are used. Raises Unavailable when
    memory has none.
    """

    async def part(number: int) -> Listing:
        if number == 0:
            served = ports.cache.lister(repository, blob)
            return Listing(() if served is None else (served,), whole=False)
        if number == 1:
            return Listing(await _excepted(repository, blob, ports), whole=False)
        try:
            return await ports.facts.listing(repository, blob, LISTED, LISTED * (number - 2))
        except Unavailable:
            held = ports.cache.listing(repository, blob)
            if not held:
                raise
            return Listing(tuple(held))

    return part


async def _excepted(repository: Repository, blob: Digest, ports: Ports) -> tuple[Digest, ...]:
    """Return the manifests named by exceptions that list this blob."""
    found = list[Digest]()
    for digest in ports.overrides.in_force().excepted(repository)[:EXCEPTED]:
        with suppress(Unavailable):
            fact = await ports.facts.manifest(repository, digest)
            found += [digest] if fact is not None and blob in fact.blobs else []
    return tuple(found)


async def _reviews(op: PullBlob, policy: Policy | None, caller: Caller, ports: Ports) -> bool:
    if policy is None or not isinstance(caller, Named) or caller.name not in policy.pull.reviewers:
        return False
    with suppress(Unavailable):
        require_known(op.repository, ports)  # a denial holds for reviewers too
        return bool((await ports.facts.listing(op.repository, op.digest, 1)).digests)
    return False


async def start_upload(op: StartUpload, request: Request, ports: Ports) -> Response:
    """Relay the start of an upload. A mount reads another repository: if that is refused, a plain upload starts."""
    await admit_upload(op.repository, op.mount or op.digest, request, ports)
    mount, source = op.mount, op.source
    if mount is not None:
        try:
            allowed = source is not None and await kept_back(source, mount, request, ports) is None
        except (Unavailable, Corrupt, Fault):
            allowed = False
        if not allowed:
            op = StartUpload(op.repository, op.digest)
    return await relay(op, request, ports, ("content-type",), with_body=op.digest is not None)
