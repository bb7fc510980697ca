"""What does each kind of job."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from proxy.jobs.run import Work
from proxy.keys.resign import RESIGN, resign
from proxy.overrides.sign_pending import SIGN_OWED, sign_pending
from proxy.policies.in_force import Policies
from proxy.policies.plan import PLAN, plan_in_job
from proxy.registry.ports_in_use import Ports
from proxy.server.store import Store


def works(ports: Callable[[], Ports], store: Store, policies: Policies) -> Mapping[str, Work]:
    """Return them by kind. `ports` returns the one in force."""
    journal = store.journal
    return {
        RESIGN: lambda job, step: resign(job, step, ports(), store.ledger),
        SIGN_OWED: lambda job, step: sign_pending(job, step, ports()),
        PLAN: lambda job, step: plan_in_job(job, step, ports(), policies, journal.pulled, journal.revision),
    }
