"""ATTACK 26: nothing of ours or the caller's goes to another origin, whatever upstream points to."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from proxy.oci import operation as ops
from proxy.oci.faults import Corrupt, Fault, Unavailable
from proxy.oci.operation import Operation
from proxy.oci.reference import digest_of, parse_repository, parse_tag
from proxy.registry.ports.upstream import Credential
from proxy.upstream.client import Upstream
from tests.worlds.registry import Access, MemoryRegistry, Said, Seen, basic
from tests.worlds.registry_http import RegistryServer, connected, serving

REPOSITORY = parse_repository("team/app")
CANARY = "canary-4711"
ALICE = basic("alice", CANARY)
USERS = {"alice": CANARY, "proxy": CANARY}
DIGEST = digest_of(b"x")
EVERY_KIND: tuple[Operation, ...] = (
    ops.CheckApi(),
    ops.ListRepositories(),
    ops.ListTags(REPOSITORY),
    ops.ListReferrers(REPOSITORY, DIGEST),
    ops.PullManifest(REPOSITORY, parse_tag("1")),
    ops.PushManifest(REPOSITORY, parse_tag("1")),
    ops.DeleteManifest(REPOSITORY, DIGEST),
    ops.PullBlob(REPOSITORY, DIGEST),
    ops.DeleteBlob(REPOSITORY, DIGEST),
    ops.StartUpload(REPOSITORY),
    ops.UploadChunk(REPOSITORY, "1"),
    ops.FinishUpload(REPOSITORY, "1", DIGEST),
    ops.UploadStatus(REPOSITORY, "1"),
    ops.CancelUpload(REPOSITORY, "1"),
)


@pytest.fixture
async def elsewhere() -> AsyncIterator[RegistryServer]:
    """Somebody else's server; the test is lost when it hears anything."""
    async with serving(MemoryRegistry()) as server:
        yield server
        assert server.targets == []


def held(text: str) -> bool:
    """True when a text gives a secret away, as it is or in base64."""
    return CANARY in text or base64.b64encode(f"alice:{CANARY}".encode()).decode() in text


async def performed(upstream: Upstream, operation: Operation, credential: Credential) -> None:
    try:
        reply = await upstream.perform(operation, credential)
    except (Unavailable, Corrupt) as exc:
        assert not held(str(exc))  # either outcome is fine, a leak is not
    else:
        assert not held(repr(reply.headers))
        await reply.close()


@pytest.mark.parametrize("status", [200, 201, 202, 301, 302, 303, 307, 308, 401])
async def test_no_pointer_is_followed(elsewhere: RegistryServer, status: int) -> None:
    registry = MemoryRegistry()
    challenge = f'Bearer realm="{elsewhere.url}/token",service="memory"'

    def pointing(seen: Seen) -> Said:
        there = f"{elsewhere.url}/v2/x"
        link = f'<{elsewhere.url}/v2/_catalog?n=1>; rel="next"'
        return Said(status, (("location", there), ("link", link), ("www-authenticate", challenge)), b"{}")

    registry.hooks.append(pointing)
    async with connected(registry, credentials=("proxy", CANARY)) as (_, upstream):
        for operation in EVERY_KIND:
            for credential in (Credential(ALICE), Credential(ours=True)):
                await performed(upstream, operation, credential)


def look_alikes(url: str) -> list[str]:
    """Ways to write another place so that it looks like upstream."""
    host, _, port = url.removeprefix("http://").partition(":")
    return [
        f"http://localhost:{port}/token",
        f"http://{host}:1/token",
        f"https://{host}:{port}/token",
        f"http://{host}:{port}@evil.example/token",
        f"http://{host}:{port}.evil.example/token",
        f"http://evil.example\\@{host}:{port}/token",
        f"http://evil.example#@{host}:{port}/token",
        f"//{host}:{port}/token",
        "/token",
        "file:///etc/passwd",
        "http://169.254.169.254/latest/meta-data/",
        "",
    ]


