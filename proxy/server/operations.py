"""Every route of the admin API: one table, which requests, documentation and tests are all held against."""

from __future__ import annotations

from proxy.admin import approval_routes, token_operations
from proxy.admin.operation import Route
from proxy.jobs import operations as job_operations
from proxy.keys import chain_routes, custody_routes, resign_routes
from proxy.keys import routes as keys
from proxy.overrides import denial_operations, exception_operations
from proxy.policies import routes as policies
from proxy.server import journal_routes
from proxy.server import routes as server

ROUTES: tuple[Route, ...] = (
    *server.ROUTES,
    *keys.ROUTES,
    *custody_routes.ROUTES,
    *chain_routes.ROUTES,
    *policies.ROUTES,
    *(each.route for each in token_operations.OPERATIONS),
    *(each.route for each in denial_operations.OPERATIONS),
    *(each.route for each in exception_operations.OPERATIONS),
    *journal_routes.ROUTES,
    *(each.route for each in job_operations.OPERATIONS),
    *resign_routes.ROUTES,
    *approval_routes.ROUTES,
)
