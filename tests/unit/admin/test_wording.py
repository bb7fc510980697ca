"""The API told callers what is wrong in the words of the library that checks, and of a path not which part."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from proxy.admin.operation import PLACES, Route
from proxy.admin.wording import complaints
from proxy.server.operations import ROUTES
from tests.unit.cli.test_wrong_values import INSIDE
from tests.worlds.admin import admin

VALUES: tuple[Any, ...] = (
    "",
    "\x00",
    "\u202e",
    "2027",
    "Team/App",
    "x" * 3000,
    -1,
    10**12,
    1.5,
    True,
    None,
    [],
    [1],
    {},
    {"a": 1},
)
SHAPES = sorted({shape for route in ROUTES for shape in (route.body, route.query) if shape}, key=lambda s: s.__name__)


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.__name__)
def test_each_field_of_each_body_and_query_is_told_in_our_words(shape: Any) -> None:
    bodies: list[Any] = [{}, [], "x", {"nosuch": 1}]
    bodies += [{name: value} for name in shape.model_fields for value in VALUES]
    for body in bodies:
        try:
            shape.model_validate_json(json.dumps(body))
        except ValidationError as wrong:
            for each in complaints(wrong, shape):
                assert each.why
                assert INSIDE.search(each.why) is None, each
                assert not each.why.startswith((";", " "))
                assert "{" not in each.why
                assert each.why.isascii()
                assert each.why.isprintable()


@pytest.mark.parametrize("route", [route for route in ROUTES if route.path_params], ids=lambda route: route.name)
def test_a_path_says_which_part_of_it_is_wrong(route: Route) -> None:
    for name in route.path_params:
        path = route.path.replace(f"{{{name}}}", "%20")
        assert route.match(path) is None
        assert route.misplaced(path) == f"{name} in the path: {PLACES[name][1].says}"
        assert route.misplaced(f"{path}/x") is None


async def test_a_wrong_value_in_a_call_is_answered_in_our_words() -> None:
    async with admin() as a:
        for path, body, said in (
            (
                "keys/release/rotate",
                {"reason": "r", "overlap": "dual-sign:14"},
                "; write dual-sign:14d, ",
            ),
            ("keys/abcdef01/compromise", {"reason": "r", "since": "yesterday"}, "since: not a time; write a time with"),
            ("keys/abcdef01/compromise", {"reason": "r", "since": "2027"}, "since: before the year 2000; write a time"),
            ("keys/release/import", {"reason": "r", "id": "zz"}, "id: write hex digits"),
            ("tokens", {"name": "a/b", "roles": ["viewer"]}, "name: write Latin letters"),
            ("tokens", {"name": "b", "roles": ["root"]}, "roles.0: none of "),
            ("denials", {"reason": "", "target": "team/app:1"}, "reason: empty; "),
            ("denials", {"reason": "r", "target": "team/app:1"}, "`countersign verify team/app:1` shows"),
            ("keys/BB563D/retire", {"reason": "r"}, "fingerprint in the path: write at least the first 8 hex digits"),
            ("jobs/x/cancel", {"reason": "r"}, "id in the path: write 8 to 20"),
            ("sign/lists", {"reason": "r"}, "say which images with one of"),
        ):
            reply = await a.call("POST", f"/admin/v1/{path}", body, socket=True)
            assert reply.status in (400, 404), path
            assert said in reply.value["detail"]
            assert INSIDE.search(reply.value["detail"]) is None


async def test_a_fingerprint_in_upper_case_was_nothing() -> None:
    async with admin() as a:
        key = a.active()
        for typed in (key.upper(), key[:8].upper()):
            assert (await a.call("GET", f"/admin/v1/keys/{typed}/chain", socket=True)).value["fingerprint"] == key
