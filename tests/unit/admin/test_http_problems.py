"""Failures under /admin/v1 are problem+json, and anywhere else what they always were."""

import json
from pathlib import Path

import pytest

from proxy.admin.http_problems import problem
from proxy.admin.openapi import document
from proxy.admin.problem_codes import CODES
from proxy.oci.faults import Corrupt, Fault, Unavailable
from proxy.registry.request import Response
from proxy.server.operations import ROUTES
from proxy.trust.roles import Role
from proxy.web.call import Call
from proxy.web.outermost import Edge
from tests.worlds.admin import admin
from tests.worlds.listener import QUICK, body_of, head_of, in_memory

ROOT = Path(__file__).parents[3]
FAILURES = {
    409: Fault("DENIED", "key is active: \x1b[31mrotate it first", status=409),
    401: Fault("UNAUTHORIZED", "no token", headers={"WWW-Authenticate": "Bearer"}),
    503: Unavailable("store: away", retry_after=7),
    502: Corrupt("a digest"),
    500: ValueError("a secret in a defect"),
}


async def said(path: str, failure: Exception) -> tuple[dict[str, str], dict[str, object]]:
    async def fails(_call: Call) -> Response:
        raise failure

    async with in_memory(fails, Edge(QUICK, refuse=problem)) as spoken:
        reply = await spoken.get(path)
    return head_of(reply)[1], json.loads(body_of(reply))


@pytest.mark.parametrize(("status", "failure"), FAILURES.items())
async def test_every_failure_is_a_problem(status: int, failure: Exception) -> None:
    headers, told = await said("/admin/v1/keys", failure)
    assert headers["content-type"] == "application/problem+json"
    assert headers["cache-control"] == "no-store"
    assert told["status"] == status
    assert told["request_id"] == headers["x-request-id"]
    assert set(told) == {"type", "code", "title", "status", "detail", "request_id"}
    assert CODES[str(told["code"])].status == status
    page, _, place = str(told["type"]).partition("#")
    assert f'<a id="{place}"></a>' in (ROOT / page).read_text(), "what `type` names is there"
    assert "\x1b" not in str(told["detail"])
    assert "secret" not in str(told["detail"])


async def test_what_clients_need_stays_in_the_headers() -> None:
    assert (await said("/admin/v1/keys", FAILURES[401]))[0]["www-authenticate"] == "Bearer"
    assert (await said("/admin/v1/keys", FAILURES[503]))[0]["retry-after"] == "7"


async def test_a_target_that_nobody_understands_is_a_problem_too() -> None:
    async with in_memory(lambda _call: None, Edge(QUICK, refuse=problem)) as spoken:  # type: ignore[arg-type,return-value]
        reply = await spoken.get("/admin/v1/keys/{}")
    assert head_of(reply)[1]["content-type"] == "application/problem+json"


@pytest.mark.parametrize("path", ["/metrics", "/v1/status", "/admin/v1x"])
async def test_elsewhere_errors_are_as_they_were(path: str) -> None:
    headers, told = await said(path, FAILURES[409])
    assert headers["content-type"] == "application/json"
    assert set(told) == {"errors"}


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/admin/v1", 404, "no_such_call"), ("/admin/v1/", 404, "no_such_call"),
        ("/admin/v1/nosuch", 404, "no_such_call"),
        ("/admin/v1/keys/zz/retire", 404, "invalid_path"), ("/admin/v1/jobs/abcdefgh", 404, "not_found"),
        ("/admin/v1/journal?limit=0", 400, "invalid_request"), ("/admin/v1/journal?cursor=eA==", 400, "invalid_cursor"),
    ],
)  # fmt: skip
async def test_a_program_had_to_parse_english(path: str, status: int, code: str) -> None:
    async with admin() as a:
        token = await a.token(Role.AUDITOR)
        answer = await a.call("GET", path, token=token)
        assert (answer.status, answer.value["code"]) == (status, code)
        assert answer.value["type"] == f"docs/reference/problems.md#{code}"


def test_the_api_names_its_server_and_its_codes() -> None:
    described = document(ROUTES)
    assert described["servers"][0]["url"] == "/"
    assert described["components"]["schemas"]["Problem"]["properties"]["code"]["enum"] == [*CODES]
