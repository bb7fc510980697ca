from __future__ import annotations

import json
from urllib.parse import urlencode

import pytest
from aiohttp import web

from proxy.oci import operation as ops
from proxy.oci.faults import Fault, Unavailable
from proxy.oci.operation import Query
from proxy.oci.reference import parse_repository
from proxy.registry.ports.upstream import Credential
from proxy.upstream.realm import LEARNT_S
from proxy.upstream.tokens import user_of
from tests.worlds.memory import FrozenClock
from tests.worlds.registry import Access, MemoryRegistry, Said, basic
from tests.worlds.registry_http import connected

PUBLIC = "https://proxy.example"
PULL: Query = (("service", "memory"), ("scope", "repository:team/app:pull"))
ALICE = basic("alice", "secret")
USERS = {"alice": "secret", "bob": "hunter2"}


def guarded(**changes: object) -> MemoryRegistry:
    return MemoryRegistry(access=Access("token", USERS, **changes))  # type: ignore[arg-type]


def token_of(body: bytes) -> str:
    return str(json.loads(body)["token"])


async def test_challenges_come_in_our_name() -> None:
    async with connected(guarded()) as (server, upstream):
        reply = await upstream.perform(ops.ListTags(parse_repository("team/app")), Credential())
        ours = upstream.realm.relayed(reply.headers, PUBLIC + "/")
        scope = 'service="memory",scope="repository:team/app:pull"'
        assert ("www-authenticate", f'Bearer realm="{PUBLIC}/-/token",{scope}') in ours
        assert server.url not in repr(ours)
        assert await upstream.realm.challenge(PUBLIC) == f'Bearer realm="{PUBLIC}/-/token",service="memory"'
        with_scope = await upstream.realm.challenge(PUBLIC, "repository:a:pull")
        assert with_scope == f'Bearer realm="{PUBLIC}/-/token",service="memory",scope="repository:a:pull"'


async def test_a_password_is_asked_for_in_our_name_and_nothing_else_passes() -> None:
    async with connected(MemoryRegistry()) as (_, upstream):
        came = (
            ("WWW-Authenticate", 'Negotiate, Basic realm="internal.example", NTLM'),
            ("content-type", "application/json"),
        )
        ours = upstream.realm.relayed(came, PUBLIC)
        assert ours == (("content-type", "application/json"), ("www-authenticate", 'Basic realm="registry"'))


async def test_a_token_is_the_realms_own() -> None:
    registry = guarded()
    async with connected(registry) as (server, upstream):
        extra = (("evil", "1"), ("realm", "https://evil.example"), ("password", "x"))
        reply = await upstream.realm.token("GET", (*PULL, *PULL[1:], *extra), ALICE)
        assert reply.status == 200
        assert token_of(reply.body) in registry.access.issued
        method, pairs, authorization = server.token_requests[0]
        assert (method, pairs, authorization) == ("GET", (*PULL, *PULL[1:]), ALICE)


async def test_the_service_is_named_where_the_caller_did_not() -> None:
    async with connected(guarded()) as (server, upstream):
        await upstream.realm.token("GET", PULL[1:], ALICE)
        assert dict(server.token_requests[0][1])["service"] == "memory"


@pytest.mark.parametrize("authorization", [basic("alice", "wrong"), basic("mallory", "")])
async def test_the_realms_refusal_is_the_answer(authorization: str) -> None:
    async with connected(guarded()) as (server, upstream):
        reply = await upstream.realm.token("GET", PULL, authorization)
        assert reply.status == 401
        assert b"errors" in reply.body
        assert len(server.token_requests) == 1


async def test_a_token_names_its_user_once_the_realm_has_shown_that_it_checks() -> None:
    async with connected(guarded()) as (server, upstream):
        first = await upstream.realm.token("GET", PULL, ALICE)
        assert upstream.realm.name_of(token_of(first.body)) == "alice"
        probe = server.token_requests[1]
        assert probe[:2] == ("GET", PULL)
        assert user_of(probe[2]) == "alice"
        assert probe[2] != ALICE
        second = await upstream.realm.token("GET", (*PULL[:1], ("scope", "repository:other:pull")), ALICE)
        assert upstream.realm.name_of(token_of(second.body)) == "alice"
        assert len(server.token_requests) == 3  # the probe is not repeated


