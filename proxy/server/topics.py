"""What the routes of the admin API do, one file a topic: the same flows as every other way in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence

from proxy.admin import token_operations
from proxy.admin.approval_desk import ApprovalDesk
from proxy.admin.certificates import KnownCertificate
from proxy.admin.dispatch import Topic, topic_of
from proxy.admin.tokens_port import AdminTokens, KnownPeople
from proxy.jobs import operations as job_operations
from proxy.jobs.port import Jobs
from proxy.keys.chain_desk import ChainDesk
from proxy.keys.custody_desk import CustodyDesk
from proxy.keys.desk import KeyDesk
from proxy.keys.resign_desk import ResignDesk
from proxy.overrides import denial_operations, exception_operations
from proxy.policies.desk import PolicyDesk
from proxy.policies.in_force import Policies
from proxy.registry.ports_in_use import Ports
from proxy.server.desk import Desk
from proxy.server.operations import ROUTES
from proxy.server.server_desk import ServerDesk
from proxy.server.store import Store
from proxy.tokens.inventory_port import TokenInventory
from proxy.tokens.open import UnrecordedKey


def topics(
    desk: Desk,
    ports: Callable[[], Ports],
    store: Store,
    reload: Callable[[], Awaitable[str | None]],
    strays: Callable[[], Awaitable[Sequence[UnrecordedKey]]],
    held: TokenInventory,
    policies: Policies,
    dual: Callable[[], bool] = lambda: False,
    people: Callable[[], Iterable[KnownCertificate]] = tuple,
) -> tuple[Topic, ...]:
    """Return what every route does. `ports` returns the one in force; `reload` why it was refused, or None.

    `dual` says whether a second person has to agree before keys and policies change; `people` returns who
    calls with a certificate, as configured by now.
    """
    doing = (
        ServerDesk(desk, ports, reload, lambda: policies.described).topic(),
        KeyDesk(ports, strays).topic(),
        CustodyDesk(ports, held).topic(),
        PolicyDesk(ports, policies, store.policy_book, store.journal.pulled, store.jobs).topic(),
        ChainDesk(ports).topic(),
        topic_of(token_operations.OPERATIONS, ports, {AdminTokens: store.admin_tokens, KnownPeople: people}),
        topic_of(job_operations.OPERATIONS, ports, {Jobs: store.jobs}),
        ResignDesk(ports, store.jobs, store.ledger).topic(),
        topic_of(denial_operations.OPERATIONS, ports),
        topic_of(exception_operations.OPERATIONS, ports),
    )
    return (*doing, ApprovalDesk(ports, ROUTES, store.approvals, store.admin_tokens, doing, dual, people).topic())
