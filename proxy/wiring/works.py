"""What does each kind of job."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from proxy.flows.house import Ports
from proxy.flows.job import Work
from proxy.flows.resign import RESIGN, resign
from proxy.flows.sign_owed import SIGN_OWED, sign_pending
from proxy.store import Store
from proxy.wiring.admin_desk.policy_plan import PLAN, plan_in_job
from proxy.wiring.policies import Policies


def works(ports: Callable[[], Ports], store: Store, policies: Policies) -> Mapping[str, Work]:
    """Return them by kind. `ports` returns the one in force."""
    journal = store.journal
    return {
        RESIGN: lambda job, step: resign(job, step, ports(), store.ledger),
        SIGN_OWED: lambda job, step: sign_pending(job, step, ports()),
        PLAN: lambda job, step: plan_in_job(job, step, ports(), policies, journal.pulled, journal.revision),
    }
