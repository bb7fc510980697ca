"""Judge earlier pulls again, under the policies in force and under others, to predict what would be blocked."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from proxy.journal.port import Pulled
from proxy.oci.faults import Corrupt, Fault, Unavailable
from proxy.oci.operation import PullManifest
from proxy.oci.reference import Digest
from proxy.policies.impact import GONE, Judgement, PullVerdict, Verdict, verdict_of
from proxy.registry.cache import Cache
from proxy.registry.judging.judge import judge
from proxy.registry.ports_in_use import Ports
from proxy.registry.request import Request, Response
from proxy.trust.policy import PolicySet

T = TypeVar("T")
R = TypeVar("R")
AT_ONCE = 8  # images judged at once; each reads from upstream like a pull


@dataclass(frozen=True)
class Supposed:
    """The Rules port with these policies, independent of those in force."""

    policies: PolicySet

    def current(self) -> PolicySet:
        """Return these policies."""
        return self.policies


def supposing(policies: PolicySet, ports: Ports) -> Ports:
    """Return ports with these policies in force, an empty cache, and no repairs upstream."""
    cache = Cache(ports.limits, ports.clock.monotonic)
    return replace(ports, rules=Supposed(policies), cache=cache, repairs=False)


async def replay(
    pulled: Sequence[Pulled], policies: PolicySet, request: Request, ports: Ports, seconds: float
) -> tuple[Judgement, ...]:
    """Return the verdicts on each image under the policies in force and the given ones, from the same evidence.

    An image that cannot be judged, or not within these seconds, gets the verdict UNKNOWN. Errors of upstream are never
    raised.
    """
    then = supposing(policies, ports)
    now = replace(then, rules=Supposed(ports.rules.current()))  # both share one cache: nothing is read twice
    late = _late(seconds)

    async def one(each: Pulled) -> Judgement:
        return Judgement(each, await _verdict(each, request, now), await _verdict(each, request, then))

    return await _within(seconds, pulled, one, lambda each: Judgement(each, late, late))


async def judged_again(
    names: Sequence[PullManifest], policies: PolicySet, request: Request, ports: Ports, seconds: float
) -> tuple[Verdict, ...]:
    """Return what a pull of each name would get now under these policies, in the same way as `replay`."""
    then = supposing(policies, ports)

    async def one(op: PullManifest) -> Verdict:
        return await _judged(op, None, request, then) or GONE

    return await _within(seconds, names, one, lambda _: _late(seconds))


async def _within(
    seconds: float, items: Sequence[T], work: Callable[[T], Awaitable[R]], late: Callable[[T], R]
) -> tuple[R, ...]:
    """Return the result for each item, a few at a time; that of `late` for those not finished within these seconds."""
    few, ends = asyncio.Semaphore(AT_ONCE), asyncio.get_running_loop().time() + seconds

    async def one(item: T) -> R:
        try:
            async with asyncio.timeout_at(ends), few:
                return await work(item)
        except TimeoutError:
            return late(item)

    return tuple(await asyncio.gather(*(one(item) for item in items)))


def _late(seconds: float) -> Verdict:
    return Verdict(PullVerdict.UNKNOWN, detail=f"not judged within {seconds:g} s")


async def _verdict(pulled: Pulled, request: Request, ports: Ports) -> Verdict:
    """Judge the digest under its pull reference; if that now means another digest, under the digest alone."""
    for reference in dict.fromkeys((pulled.reference, pulled.digest)):
        op = PullManifest(pulled.repository, reference)
        if (found := await _judged(op, pulled.digest, request, ports)) is not None:
            return found
    return GONE


async def _judged(op: PullManifest, digest: Digest | None, request: Request, ports: Ports) -> Verdict | None:
    """Return the verdict; None if the registry does not have it, or the reference means another than this digest."""
    try:
        judged = await judge(op, request.fresh(), ports)
    except (Unavailable, Corrupt) as silent:
        return Verdict(PullVerdict.UNKNOWN, detail=silent.what)
    except Fault as fault:  # the content is unreadable for every caller, or too many requests run at once
        standing = PullVerdict.BLOCKED if fault.reason is not None and fault.status < 429 else PullVerdict.UNKNOWN
        return Verdict(standing, fault.reason or "", fault.message)
    if isinstance(judged, Response):
        if judged.status == 404:
            return None
        return Verdict(PullVerdict.UNKNOWN, detail=f"the registry answered {judged.status} to our own account")
    return verdict_of(judged.decision) if digest in (None, judged.subject.digest) else None
