"""Blobs: served when a manifest that would be served now, in that repository, lists them."""

from __future__ import annotations

from contextlib import suppress

from proxy.flows.admit import admit_upload
from proxy.flows.asked import Answer, Asked
from proxy.flows.fresh import require_known
from proxy.flows.house import House
from proxy.flows.judge import decision_on, remembered_in
from proxy.flows.listed import LISTED, LOOKS, Judging, Part, first_good
from proxy.flows.meant import denied
from proxy.flows.now import AGAIN, CHANGED, Now, now_in
from proxy.flows.outage import is_outage
from proxy.flows.reader import pushes, reader
from proxy.flows.refuse import refuse
from proxy.flows.relay import RANGE_HEADERS, relay
from proxy.oci.faults import Corrupt, Fault, Unavailable
from proxy.oci.operation import PullBlob, StartUpload
from proxy.oci.reference import Digest, Repository
from proxy.trust.event import Kind
from proxy.trust.fact import Listing
from proxy.trust.policy import Policy
from proxy.trust.question import Caller, Named
from proxy.trust.reason import Reason

EXCEPTED = 16  # images that exceptions name, looked at whether they list a blob


async def pull_blob(op: PullBlob, asked: Asked, house: House) -> Answer:
    """Relay the blob where it may be had; else upstream's own refusal, or ours. Bytes are not hashed here."""
    reason, what, told = None, str(op.digest), ""
    try:
        reason = await kept_back(op.repository, op.digest, asked, house)
    except Unavailable as silent:
        if is_outage(silent):  # no manifest that lists it could be read: nothing was judged
            raise
        reason, what, told = Reason.NOT_VERIFIABLE, silent.what, silent.told
    if reason is None:
        return await relay(op, asked, house, RANGE_HEADERS)
    answer = await _upstreams_word(op, asked, house)
    if answer is not None and answer.status >= 400:  # a login problem, or not there: upstream's own answer says it best
        return answer
    policy = house.rules.current().for_(op.repository)
    caller = await reader(op.repository, policy, asked, house, pushing=op.head)
    # A push would upload every layer again, where a HEAD did not say that it is there.
    if answer is not None and policy is not None and await pushes(op.repository, policy, caller, asked, house):
        return answer
    if answer is not None and answer.relayed is not None:
        await answer.relayed.close()
    if reason is not Reason.DENIED_DIGEST and await _reviews(op, policy, caller, house):
        return await relay(op, asked, house, RANGE_HEADERS)
    raise await refuse(Kind.BLOB_DENIED, op.repository, op.digest, reason, what, caller, asked, house, told=told)


async def _upstreams_word(op: PullBlob, asked: Asked, house: House) -> Answer | None:
    """Return upstream's refusal to let this caller read it, or its answer to a HEAD; None where a GET would be let."""
    if op.head:
        answer = await relay(op, asked, house, RANGE_HEADERS)
        if answer.status < 400:
            house.rights.confirm_read(op.repository, asked.credential)
        return answer
    probe = await house.registry.perform(PullBlob(op.repository, op.digest, head=True), asked.credential)
    await probe.close()
    if probe.status < 400:
        house.rights.confirm_read(op.repository, asked.credential)
        return None
    answer = await relay(op, asked, house)
    if answer.relayed is not None:  # HEAD and GET disagree: what was not allowed a moment ago is not now
        await answer.relayed.close()
        return None
    return answer


async def kept_back(repository: Repository, blob: Digest, asked: Asked, house: House) -> Reason | None:
    """Return None when policy does not mind, or a manifest allowed now lists this blob; else why it is not served.

    Raises Unavailable where none is allowed, but one that lists it could not be judged.
    """
    for _ in range(AGAIN):
        now = now_in(repository, house)
        reason = await _kept_back(repository, blob, now, asked, house)
        if reason is not None or now_in(repository, house).stamp == now.stamp:
            return reason
    raise Unavailable(CHANGED)


