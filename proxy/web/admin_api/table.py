"""Every route of the admin API: one table, which requests, documentation and tests are all held against."""

from __future__ import annotations

from proxy.web.admin_api import (
    approvals,
    chains,
    custody,
    denials,
    exceptions,
    jobs,
    journal,
    keys,
    policies,
    resign,
    server,
    tokens,
)
from proxy.web.admin_api.route import Route

ROUTES: tuple[Route, ...] = (
    *server.ROUTES,
    *keys.ROUTES,
    *custody.ROUTES,
    *chains.ROUTES,
    *policies.ROUTES,
    *tokens.ROUTES,
    *denials.ROUTES,
    *exceptions.ROUTES,
    *journal.ROUTES,
    *jobs.ROUTES,
    *resign.ROUTES,
    *approvals.ROUTES,
)