async def test_a_token_of_nobody_names_nobody() -> None:
    async with connected(guarded(anonymous_pull=True)) as (server, upstream):
        reply = await upstream.realm.token("GET", (*PULL, ("account", "alice")), None)
        assert reply.status == 200
        assert upstream.realm.name_of(token_of(reply.body)) is None
        assert upstream.realm.ends(token_of(reply.body)) is not None
        assert len(server.token_requests) == 1
        assert upstream.realm.name_of("self-made") is None
        assert upstream.realm.ends("self-made") is None


async def test_a_realm_that_takes_any_password_proves_nothing() -> None:
    async with connected(guarded(anonymous_pull=True, lenient=True)) as (_, upstream):
        for authorization in (ALICE, basic("alice", "wrong"), basic("mallory", "x")):
            reply = await upstream.realm.token("GET", PULL, authorization)
            assert upstream.realm.name_of(token_of(reply.body)) is None


async def test_a_realm_that_checks_only_some_requests_proves_nothing_to_who_guesses() -> None:
    registry = guarded(anonymous_pull=True)
    public = (("scope", "repository:public:pull"),)
    async with connected(registry) as (server, upstream):

        async def careless(request: web.BaseRequest) -> web.StreamResponse | None:
            if request.raw_path.startswith("/token") and "public" in request.raw_path:
                said = registry.access.token(public, None)
                return web.Response(status=said.status, body=said.body, content_type="application/json")
            return None

        server.wild.append(careless)
        proven = await upstream.realm.token("GET", PULL, ALICE)
        assert upstream.realm.name_of(token_of(proven.body)) == "alice"
        guessed = await upstream.realm.token("GET", public, basic("alice", "guess"))
        assert guessed.status == 200
        assert upstream.realm.name_of(token_of(guessed.body)) is None
        known = await upstream.realm.token("GET", public, ALICE)
        assert upstream.realm.name_of(token_of(known.body)) == "alice"


async def test_the_form_of_oauth() -> None:
    form = (("grant_type", "password"), ("username", "alice"), ("password", "secret"), *PULL)
    async with connected(guarded()) as (server, upstream):
        reply = await upstream.realm.token("POST", (*form, ("access_type", "offline")), None)
        assert upstream.realm.name_of(token_of(reply.body)) == "alice"
        refresh = json.loads(reply.body)["refresh_token"]
        again = (("grant_type", "refresh_token"), ("refresh_token", refresh), *PULL)
        renewed = await upstream.realm.token("POST", again, None)
        assert renewed.status == 200
        assert upstream.realm.name_of(token_of(renewed.body)) == "alice"
        assert [method for method, _, _ in server.token_requests] == ["POST", "POST", "POST"]
        forged = (("grant_type", "refresh_token"), ("refresh_token", "forged"), ("username", "alice"), *PULL)
        assert (await upstream.realm.token("POST", forged, None)).status == 401


async def test_a_name_ends_with_its_token() -> None:
    clock = FrozenClock()
    registry = guarded(life_s=120, now=clock.monotonic)
    async with connected(registry, monotonic=clock.monotonic) as (_, upstream):
        token = token_of((await upstream.realm.token("GET", PULL, ALICE)).body)
        assert upstream.realm.ends(token) == clock.monotonic() + 120
        clock.advance(119)
        assert upstream.realm.name_of(token) == "alice"
        clock.advance(2)
        assert upstream.realm.name_of(token) is None


async def test_an_upstream_without_tokens_has_none() -> None:
    async with connected(MemoryRegistry()) as (server, upstream):
        assert await upstream.realm.challenge(PUBLIC) is None
        with pytest.raises(Fault, match="issues no tokens"):
            await upstream.realm.token("GET", PULL, ALICE)
        assert not server.token_requests


async def test_a_realm_that_is_only_named_below_repositories() -> None:
    clock = FrozenClock()
    registry = guarded(now=clock.monotonic)
    registry.hooks.append(lambda seen: Said(200) if isinstance(seen.operation, ops.CheckApi) else None)
    tags = ops.ListTags(parse_repository("team/app"))
    async with connected(registry, credentials=("alice", "secret"), monotonic=clock.monotonic) as (_, upstream):
        registry.put_blob("team/app", b"x")
        assert (await upstream.perform(tags, Credential(ours=True))).status == 200
        clock.advance(LEARNT_S + 1)
        for _ in range(3):
            assert (await upstream.realm.token("GET", PULL, ALICE)).status == 200
        assert registry.count(ops.CheckApi) == 0
        assert (await upstream.realm.token("GET", (), ALICE)).status == 200  # no repository: whatever was heard
        assert registry.count(ops.CheckApi) == 1
    async with connected(registry) as (_, upstream):
        reply = await upstream.perform(tags, Credential())
        upstream.realm.relayed(reply.headers, PUBLIC)
        assert (await upstream.realm.token("GET", PULL, ALICE)).status == 200