async def _kept_back(repository: Repository, blob: Digest, now: Now, asked: Asked, house: House) -> Reason | None:
    policy, standing = now.policy, now.standing
    if standing.denial(repository, {blob}) is not None:
        return Reason.DENIED_DIGEST
    if _open(policy, house) or standing.exception(repository, ()) is not None:
        return await _only_denied(repository, blob, house)
    if policy is None and not standing.exceptions:
        return Reason.UNLISTED_BLOB
    judging = Judging(
        remembered_in(repository, now.stamp, house),
        lambda digest: decision_on(repository, digest, asked, house),
        lambda decision: decision.allowed,
    )
    looked = await first_good(repository, _parts(repository, blob, house), judging, set(), house)
    if looked.found is not None:
        return None
    if looked.silent is not None:
        raise Unavailable(looked.silent, told=looked.told)
    return Reason.DENIED_DIGEST if looked.denied else Reason.UNLISTED_BLOB


def _open(policy: Policy | None, house: House) -> bool:
    return policy is not None and (policy.pull.blobs == "open" or policy.pull.mode_at(house.clock.now()) != "enforce")


async def _only_denied(repository: Repository, blob: Digest, house: House) -> Reason | None:
    """Return why not, where everything known to list this blob is denied; None where nothing is known of it.

    Raises Unavailable where what lists it is under so many indexes that they are not looked through.
    """
    if not house.interventions.standing().denials:
        return None
    part, found = _parts(repository, blob, house), False
    for number in range(LOOKS):
        try:
            listing = await part(number)
        except Unavailable:
            return None  # as far as is known: a denial elsewhere must not stop every layer while the store is away
        found = found or bool(listing.digests)
        for digest in listing.digests:
            if await denied(repository, digest, house) is None:
                return None
        if listing.whole:
            break
    return Reason.DENIED_DIGEST if found else None


def _parts(repository: Repository, blob: Digest, house: House) -> Part:
    """Return what finds the manifests that list this blob here: what served it last, what exceptions name, all known.

    While the store does not answer, known is what this process remembers; it raises Unavailable where that is nothing.
    """

    async def part(number: int) -> Listing:
        if number == 0:
            served = house.memory.lister(repository, blob)
            return Listing(() if served is None else (served,), whole=False)
        if number == 1:
            return Listing(await _excepted(repository, blob, house), whole=False)
        try:
            return await house.facts.listing(repository, blob, LISTED, LISTED * (number - 2))
        except Unavailable:
            held = house.memory.listing(repository, blob)
            if not held:
                raise
            return Listing(tuple(held))

    return part


async def _excepted(repository: Repository, blob: Digest, house: House) -> tuple[Digest, ...]:
    """Return those that list it of what exceptions name."""
    found = list[Digest]()
    for digest in house.interventions.standing().excepted(repository)[:EXCEPTED]:
        with suppress(Unavailable):
            fact = await house.facts.manifest(repository, digest)
            found += [digest] if fact is not None and blob in fact.blobs else []
    return tuple(found)


async def _reviews(op: PullBlob, policy: Policy | None, caller: Caller, house: House) -> bool:
    if policy is None or not isinstance(caller, Named) or caller.name not in policy.pull.reviewers:
        return False
    with suppress(Unavailable):
        require_known(op.repository, house)  # what is denied is denied to reviewers too
        return bool((await house.facts.listing(op.repository, op.digest, 1)).digests)
    return False


async def start_upload(op: StartUpload, asked: Asked, house: House) -> Answer:
    """Relay the start of an upload. A mount reads another repository: where that is not allowed, it is an upload."""
    await admit_upload(op.repository, op.mount or op.digest, asked, house)
    mount, source = op.mount, op.source
    if mount is not None:
        try:
            allowed = source is not None and await kept_back(source, mount, asked, house) is None
        except (Unavailable, Corrupt, Fault):
            allowed = False
        if not allowed:
            op = StartUpload(op.repository, op.digest)
    return await relay(op, asked, house, ("content-type",), with_body=op.digest is not None)
