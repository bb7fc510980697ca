"""Which of the manifests that list something may be had now: however many newer ones may not, they crowd out none."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from proxy.oci.faults import Corrupt, Fault, Told, Unavailable
from proxy.oci.reference import Digest, Repository
from proxy.registry.ports_in_use import Ports
from proxy.trust.decision import Decision, Outcome
from proxy.trust.fact import Listing
from proxy.trust.reason import Reason

LISTED = 256  # manifests in one look at the store
LOOKS = 8
Part = Callable[[int], Awaitable[Listing]]  # by its number; raises Unavailable


@dataclass(frozen=True)
class Looked:
    """What came of it: the first that may be had; else what was not found out, and whether all are denied."""

    found: Digest | None = None
    silent: str | None = None
    denied: bool = False
    told: Told = Told.PARENTS  # what callers hear of it where it is silent


@dataclass(frozen=True)
class Judging:
    """How one manifest is judged: `known` without any work, `anew` with it, and what counts as `good`."""

    known: Callable[[Digest], Decision | None]
    anew: Callable[[Digest], Awaitable[Decision | None]]  # raises Unavailable, Corrupt, Fault
    good: Callable[[Decision], bool]


async def first_good(repository: Repository, part: Part, judging: Judging, tried: set[Digest], ports: Ports) -> Looked:
    """Return the first that is good. Denied ones and verdicts that hold cost nothing and are passed over.

    At most `parents_tried` are judged anew that are not denied, and `tried` (what this request judged before, and is
    not judged again) grows to at most `parents_tried` times `index_depth`: then they are not all looked through.
    """
    limits, overrides = ports.limits, ports.overrides.in_force()
    silent: str | None = None
    spent, any_denied, all_denied = 0, False, True
    for number in range(LOOKS):
        listing, fresh = await part(number), list[Digest]()
        for digest in listing.digests:
            if overrides.denial(repository, {digest}) is not None:
                any_denied = True
            elif (decision := judging.known(digest)) is None:
                fresh.append(digest)
            elif judging.good(decision):
                return Looked(digest)
            elif decision.reason is Reason.DENIED_DIGEST:
                any_denied = True
            else:
                all_denied = False
        for digest in sorted(fresh, key=lambda each: (repository, each) not in ports.cache.passed):
            if digest in tried:
                continue
            if spent >= limits.parents_tried or len(tried) >= limits.parents_tried * limits.index_depth:
                return _ended(silent, f"the {len(tried)} that were looked through")
            tried.add(digest)
            decision = None
            try:
                decision = await judging.anew(digest)
            except (Unavailable, Corrupt) as why:
                silent = why.what
            except Fault:
                pass  # one that cannot be read serves nothing
            if decision is not None and judging.good(decision):
                return Looked(digest)
            if decision is not None and decision.reason is Reason.DENIED_DIGEST:
                any_denied = True
                continue
            spent, all_denied = spent + 1, False
            if decision is not None and decision.outcome is Outcome.INCONCLUSIVE:
                silent = f"{digest}, which lists it, could not be judged"
        if listing.whole:
            break
    else:
        return _ended(silent, f"the {LISTED * LOOKS} newest")
    return Looked(silent=silent, denied=silent is None and any_denied and all_denied)


def _ended(silent: str | None, looked_through: str) -> Looked:
    """Return that a bound ended it, unless something else was silent before."""
    if silent is not None:
        return Looked(silent=silent)
    return Looked(silent=f"more manifests list it than {looked_through}", told=Told.MUCH)
