"""The OpenAPI document says what the table says, and refers to nothing that is not in it."""

import json
import re
from typing import Any

from proxy.admin.openapi import document
from proxy.server.operations import ROUTES
from proxy.trust.roles import holders

DOCUMENT = document(ROUTES)


def test_every_route_is_described_with_its_roles() -> None:
    described = {
        (method.upper(), path): operation
        for path, operations in DOCUMENT["paths"].items()
        for method, operation in operations.items()
    }
    assert set(described) == {(route.method, route.path) for route in ROUTES}
    for route in ROUTES:
        told = described[(route.method, route.path)]
        assert told["x-roles"] == list(holders(route.permission))
        assert ("requestBody" in told) == (route.body is not None)
        assert [p["name"] for p in told.get("parameters", []) if p["in"] == "path"] == list(route.path_params)
        assert str(route.status) in told["responses"]


def test_every_reference_leads_somewhere() -> None:
    references = set(re.findall(r'"\$ref": "([^"]+)"', json.dumps(DOCUMENT)))
    assert references
    for reference in references:
        at: Any = DOCUMENT
        for step in reference.removeprefix("#/").split("/"):
            at = at[step]
        assert at


def test_parameters_are_whole_schemas() -> None:
    journal = DOCUMENT["paths"]["/admin/v1/journal"]["get"]["parameters"]
    by_name = {parameter["name"]: parameter["schema"] for parameter in journal}
    assert set(by_name) == {
        "limit", "cursor", "order", "all", "kind", "repository", "digest", "who", "reason", "key", "since", "until",
    }  # fmt: skip
    assert by_name["order"]["enum"] == ["asc", "desc"]
    assert by_name["since"] == {"type": "string", "format": "date-time"}
    assert by_name["limit"]["maximum"] == 1000
