"""What the routes of the admin API do, one file a topic: the same flows as every other way in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence

from proxy.flows.house import Ports
from proxy.ports import TokenInventory
from proxy.store import Store
from proxy.web.admin_api.handler import Topic
from proxy.web.admin_api.table import ROUTES
from proxy.wiring.admin_certificates import KnownCertificate
from proxy.wiring.admin_desk.approvals import ApprovalDesk
from proxy.wiring.admin_desk.chains import ChainDesk
from proxy.wiring.admin_desk.custody import CustodyDesk
from proxy.wiring.admin_desk.denials import DenialDesk
from proxy.wiring.admin_desk.exceptions import ExceptionDesk
from proxy.wiring.admin_desk.jobs import JobDesk
from proxy.wiring.admin_desk.keys import KeyDesk
from proxy.wiring.admin_desk.policies import PolicyDesk
from proxy.wiring.admin_desk.resign import ResignDesk
from proxy.wiring.admin_desk.server import ServerDesk
from proxy.wiring.admin_desk.tokens import TokenDesk
from proxy.wiring.desk import Desk
from proxy.wiring.opening import UnrecordedKey
from proxy.wiring.policies import Policies


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
        TokenDesk(ports, store.admin_tokens, people).topic(),
        JobDesk(ports, store.jobs).topic(),
        ResignDesk(ports, store.jobs, store.ledger).topic(),
        DenialDesk(ports).topic(),
        ExceptionDesk(ports).topic(),
    )
    return (*doing, ApprovalDesk(ports, ROUTES, store.approvals, store.admin_tokens, doing, dual, people).topic())
