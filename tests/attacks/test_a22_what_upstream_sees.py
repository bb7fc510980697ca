"""Attack 22 through the real listener: upstream sees the path that was judged, or nothing, and the client a 4xx."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxy.oci.operation import Operation
from proxy.oci.paths import render
from proxy.registry.handle import handle
from proxy.registry.request import Request, Response
from proxy.trust.policy import Policy, PullRules
from tests.worlds.conversation import SIGN, World, world
from tests.worlds.images import image
from tests.worlds.listener import Spoken, body_of, head_of, in_memory, registry

GOOD, SECRET = image("good"), image("secret")
TARGETS = [
    "/v2/signed/../secret/manifests/v1",
    "/v2/signed/%2e%2e/secret/manifests/v1",
    "/v2/signed/..%2fsecret/manifests/v1",
    "/v2/signed%2f..%2fsecret/manifests/v1",
    "/v2/signed/..%5csecret/manifests/v1",
    "/v2/signed\\..\\secret/manifests/v1",
    "/v2//secret/manifests/v1",
    "//v2/secret/manifests/v1",
    "/v2/./secret/manifests/v1",
    "/v2/secret;x/manifests/v1",
    "/v2/secret/manifests/v1;x",
    "/v2/secret/manifests/v1%00",
    "/v2/secret/manifests/v1#x",
    "/v2/secret/manifests/v1/",
    "/V2/secret/manifests/v1",
    "/v2/SECRET/manifests/v1",
    "/v2/secret/%6danifests/v1",
    "/v2/secret/manifests/%76%31",
    "/%76%32/secret/manifests/v1",
    "http://upstream.test/v2/secret/manifests/v1",
    "https://proxy.test/v2/secret/manifests/v1",
    "/-/../v2/secret/manifests/v1",
    "/-/help/../../v2/secret/manifests/v1",
    "/v2/secret/manifests/sha256%3A" + SECRET.digest[7:],
    "/v2/signed/blobs/../../secret/manifests/v1",
    "/v2/signed/blobs/uploads/../../../secret/manifests/v1",
    "/v2/secret/manifests/v1?tag=x#y",
    "*",
    "secret",
    "",
]


@asynccontextmanager
async def listening() -> AsyncIterator[tuple[World, Spoken]]:
    """The real web application over the real flows, on a registry that remembers. `secret` may not be pulled."""
    locked = Policy(("secret",), SIGN.push, PullRules())
    w = await world(Policy(("**",), SIGN.push, SIGN.pull), locked)
    await w.push(GOOD, "signed", "v1")
    await w.push(SECRET, "secret", "v1")

    async def answer(op: Operation, request: Request) -> Response:
        return await handle(op, request, w.ports)

    async with in_memory(registry(answer)) as spoken:
        w.registry.seen.clear()
        yield w, spoken


async def test_the_plain_requests() -> None:
    async with listening() as (w, spoken):
        reply = await spoken.get("/v2/signed/manifests/v1")
        assert head_of(reply)[0].endswith("200 OK")
        assert body_of(reply) == GOOD.body
        assert render(w.registry.seen[0].operation) == ("GET", "/v2/signed/manifests/v1")
        line, fields = head_of(await spoken.get("/v2/secret/manifests/v1"))
        assert line.startswith("HTTP/1.1 403 blocked by countersign: untrusted_key - https://proxy.example/-/d/")
        assert fields["content-type"] == "application/json"


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "PATCH", "POST"])
async def test_known_walks_around_a_classifier(method: str) -> None:
    async with listening() as (w, spoken):
        for target in TARGETS:
            reply = await spoken.say(f"{method} {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
            assert reply[:10] in {b"HTTP/1.1 4", b"HTTP/1.0 4"}, (target, reply[:60])
            assert SECRET.body not in reply
            assert not w.registry.seen, target


HOSTILE = st.sampled_from(
    [
        "..",
        "%2e%2e",
        "%2f",
        "%5c",
        "//",
        ";",
        "%00",
        "#",
        "/",
        "/../",
        "?",
        "%",
        "secret",
        "/v2/",
        "manifests",
        "V2",
        ":",
    ]
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
async def test_something_hostile_anywhere(data: st.DataObject) -> None:
    async with listening() as (w, spoken):
        for _ in range(8):
            w.registry.seen.clear()
            base = data.draw(st.sampled_from(["/v2/signed/manifests/v1", f"/v2/signed/manifests/{GOOD.digest}"]))
            at, piece = data.draw(st.integers(0, len(base))), data.draw(HOSTILE)
            target = base[:at] + piece + base[at:]
            reply = await spoken.say(f"GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode("latin-1"))
            assert SECRET.body not in reply
            path = target.partition("?")[0]
            for seen in w.registry.seen:
                repository = getattr(seen.operation, "repository", None)
                assert repository is None or f"/v2/{repository}/" in path, (target, seen.operation)
            if not w.registry.seen:
                assert reply[9:10] in {b"4", b"2"}
