"""What `countersign doctor` says of the policies: where they come from, and whether a server could use them."""

from __future__ import annotations

from dataclasses import replace

from proxy.config import Settings
from proxy.oci.faults import ConfigError, Unavailable
from proxy.policies.in_force import Policies, fix
from proxy.policies.process import Here
from proxy.policies.rules import RulesInForce
from proxy.server.doctor.checkup import DoctorFinding
from proxy.server.doctor.pull_accounts import check_pull_accounts
from proxy.server.store import open_store
from proxy.store.clock import SystemClock

NAME = "policies"


async def check_policies(settings: Settings) -> DoctorFinding:
    """Look at the newest revision as a start would, changing nothing."""
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
        policies = Policies(settings, store.policy_book, rules, store.journal, SystemClock(), Here())
        policies.put(settings, await policies.taken(settings))
        pullers = await check_pull_accounts(store.journal, rules.current(), SystemClock())
        return DoctorFinding(NAME, "ok", f"by the API; {policies.described}", inner=(pullers,))
    except ConfigError as wrong:
        return DoctorFinding(NAME, "wrong", str(wrong), fix(settings))
    except Unavailable as away:
        return _without_store(settings, away.what)
    finally:
        await store.close()


def _without_store(settings: Settings, why: str) -> DoctorFinding:
    """Return what is known of them by the file alone."""
    if settings.policies_from == "file":
        return DoctorFinding(NAME, "ok", f"from {settings.path}, {settings.policies.revision[:12]}")
    return DoctorFinding(NAME, "skipped", f"by the API; the store cannot be looked at: {why}")
