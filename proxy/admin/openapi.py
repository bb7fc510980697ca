"""The OpenAPI 3.1 description of the admin API, generated from the route table and its types."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from proxy import version
from proxy.admin.http_problems import PROBLEM
from proxy.admin.operation import PLACES, Route
from proxy.admin.shapes import Held, Plan, Problem
from proxy.trust.roles import holders

_REFUSALS = (400, 401, 403, 404, 409, 413, 429, 500, 502, 503)


def document(routes: Sequence[Route]) -> dict[str, Any]:
    """Return the OpenAPI document of these routes."""
    given = {route.gives for route in routes}
    shapes = {shape: None for route in routes for shape in (route.gives, route.body) if shape is not None}
    _, definitions = models_json_schema(
        [
            *((shape, "serialization" if shape in given else "validation") for shape in shapes),
            (Problem, "serialization"),
            (Plan, "serialization"),
            (Held, "serialization"),
        ],
        ref_template="#/components/schemas/{model}",
    )
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "countersign admin API",
            "version": version(),
            "description": "Every call is journaled before it takes effect. Errors are problem+json.",
        },
        "servers": [{"url": "/", "description": "the admin listener that this document is from"}],
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "description": "an admin token"}},
            "schemas": dict(sorted(definitions["$defs"].items())),
            "responses": {
                "Problem": {"description": "The problem and its remedy.", "content": {PROBLEM: _ref(Problem)}}
            },
        },
    }


def _ref(shape: type[BaseModel]) -> dict[str, Any]:
    return {"schema": {"$ref": f"#/components/schemas/{shape.__name__}"}}


def _operation(route: Route) -> dict[str, Any]:
    told: dict[str, Any] = {
        "operationId": route.name,
        "summary": route.says,
        "description": f"Roles: {', '.join(holders(route.permission))}.",
        "x-roles": list(holders(route.permission)),
        "x-reach": route.scope.value,
        "responses": {
            **_given_by(route),
            **{str(status): {"$ref": "#/components/responses/Problem"} for status in _REFUSALS},
        },
    }
    parameters = [_place(name) for name in route.path_params] + _fields(route.asks)
    if parameters:
        told["parameters"] = parameters
    if route.body is not None:
        told["requestBody"] = {"required": True, "content": {"application/json": _ref(route.body)}}
    return told


def _given_by(route: Route) -> dict[str, Any]:
    """Return the responses to a valid call, by status."""
    shapes: dict[int, list[type[BaseModel]]] = {route.status: [route.gives]}
    if route.plans:
        shapes.setdefault(200, []).append(Plan)
    if route.dual_control:
        shapes.setdefault(202, []).append(Held)
    answers: dict[str, Any] = {}
    for status, given in sorted(shapes.items()):
        schemas = [_ref(shape)["schema"] for shape in given]
        content = {"schema": schemas[0] if len(schemas) == 1 else {"anyOf": schemas}}
        answers[str(status)] = {"description": HTTPStatus(status).phrase, "content": {"application/json": content}}
    return answers


def _place(name: str) -> dict[str, Any]:
    return {
        "name": name,
        "in": "path",
        "required": True,
        "schema": {"type": "string", "pattern": f"^{PLACES[name][0]}$"},
    }


def _fields(query: type[BaseModel] | None) -> list[dict[str, Any]]:
    """Return the fields of a query type as parameters, with all references resolved."""
    if query is None:
        return []
    schema = query.model_json_schema(ref_template="#/$defs/{model}")
    needed, definitions = schema.get("required", ()), schema.get("$defs", {})
    return [_parameter(name, told, definitions, name in needed) for name, told in schema["properties"].items()]


def _parameter(name: str, described: dict[str, Any], definitions: dict[str, Any], needed: bool) -> dict[str, Any]:
    inner = {key: value for key, value in described.items() if key not in {"title", "description"}}
    if "$ref" in inner:
        inner |= definitions[inner.pop("$ref").rpartition("/")[2]]
    kinds = [kind for kind in inner.pop("anyOf", []) if kind.get("type") != "null"]
    for kind in kinds:  # callers express null by omitting the parameter
        inner |= definitions[kind["$ref"].rpartition("/")[2]] if "$ref" in kind else kind
    if inner.get("default", 0) is None:
        del inner["default"]
    return {
        "name": name,
        "in": "query",
        "required": needed,
        "description": described.get("description", ""),
        "schema": {key: value for key, value in inner.items() if key not in {"title", "description"}},
    }
