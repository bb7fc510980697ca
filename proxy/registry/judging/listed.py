"""Find a manifest that lists an image or blob and is allowed now; newer ones that are refused never crowd it out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from proxy.oci.faults import Corrupt, Fault, Told, Unavailable
from proxy.oci.reference import Digest, Repository
from proxy.registry.ports_in_use import Ports
from proxy.trust.decision import Decision
from proxy.trust.fact import Listing
from proxy.trust.reason import Reason
from proxy.trust.requirement import Outcome

LISTED = 256  # manifests per read from the store
LOOKS = 8
Part = Callable[[int], Awaitable[Listing]]  # argument: the part's number; raises Unavailable


@dataclass(frozen=True)
class ParentSearch:
    """The result: the first good manifest; else what could not be determined, and whether all are denied."""

    found: Digest | None = None
    silent: str | None = None
    denied: bool = False
    told: Told = Told.PARENTS  # what callers are told when `silent` is set


@dataclass(frozen=True)
class Judging:
    """How one manifest is judged: `known` from the cache, `anew` with work, and which decisions count as `good`."""

    known: Callable[[Digest], Decision | None]
    anew: Callable[[Digest], Awaitable[Decision | None]]  # raises Unavailable, Corrupt, Fault
    good: Callable[[Decision], bool]


async def first_good(
    repository: Repository, part: Part, judging: Judging, tried: set[Digest], ports: Ports
) -> ParentSearch:
    """Return the first good manifest. Denied manifests and cached verdicts are free: no bound counts them.

    At most `parents_tried` manifests that are not denied are judged anew. `tried` (judged by this request before, and
    not judged again) grows to at most `parents_tried` times `index_depth`. At a bound, the search ends incomplete.
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
                return ParentSearch(digest)
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
                pass  # an unreadable manifest allows nothing
            if decision is not None and judging.good(decision):
                return ParentSearch(digest)
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
    return ParentSearch(silent=silent, denied=silent is None and any_denied and all_denied)


def _ended(silent: str | None, looked_through: str) -> ParentSearch:
    """Return a result that ended at a bound, unless another failure came first."""
    if silent is not None:
        return ParentSearch(silent=silent)
    return ParentSearch(silent=f"more manifests list it than {looked_through}", told=Told.MUCH)
