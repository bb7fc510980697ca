"""Lists every operation of the admin API, what it uses, and every kind of job.

Requests, documentation and tests are all checked against this one table. A route runs the same flow as every other
interface.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from proxy.admin import approval_operations, token_operations
from proxy.admin.operation import Operation, Route
from proxy.admin.ports import AdminTokens, Approvals, KnownPeople
from proxy.backlog import operations as backlog_operations
from proxy.backlog.look import LOOK, look
from proxy.backlog.sign_listed import SIGN_LISTED, sign_listed
from proxy.jobs import operations as job_operations
from proxy.jobs.job import Lane
from proxy.jobs.port import Jobs
from proxy.jobs.runner import Lanes
from proxy.journal.impact import Impact
from proxy.keys import chain_operations, custody_operations
from proxy.keys import image_operations as key_image_operations
from proxy.keys import operations as key_operations
from proxy.keys.resign import RESIGN, resign
from proxy.overrides import denial_operations, exception_operations
from proxy.overrides.sign_pending import SIGN_OWED, sign_pending
from proxy.policies import operations as policy_operations
from proxy.policies.in_force import Policies, PolicyBook
from proxy.policies.plan import PLAN, plan_in_job
from proxy.registry.ports.facts import Signed
from proxy.registry.ports_in_use import Ports
from proxy.server import doctor_operations, image_operations, journal_operations, server_operations
from proxy.server.server_operations import Live
from proxy.server.store import Store
from proxy.tokens.inventory_port import TokenInventory

OPERATIONS: tuple[Operation, ...] = (
    *server_operations.OPERATIONS,
    *doctor_operations.OPERATIONS,
    *image_operations.OPERATIONS,
    *backlog_operations.OPERATIONS,
    *journal_operations.OPERATIONS,
    *key_operations.OPERATIONS,
    *key_image_operations.OPERATIONS,
    *custody_operations.OPERATIONS,
    *chain_operations.OPERATIONS,
    *policy_operations.OPERATIONS,
    *token_operations.OPERATIONS,
    *denial_operations.OPERATIONS,
    *exception_operations.OPERATIONS,
    *job_operations.OPERATIONS,
    *approval_operations.OPERATIONS,
)
ROUTES: tuple[Route, ...] = tuple(each.route for each in OPERATIONS)


def services(live: Live, store: Store, tokens: TokenInventory, people: KnownPeople) -> Mapping[type, Any]:
    """Return what operations `use`. `people` returns the client certificates configured now."""
    return {
        Live: live,
        Store: store,
        AdminTokens: store.admin_tokens,
        KnownPeople: people,
        Approvals: store.approvals,
        Jobs: store.jobs,
        Signed: store.ledger,
        Impact: store.journal,
        TokenInventory: tokens,
        Policies: live.policies,
        PolicyBook: store.policy_book,
    }


def works(ports: Callable[[], Ports], store: Store, policies: Policies) -> Lanes:
    """Return the lane and the implementation of each kind of job. `ports` returns the ports in force."""
    journal = store.journal
    return {
        RESIGN: (Lane.MAINTENANCE, lambda job, step: resign(job, step, ports(), store.ledger)),
        SIGN_LISTED: (Lane.MAINTENANCE, lambda job, step: sign_listed(job, step, ports())),
        LOOK: (Lane.SWEEP, lambda job, step: look(job, step, ports(), journal.pulled)),
        SIGN_OWED: (Lane.SIGNING, lambda job, step: sign_pending(job, step, ports())),
        PLAN: (
            Lane.SWEEP,
            lambda job, step: plan_in_job(job, step, ports(), policies, journal.pulled, journal.revision),
        ),
    }
