"""Judge earlier pulls again, under the policies in force and under others, to predict what would be blocked."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

from proxy.journal.port import Pulled
from proxy.oci.faults import Corrupt, Fault, Unavailable
from proxy.oci.operation import PullManifest
from proxy.oci.reference import Reference
from proxy.policies.impact import Judgement, PullVerdict, Verdict, verdict_of
from proxy.registry.cache import Cache
from proxy.registry.judging.judge import judge
from proxy.registry.ports_in_use import Ports
from proxy.registry.request import Request, Response
from proxy.trust.policy import PolicySet

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
    few, ends = asyncio.Semaphore(AT_ONCE), asyncio.get_running_loop().time() + seconds
    late = Verdict(PullVerdict.UNKNOWN, detail=f"not judged within {seconds:g} s")

    async def one(each: Pulled) -> Judgement:
        try:
            async with asyncio.timeout_at(ends), few:
                return Judgement(each, await _verdict(each, request, now), await _verdict(each, request, then))
        except TimeoutError:
            return Judgement(each, late, late)

    return tuple(await asyncio.gather(*(one(each) for each in pulled)))


async def _verdict(pulled: Pulled, request: Request, ports: Ports) -> Verdict:
    """Judge the digest under its pull reference; if that now means another digest, under the digest alone."""
    found = await _judged(pulled, pulled.reference, request, ports)
    if found is None and pulled.reference != pulled.digest:
        found = await _judged(pulled, pulled.digest, request, ports)
    return found or Verdict(PullVerdict.GONE, detail="the registry does not have it any more")


async def _judged(pulled: Pulled, reference: Reference, request: Request, ports: Ports) -> Verdict | None:
    """Return the verdict on this digest; None if the reference no longer means it."""
    try:
        judged = await judge(PullManifest(pulled.repository, reference), request.fresh(), ports)
    except (Unavailable, Corrupt) as silent:
        return Verdict(PullVerdict.UNKNOWN, detail=silent.what)
    except Fault as fault:  # the content is unreadable for every caller, or too many requests run at once
        standing = PullVerdict.BLOCKED if fault.reason is not None and fault.status < 429 else PullVerdict.UNKNOWN
        return Verdict(standing, fault.reason or "", fault.message)
    if isinstance(judged, Response):
        if judged.status == 404:
            return None
        return Verdict(PullVerdict.UNKNOWN, detail=f"the registry answered {judged.status} to our own account")
    return verdict_of(judged.decision) if judged.subject.digest == pulled.digest else None