@pytest.mark.parametrize("number", range(12))
async def test_a_realm_that_only_looks_like_upstream_gets_nothing(number: int) -> None:
    registry = MemoryRegistry(access=Access("token", USERS))
    async with connected(registry, credentials=("proxy", CANARY)) as (server, upstream):
        registry.access.realm = look_alikes(server.url)[number]
        with pytest.raises((Unavailable, Fault)) as raised:
            await upstream.realm.token("GET", (("scope", "repository:team/app:pull"),), ALICE)
        assert not held(str(raised.value))
        with pytest.raises((Unavailable, Fault)) as raised:
            await upstream.perform(ops.CheckApi(), Credential(ours=True))
        assert not held(str(raised.value))
        assert server.token_requests == []


async def test_a_realm_elsewhere_is_named_with_what_to_do(elsewhere: RegistryServer) -> None:
    registry = MemoryRegistry(access=Access("token", USERS))
    async with connected(registry) as (_, upstream):
        registry.access.realm = f"{elsewhere.url}/token?secret=1"
        with pytest.raises(Fault, match=r"adds its origin to upstreams\[\]\.realms") as raised:
            await upstream.realm.token("GET", (), ALICE)
        assert (raised.value.code, raised.value.status) == ("DENIED", 403)  # a 503 would be repeated, its text lost
        assert "secret" not in str(raised.value)


async def test_a_realm_elsewhere_that_is_configured_is_asked() -> None:
    access = Access("token", USERS)
    async with serving(MemoryRegistry(access=access)) as realm:
        registry = MemoryRegistry(access=access)
        async with connected(registry, realms=(realm.url,)) as (server, upstream):
            access.realm = f"{realm.url}/token"
            reply = await upstream.realm.token("GET", (("scope", "repository:team/app:pull"),), ALICE)
            assert reply.status == 200
            assert len(realm.token_requests) == 2  # and the probe with another password
            assert server.token_requests == []


async def test_a_token_realm_cannot_send_credentials_further(elsewhere: RegistryServer) -> None:
    registry = MemoryRegistry(access=Access("token", USERS))

    async def further(request: web.BaseRequest) -> web.StreamResponse | None:
        if request.raw_path.startswith("/token"):
            return web.Response(status=307, headers={"Location": f"{elsewhere.url}/token"})
        return None

    async with connected(registry, credentials=("proxy", CANARY)) as (server, upstream):
        server.wild.append(further)
        for method in ("GET", "POST"):
            with pytest.raises(Unavailable, match="do not follow"):
                await upstream.realm.token(method, (), ALICE)
        with pytest.raises(Unavailable, match="do not follow"):
            await upstream.perform(ops.CheckApi(), Credential(ours=True))


async def test_a_challenge_elsewhere_still_comes_in_our_name(elsewhere: RegistryServer) -> None:
    async with connected(MemoryRegistry()) as (_, upstream):
        came = (("www-authenticate", f'Bearer realm="{elsewhere.url}/token",service="x"'),)
        ours = upstream.realm.relayed(came, "https://proxy.example")
        assert ours == (("www-authenticate", 'Bearer realm="https://proxy.example/-/token",service="x"'),)
        with pytest.raises(Fault):
            await upstream.realm.token("GET", (), ALICE)


async def test_our_credentials_are_for_our_own_work_only() -> None:
    registry = MemoryRegistry(access=Access("htpasswd", USERS))
    async with connected(registry, credentials=("proxy", CANARY)) as (_, upstream):
        for credential in (Credential(), Credential("Bearer x"), Credential(basic("alice", "wrong"))):
            reply = await upstream.perform(ops.CheckApi(), credential)
            assert reply.status == 401
            await reply.close()
    assert [seen.authorization for seen in registry.seen] == [None, "Bearer x", basic("alice", "wrong")]


async def test_credentials_do_not_show() -> None:
    registry = MemoryRegistry(access=Access("token", USERS))
    async with connected(registry, credentials=("proxy", CANARY)) as (_, upstream):
        reply = await upstream.realm.token("GET", (), ALICE)
        for thing in (Credential(ALICE), upstream, upstream.realm, reply):
            assert not held(repr(thing))
        assert reply.body.decode() not in repr(reply)
