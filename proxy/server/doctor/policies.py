"""The checks of `countersign doctor` on the policies: whether a server could use them, and who may push."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from datetime import timedelta

from proxy.config import Settings
from proxy.journal.event import Event, EventKind
from proxy.journal.port import Journal, Search
from proxy.oci.faults import ConfigError, Unavailable
from proxy.oci.reference import Repository
from proxy.policies.in_force import Policies, RulesInForce, fix
from proxy.policies.process import PolicyProcesses
from proxy.server.doctor.checkup import DoctorFinding
from proxy.server.store import open_store
from proxy.store.clock import Clock, SystemClock
from proxy.trust.policy import PolicySet

NAME = "policies"
ACCOUNTS = "pull accounts"
SINCE = timedelta(days=30)
ROWS = 5000  # the newest rows of each kind that are examined
SHOWN = 5
_PULLS = (EventKind.PULL_ALLOWED, EventKind.PULL_WARNED, EventKind.PULL_DENIED, EventKind.PULL_EXCEPTED)
_PUSHES = (EventKind.PUSH_ACCEPTED, EventKind.PUSH_NOT_SIGNED, EventKind.PUSH_UNSIGNED)


async def check_policies(settings: Settings) -> DoctorFinding:
    """Check the newest policy revision as a start would, without changing anything."""
    try:
        store = await open_store(settings.store.url, SystemClock(), trusted=settings.trust, read_only=True)
    except (ConfigError, Unavailable) as away:
        return _without_store(settings, str(away))
    try:
        if settings.policies_from == "file":
            pullers = await check_pull_accounts(store.journal, settings.policies, SystemClock())
            return replace(_without_store(settings, ""), inner=(pullers,))
        if await store.policy_book.tip() == (0, ""):
            return DoctorFinding(NAME, "ok", f"by the API; the first revision will be what {settings.path} says")
        rules = RulesInForce(settings.policies)
        reader = PolicyProcesses(settings.limits)
        policies = Policies(settings, store.policy_book, rules, store.journal, SystemClock(), reader)
        try:
            policies.put(settings, await policies.taken(settings))
        finally:
            await reader.close()
        pullers = await check_pull_accounts(store.journal, rules.current(), SystemClock())
        return DoctorFinding(NAME, "ok", f"by the API; {policies.described}", inner=(pullers,))
    except ConfigError as wrong:
        return DoctorFinding(NAME, "wrong", str(wrong), fix(settings))
    except Unavailable as away:
        return _without_store(settings, away.what)
    finally:
        await store.close()


def _without_store(settings: Settings, why: str) -> DoctorFinding:
    """Return the finding that the file alone allows."""
    if settings.policies_from == "file":
        return DoctorFinding(NAME, "ok", f"from {settings.path}, {settings.policies.revision[:12]}")
    return DoctorFinding(NAME, "skipped", f"by the API; the store cannot be read: {why}")


async def check_pull_accounts(journal: Journal, policies: PolicySet, clock: Clock) -> DoctorFinding:
    """Report accounts that recently only pulled although a policy lets them push.

    An attacker who takes over a node gets its account, so that account should not be able to replace images. Raises
    Unavailable.
    """
    since = clock.now() - SINCE
    pushed = {e.who for e in await journal.search(Search(kinds=_PUSHES, since=since, limit=ROWS))}
    only = defaultdict[str, dict[str, None]](dict)
    for event in await journal.search(Search(kinds=_PULLS, since=since, limit=ROWS)):
        if _is_account(event) and event.who not in pushed and _listed(event, policies):
            only[event.who][event.repository] = None
    if not only:
        return DoctorFinding(ACCOUNTS, "ok", f"none that only pulled in {SINCE.days} days is on a push list")
    shown = [f"{who} (in {next(iter(where))})" for who, where in list(only.items())[:SHOWN]]
    more = f" and {len(only) - SHOWN} more" if len(only) > SHOWN else ""
    return DoctorFinding(
        ACCOUNTS,
        "warning",
        f"{', '.join(shown)}{more} only pulled in {SINCE.days} days, and the policy lets them push",
        "name who pushes in policies[].push.allow, and give nodes an account that upstream lets only pull",
    )


def _is_account(event: Event) -> bool:
    return bool(event.how)  # a proven name; an unproven one could be claimed by any caller


def _listed(event: Event, policies: PolicySet) -> bool:
    policy = policies.for_(Repository(event.repository))
    return policy is not None and ("*" in policy.push.allow or event.who in policy.push.allow)
