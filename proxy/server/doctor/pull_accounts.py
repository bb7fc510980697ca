"""What `countersign doctor` says of accounts that pull and may push all the same."""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta

from proxy.journal.event import Event, EventKind
from proxy.journal.port import Journal, Search
from proxy.oci.reference import Repository
from proxy.server.doctor.checkup import DoctorFinding
from proxy.store.port import Clock
from proxy.trust.policy import PolicySet

NAME = "pull accounts"
SINCE = timedelta(days=30)
ROWS = 5000  # newest rows of each kind that are looked at
SHOWN = 5
_PULLS = (EventKind.PULL_ALLOWED, EventKind.PULL_WARNED, EventKind.PULL_DENIED, EventKind.PULL_EXCEPTED)
_PUSHES = (EventKind.PUSH_ACCEPTED, EventKind.PUSH_NOT_SIGNED, EventKind.PUSH_UNSIGNED)


async def check_pull_accounts(journal: Journal, policies: PolicySet, clock: Clock) -> DoctorFinding:
    """Name the accounts that only ever pulled, of late, where the push list of the policy has them too.

    Whoever gets hold of a node has its account: it should not be one that replaces images. Raises Unavailable.
    """
    since = clock.now() - SINCE
    pushed = {e.who for e in await journal.search(Search(kinds=_PUSHES, since=since, limit=ROWS))}
    only = defaultdict[str, dict[str, None]](dict)
    for event in await journal.search(Search(kinds=_PULLS, since=since, limit=ROWS)):
        if _is_account(event) and event.who not in pushed and _listed(event, policies):
            only[event.who][event.repository] = None
    if not only:
        return DoctorFinding(NAME, "ok", f"none that only pulled in {SINCE.days} days is on a push list")
    shown = [f"{who} (in {next(iter(where))})" for who, where in list(only.items())[:SHOWN]]
    more = f" and {len(only) - SHOWN} more" if len(only) > SHOWN else ""
    return DoctorFinding(
        NAME,
        "warning",
        f"{', '.join(shown)}{more} only pulled in {SINCE.days} days, and the policy lets them push",
        "name who pushes in policies[].push.allow, and give nodes an account that upstream lets only pull",
    )


def _is_account(event: Event) -> bool:
    return bool(event.how)  # proven: a name alone is anybody's


def _listed(event: Event, policies: PolicySet) -> bool:
    policy = policies.for_(Repository(event.repository))
    return policy is not None and ("*" in policy.push.allow or event.who in policy.push.allow)
