"""ATTACK 12: somebody else's name, on an upstream that does check passwords, without knowing the password."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass

import pytest
from aiohttp import web

from proxy.oci.faults import Fault
from proxy.oci.limits import Limits
from proxy.oci.operation import Query
from proxy.oci.reference import parse_repository
from proxy.registry.ports.upstream import Credential
from proxy.registry.reading.rights import UpstreamRights
from proxy.trust.question import Anonymous, Named
from tests.worlds.memory import FrozenClock
from tests.worlds.registry import Access, MemoryRegistry, Said, basic
from tests.worlds.registry_http import connected

APP = parse_repository("team/app")
USERS = {"release-manager": "not known to mallory", "mallory": "right"}
MANAGER = basic("release-manager", "guess")
MALLORY = (("username", "mallory"), ("password", "right"))
SCOPE = (("service", "memory"), ("scope", "repository:team/app:pull"))


def _b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


# Servers that read only the canonical spelling take each of these for nobody, and nobody may read here.
UNUSUAL = [
    MANAGER.replace("Basic ", "Basic  "),
    MANAGER.replace("Basic", "basic"),
    MANAGER.replace("Basic", "BASIC"),
    "Basic " + _b64("release-manager:guess1").rstrip("="),
    basic("release-manager", ""),
]


@dataclass
class Forgiving(Access):
    """Anybody may read. What is not a password in the usual spelling is no password; a wrong one is refused."""

    def refusal(self, authorization: str | None, repository: str | None, action: str) -> Said | None:
        return super().refusal(_read(authorization), repository, action)

    def token(self, query: Query, authorization: str | None) -> Said:
        first = tuple(dict(reversed(query)).items())  # of two that say the same name, as Go's url.Values.Get does
        return super().token(first, _read(authorization))


def _read(authorization: str | None) -> str | None:
    scheme, _, text = (authorization or "").partition(" ")
    try:
        name, _, password = base64.b64decode(text, validate=True).decode().partition(":")
    except ValueError:
        return None
    return authorization if scheme == "Basic" and password and basic(name, password) == authorization else None


@pytest.mark.parametrize("authorization", UNUSUAL)
async def test_a_spelling_that_upstream_overlooks_names_nobody(authorization: str) -> None:
    registry = MemoryRegistry(access=Forgiving("htpasswd", USERS, anonymous_pull=True))
    registry.put_blob(APP, b"x")

    class Tokens:
        def name_of(self, token: str) -> str | None:
            raise AssertionError(token)

        def ends(self, token: str) -> float | None:
            raise AssertionError(token)

    rights = UpstreamRights(registry, Tokens(), FrozenClock(), Limits())
    assert not isinstance(await rights.caller(APP, Credential(authorization)), Named)
    assert not isinstance(await rights.caller(APP, Credential(MANAGER)), Named)


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("authorization", UNUSUAL)
async def test_a_spelling_that_the_realm_overlooks_names_nobody(authorization: str, method: str) -> None:
    registry = MemoryRegistry(access=Forgiving("token", USERS, anonymous_pull=True))
    async with connected(registry) as (_, upstream):
        reply = await upstream.realm.token(method, SCOPE, authorization)
        assert reply.status == 200
        assert upstream.realm.name_of(str(json.loads(reply.body)["token"])) is None


@pytest.mark.parametrize("grant", [(("grant_type", "password"),), ()])
async def test_a_name_beside_the_password_that_counted_is_not_believed(grant: Query) -> None:
    async with connected(MemoryRegistry(access=Access("token", USERS))) as (_, upstream):
        reply = await upstream.realm.token("POST", (*grant, *MALLORY, *SCOPE), MANAGER)
        assert reply.status == 200
        token = str(json.loads(reply.body)["token"])
        assert upstream.realm.name_of(token) is None
        rights = UpstreamRights(upstream, upstream.realm, FrozenClock(), Limits())
        assert await rights.caller(APP, Credential(f"Bearer {token}")) == Anonymous()


@pytest.mark.parametrize(
    "twice",
    [
        (("grant_type", "password"), *MALLORY, ("username", "release-manager")),
        (("grant_type", "password"), *MALLORY, ("password", "guess")),
        (("grant_type", "password"), *MALLORY, ("grant_type", "refresh_token"), ("refresh_token", "x")),
    ],
)
async def test_of_two_names_none_is_passed_on(twice: Query) -> None:
    registry = MemoryRegistry(access=Forgiving("token", USERS))
    async with connected(registry) as (server, upstream):
        with pytest.raises(Fault, match="twice"):
            await upstream.realm.token("POST", (*twice, *SCOPE), None)
        assert not server.token_requests


@pytest.mark.parametrize("first", [None, basic("mallory", "right"), basic("release-manager", "not known to mallory")])
async def test_one_token_for_everybody_names_nobody(first: str | None) -> None:
    registry = MemoryRegistry(access=Forgiving("token", USERS, anonymous_pull=True))
    manager = basic("release-manager", "not known to mallory")
    async with connected(registry) as (server, upstream):

        async def generous(request: web.BaseRequest) -> web.StreamResponse | None:
            known = request.headers.get("Authorization") in {None, manager, basic("mallory", "right")}
            if request.path != "/token" or not known:
                return None
            return web.json_response({"token": "the-same"})

        server.wild.append(generous)
        for authorization in (first, None, manager):
            assert (await upstream.realm.token("GET", SCOPE, authorization)).status == 200
        assert upstream.realm.name_of("the-same") is None
        assert upstream.realm.ends("the-same") is not None


async def test_many_tokens_of_nobody_take_no_name_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.upstream.realm.TOKENS_REMEMBERED", 5)
    async with connected(MemoryRegistry(access=Access("token", USERS, anonymous_pull=True))) as (_, upstream):
        reply = await upstream.realm.token("GET", SCOPE, basic("mallory", "right"))
        for _ in range(10):
            await upstream.realm.token("GET", SCOPE, None)
        assert upstream.realm.name_of(str(json.loads(reply.body)["token"])) == "mallory"


async def test_who_gives_their_own_password_is_still_believed() -> None:
    registry = MemoryRegistry(access=Forgiving("token", USERS))
    async with connected(registry) as (_, upstream):
        for method, pairs, authorization in (
            ("GET", SCOPE, basic("mallory", "right")),
            ("POST", SCOPE, basic("mallory", "right")),
            ("POST", (("grant_type", "password"), *MALLORY, *SCOPE), None),
        ):
            reply = await upstream.realm.token(method, pairs, authorization)
            assert upstream.realm.name_of(str(json.loads(reply.body)["token"])) == "mallory"
