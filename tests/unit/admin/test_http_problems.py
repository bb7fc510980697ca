"""Failures under /admin/v1 are problem+json, and anywhere else what they always were."""

import json

import pytest

from proxy.admin.http_problems import problem
from proxy.oci.faults import Corrupt, Fault, Unavailable
from proxy.registry.request import Response
from proxy.web.call import Call
from proxy.web.outermost import Edge
from tests.worlds.listener import QUICK, body_of, head_of, in_memory

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
    assert set(told) == {"type", "title", "status", "detail", "request_id"}
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
