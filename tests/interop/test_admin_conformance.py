"""schemathesis calls every route of a real server with a token of each role: every answer is as described."""

from __future__ import annotations

import itertools
import json
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS, load_all_checks

from proxy.admin.operation import Route
from proxy.admin.rate import TOKEN
from proxy.cli.admin import Endpoint, call
from proxy.server.operations import ROUTES
from proxy.trust.roles import Role, permitted
from tests.faults.served import Served, served
from tests.interop.registries import docker_registry

pytestmark = pytest.mark.real
EXAMPLES, REFUSED = 5, 1  # of each kind, for each route and role that may call it or not
CONFORMS = (
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
)
load_all_checks()


@dataclass
class Api:
    """A served admin API, its own description of itself, and tokens enough that nobody is held up for calling often."""

    url: str
    place: Endpoint
    schema: Any
    _tokens: dict[Role, str] = field(default_factory=dict)
    _left: dict[Role, int] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def token(self, role: Role) -> str:
        """A token of this role that has calls left, and was not revoked by a call of ours."""
        if self._left.get(role, 0) <= 0:
            wish = {"name": f"schemathesis {role} {next(self._numbers)}", "roles": [role]}
            self._tokens[role] = call(self.place, "POST", "tokens", wish)["token"]
            self._left[role] = int(TOKEN.burst)
        self._left[role] -= 1
        return self._tokens[role]

    def there(self) -> dict[str, list[str]]:
        """What may stand in a path and means something."""
        keys = call(self.place, "GET", "keys")["items"]
        jobs = call(self.place, "GET", "jobs")["items"]
        return {
            "profile": ["release"],
            "fingerprint": [key["fingerprint"] for key in keys],
            "id": [job["id"] for job in jobs] or ["0" * 16],
        }


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    folder = tmp_path_factory.mktemp("conformance")
    with docker_registry(folder / "upstream") as upstream, served(folder / "proxy", upstream) as proxy:
        proxy.start()
        url = f"http://{proxy.admin}"
        described = requests.get(f"{url}/admin/v1/openapi.json", timeout=30).json()
        del described["security"]  # tokens are given by us; a call without one is looked at below
        yield Api(url, _socket(proxy), schemathesis.openapi.from_dict(described))


def _socket(proxy: Served) -> Endpoint:
    return Endpoint(socket=proxy.folder / "countersign.sock")


def named(route: Route) -> str:
    return route.name


def test_what_is_served_is_what_is_committed(api: Api) -> None:
    committed = json.loads((Path(__file__).parents[2] / "docs" / "reference" / "openapi.json").read_text())
    with urllib.request.urlopen(f"{api.url}/admin/v1/openapi.json") as reply:  # noqa: S310  loopback
        assert json.load(reply) == committed
    assert {op["operationId"] for path in committed["paths"].values() for op in path.values()} == {
        route.name for route in ROUTES
    }


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=lambda mode: str(mode.value))
@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("route", ROUTES, ids=named)
def test_every_answer_is_as_described(api: Api, route: Route, role: Role, mode: GenerationMode) -> None:
    if mode is GenerationMode.NEGATIVE and not (route.body or route.asks or route.path_params):
        return  # nothing in it could be wrong
    checks = [cast("Any", CHECKS.get_one(name)) for name in CONFORMS]
    there = api.there()

    @settings(
        max_examples=EXAMPLES if permitted([role], route.permission) else REFUSED,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=api.schema[route.path][route.method].as_strategy(generation_mode=mode), real=st.integers(0, 5))
    def one(case: Any, real: int) -> None:
        for name in case.path_parameters or {}:
            if real and mode is GenerationMode.POSITIVE and name in there:
                case.path_parameters[name] = there[name][real % len(there[name])]
        headers = {"Authorization": f"Bearer {api.token(role)}"}
        response = case.call(base_url=api.url, headers=headers, timeout=60)
        assert response.status_code != 500, response.content
        assert response.status_code != 429, "the run is held up, and looks at nothing"
        if not permitted([role], route.permission):
            assert response.status_code in {400, 403, 404, 405}, response.content
        case.validate_response(response, checks=checks)

    one()


def test_without_a_token_nothing_is_open(api: Api) -> None:
    for route in ROUTES[:8]:  # ten wrong calls are let through
        path = route.path.format(profile="release", fingerprint="0" * 64, id="0" * 16)
        assert requests.request(route.method, api.url + path, timeout=30).status_code == 401
