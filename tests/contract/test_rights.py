"""Who is calling, and what they may do: asked of registries that are open, want passwords, or want tokens."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from proxy.oci import operation as ops
from proxy.oci.limits import Limits
from proxy.oci.reference import parse_repository
from proxy.registry.ports.upstream import Credential
from proxy.registry.reading.rights import UpstreamRights
from proxy.trust.question import Anonymous, Named
from proxy.upstream.client import Upstream
from tests.interop.registries import behind, docker_registry, passwords, token_server
from tests.worlds.memory import FrozenClock
from tests.worlds.registry import Access, MemoryRegistry, basic
from tests.worlds.registry_http import serving

APP = parse_repository("team/app")
USERS = {"alice": "secret", "reader": "secret"}
PUSHERS = frozenset({"alice"})
GRANTS = {"alice": [("team/**", "pull,push")], "reader": [("team/**", "pull")]}


@dataclass
class World:
    """A registry of one kind, and the rights found out about it."""

    kind: str
    upstream: Upstream
    rights: UpstreamRights

    async def credential(self, user: str, password: str, actions: str = "pull,push") -> Credential:
        """Log in as the clients of such a registry do; a token that is not given leaves the password."""
        if self.kind != "token":
            return Credential(basic(user, password))
        scope = ("scope", f"repository:{APP}:{actions}")
        reply = await self.upstream.realm.token("GET", (scope,), basic(user, password))
        if reply.status != 200:
            return Credential(basic(user, password))
        return Credential("Bearer " + json.loads(reply.body)["token"])


@pytest.fixture(
    params=[
        "open",
        "htpasswd",
        "token",
        *(pytest.param(f"real {kind}", marks=pytest.mark.real) for kind in ("open", "htpasswd", "token")),
    ]
)
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    real, _, kind = request.param.rpartition(" ")
    realms: tuple[str, ...] = ()
    async with AsyncExitStack() as stack:
        if not real:
            access = Access(kind, USERS, pushers=None if kind == "open" else PUSHERS)
            url = (await stack.enter_async_context(serving(MemoryRegistry(access=access)))).url
        else:
            auth = passwords(tmp_path, USERS) if kind == "htpasswd" else None
            if kind == "token":
                server = stack.enter_context(token_server(tmp_path / "tokens", users=USERS, grants=GRANTS))
                auth, realms = behind(server), (server.realm.removesuffix("/token"),)
            url = stack.enter_context(docker_registry(tmp_path / "registry", auth=auth)).url
        upstream = Upstream(url, credentials=("alice", "secret"), realms=realms)
        stack.push_async_callback(upstream.close)
        yield World(kind, upstream, UpstreamRights(upstream, upstream.realm, FrozenClock(), Limits()))


async def test_a_name_counts_where_it_is_proven(world: World) -> None:
    caller = await world.rights.caller(APP, await world.credential("alice", "secret"))
    how = {"open": None, "htpasswd": "basic", "token": "token"}[world.kind]
    assert caller == (Anonymous("alice") if how is None else Named("alice", how))


@pytest.mark.parametrize(("user", "password"), [("alice", "guess"), ("release-manager", "anything")])
async def test_a_name_that_is_only_claimed_does_not(world: World, user: str, password: str) -> None:
    await world.rights.caller(APP, await world.credential("alice", "secret"))
    assert await world.rights.caller(APP, await world.credential(user, password)) == Anonymous(user)


async def test_a_self_made_token_names_nobody(world: World) -> None:
    forged = Credential("Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbGljZSJ9.")
    assert await world.rights.caller(APP, forged) == Anonymous()


async def test_may_push_is_what_upstream_says(world: World) -> None:
    assert await world.rights.may_push(APP, await world.credential("alice", "secret")) is True
    assert await world.rights.may_push(APP, Credential()) is (world.kind == "open")
    assert await world.rights.may_push(APP, await world.credential("alice", "guess")) is (world.kind == "open")
    if world.kind == "token":
        reader = await world.credential("reader", "secret")
        assert await world.rights.caller(APP, reader) == Named("reader", "token")
        assert await world.rights.may_push(APP, reader) is False
        narrow = await world.credential("alice", "secret", "pull")
        assert await world.rights.may_push(APP, narrow) is False


async def test_our_own_credentials_work(world: World) -> None:
    for operation in (ops.CheckApi(), ops.StartUpload(APP)):
        reply = await world.upstream.perform(operation, Credential(ours=True))
        assert reply.status in {200, 202}
        await reply.close()
