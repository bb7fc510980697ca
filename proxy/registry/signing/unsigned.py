"""Pushes without a signature: under an exception that allows them, while signing does not work."""

from __future__ import annotations

from collections.abc import Sequence

from proxy.journal.event import EventKind
from proxy.oci.faults import Fault, Unavailable
from proxy.oci.reference import Digest, Repository, Tag
from proxy.registry.ports_in_use import Ports
from proxy.registry.request import Request
from proxy.trust.exception import PolicyException, UnsignedPush
from proxy.trust.keys import BookKey
from proxy.trust.question import Caller, how_of, name_of


async def record_unsigned(
    repository: Repository,
    digest: Digest,
    tags: Sequence[Tag],
    profiles: Sequence[str],
    why: str,
    caller: Caller,
    request: Request,
    ports: Ports,
) -> PolicyException | None:
    """Return the exception under which this push is accepted unsigned; None if it is refused.

    Only while signing does not work, only for callers whose push upstream would accept (no one else's push is signed
    later), and only after the owed signature is on record. Raises Unavailable.
    """
    if ports.overrides.in_force().unsigned_push(repository, digest) is None or await _signs(profiles, ports):
        return None
    if not await ports.rights.may_push(repository, request.credential):
        return None
    opened = ports.overrides.in_force().unsigned_push(repository, digest)  # the checks above take time
    if opened is None:
        return None
    now, who = ports.clock.now(), name_of(caller)
    under: Sequence[Tag | None] = tags or (None,)
    await ports.unsigned.record_unsigned(*(UnsignedPush(repository, digest, tag, opened.id, who, now) for tag in under))
    event = ports.event(EventKind.PUSH_UNSIGNED, None, request, about=(repository, "", digest))
    detail = {"exception": opened.id, "tags": list(tags), "why": why[:500]}
    how = how_of(caller)
    await ports.journal.record(event._replace(who=who, how=how, reference=tags[0] if tags else digest, detail=detail))
    return opened


async def _signs(profiles: Sequence[str], ports: Ports) -> bool:
    """True unless one of the profiles has no token that signs: a wrong setting is not an emergency."""
    for profile in profiles:
        by_token = ports.keybook.ring().signers(profile, ports.clock.now())
        if by_token and not any([await _proved(keys, ports) for keys in by_token.values()]):
            return False
    return True


async def _proved(keys: Sequence[BookKey], ports: Ports) -> bool:
    try:
        for key in keys:
            await ports.signer.prove(key)
    except Unavailable:
        return False
    except Fault:
        return True  # the token's queue is full
    return True