async def test_bounds_of_a_request() -> None:
    async with connected(guarded()) as (server, upstream):
        for pairs, size in (((("scope", "x"),) * 1_001, 1_001), ((("scope", "x" * 262_145),), 262_145)):
            told = f"too large: {len(pairs)} parameters with {size} bytes in all; at most 1000 with 262144 are read"
            with pytest.raises(Fault, match=told):
                await upstream.realm.token("GET", pairs, ALICE)
        with pytest.raises(Fault, match="not valid"):
            await upstream.realm.token("GET", PULL, "Basic \r\nX: y")
        assert not server.targets


async def test_the_realm_is_down() -> None:
    async with connected(guarded()) as (server, upstream):
        await upstream.realm.learn()

        async def broken(request: web.BaseRequest) -> web.StreamResponse | None:
            return web.Response(status=302, headers={"Location": "https://evil.example/"})

        server.wild.append(broken)
        with pytest.raises(Unavailable, match="credentials do not follow"):
            await upstream.realm.token("GET", PULL, ALICE)


async def test_a_realm_with_a_query_of_its_own_keeps_it() -> None:
    registry = guarded()
    async with connected(registry) as (server, upstream):
        registry.access.realm += "?tenant=a%20b"
        assert (await upstream.realm.token("GET", PULL, ALICE)).status == 200
        assert server.targets[-1].startswith("GET /token?tenant=a%20b&" + urlencode(PULL))


async def test_a_token_that_we_would_not_take_back_is_not_handed_on() -> None:
    async with connected(guarded()) as (server, upstream):
        most = 64 * 1024 - len("Bearer ")

        async def long(request: web.BaseRequest) -> web.StreamResponse | None:
            asked = request.raw_path.partition("?")[0] == "/token"
            return web.json_response({"token": "t" * size}) if asked else None

        server.wild.append(long)
        size = most
        assert (await upstream.realm.token("GET", PULL, ALICE)).status == 200
        size = most + 1
        told = (
            r"the token has 65537 bytes, and at most 65536 of Authorization are read here \(limits.authorization_bytes"
        )
        with pytest.raises(Fault, match=told):
            await upstream.realm.token("GET", PULL, ALICE)


async def test_a_challenge_may_name_512_repositories() -> None:
    async with connected(guarded()) as (server, upstream):
        scope = " ".join(f"repository:ocp-v4/some-operator-{n}-rhel8:pull,push" for n in range(512))

        async def many(request: web.BaseRequest) -> web.StreamResponse | None:
            asked = f'Bearer realm="{server.url}/token",service="memory",scope="{scope}"'
            return web.Response(status=401, headers={"WWW-Authenticate": asked})

        server.wild.append(many)
        reply = await upstream.perform(ops.ListTags(parse_repository("team/app")), Credential())
        ours = dict(upstream.realm.relayed(reply.headers, PUBLIC))["www-authenticate"]
        assert ours == f'Bearer realm="{PUBLIC}/-/token",service="memory",scope="{scope}"'


async def test_what_the_realm_says_to_a_page_is_passed_on() -> None:
    async with connected(guarded()) as (server, upstream):
        await upstream.realm.learn()

        async def preflight(request: web.BaseRequest) -> web.StreamResponse | None:
            allowed = {"Access-Control-Allow-Origin": request.headers["Origin"], "Set-Cookie": "a=b", "Vary": "Origin"}
            return web.Response(status=204, headers=allowed)

        server.wild.append(preflight)
        reply = await upstream.realm.token("OPTIONS", PULL, None, (("origin", "http://ui.example"),))
        assert reply.status == 204
        assert {("access-control-allow-origin", "http://ui.example"), ("vary", "Origin")} <= set(reply.headers)
        assert "set-cookie" not in dict(reply.headers)
        assert server.targets[-1].startswith("OPTIONS /token?service=memory&scope=")
