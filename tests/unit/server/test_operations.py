"""The table of routes: unambiguous, and places in paths take what they should. What does each kind of job."""

from typing import cast

import pytest

from proxy.admin.operation import PLACES
from proxy.backlog.look import LOOK
from proxy.backlog.sign_listed import SIGN_LISTED
from proxy.keys.resign import RESIGN
from proxy.overrides.sign_pending import SIGN_OWED
from proxy.policies.plan import PLAN
from proxy.server.operations import ROUTES, works
from proxy.server.store import Store
from tests.worlds.admin import policies_of
from tests.worlds.conversation import world


def test_names_and_calls_are_there_once() -> None:
    assert len({route.name for route in ROUTES}) == len(ROUTES)
    assert len({(route.method, route.path) for route in ROUTES}) == len(ROUTES)
    assert all(set(route.path_params) <= set(PLACES) for route in ROUTES)


def test_whatever_changes_something_needs_more_than_get() -> None:
    assert {route.method for route in ROUTES if route.body is not None} == {"POST"}
    assert all(route.query is None for route in ROUTES if route.method != "GET")


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/admin/v1/keys/release/rotate", "rotate_key"),
        (f"/admin/v1/keys/{'a' * 64}/retire", "retire_key"),
        (f"/admin/v1/keys/{'a' * 8}/retire", "retire_key"),
        (f"/admin/v1/keys/{'a' * 7}/retire", None),
        (f"/admin/v1/keys/{'a' * 65}/retire", None),
        (f"/admin/v1/keys/{'A' * 64}/retire", "retire_key"),
        ("/admin/v1/keys//rotate", None),
        ("/admin/v1/keys/a/b/rotate", None),
        ("/admin/v1/keys/a%2Fb/rotate", None),
        ("/admin/v1/keys/release/rotate/", None),
        ("/admin/v1/keys/release/rotate\n", None),
        ("/admin/v1/tokens/0123456789ab", "revoke_token"),
        ("/admin/v1/statusx", None),
    ],
)
def test_a_path_is_one_route_or_none(path: str, found: str | None) -> None:
    assert [route.name for route in ROUTES if route.match(path) is not None] == ([found] if found else [])


async def test_every_kind_of_job_is_done_by_somebody() -> None:
    w = await world()
    assert set(works(lambda: w.ports, cast("Store", w.store), await policies_of(w, "file"))) == {
        RESIGN,
        SIGN_OWED,
        PLAN,
        LOOK,
        SIGN_LISTED,
    }
