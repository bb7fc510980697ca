"""What is learned of the referrers API: by our own question, about a manifest that the same account is let read."""

from __future__ import annotations

import asyncio

import pytest

from proxy.oci import operation as ops
from proxy.oci.faults import Unavailable
from proxy.oci.reference import parse_repository
from proxy.registry.ports.upstream import Credential, ReferrersApi
from proxy.upstream.referrers import HAS_NOT_S, HAS_S, ReferrersMode
from tests.worlds.images import image
from tests.worlds.memory import FrozenClock
from tests.worlds.registry import Access, MemoryRegistry, Said, Seen, basic, error
from tests.worlds.registry_http import connected

REPOSITORY, OTHER = parse_repository("team/app"), parse_repository("team/other")
ALICE = Credential(basic("alice", "secret"))
APP = image("app")
HAS, HAS_NOT, UNKNOWN = ReferrersApi.HAS, ReferrersApi.HAS_NOT, ReferrersApi.UNKNOWN
HTML = (("content-type", "text/html"),)


def with_app(registry: MemoryRegistry) -> MemoryRegistry:
    for repository in (REPOSITORY, OTHER):
        registry.put_manifest(repository, APP.body, APP.media_type, "v1")
    return registry


def answers(registry: MemoryRegistry, said: Said, where: str = "") -> None:
    """Have it answer so wherever referrers are asked for."""

    def hook(seen: Seen) -> Said | None:
        op = seen.operation
        return said if isinstance(op, ops.ListReferrers) and where in ("", op.repository) else None

    registry.hooks.append(hook)


@pytest.mark.parametrize("there", [True, False])
async def test_it_is_asked_once_for_all_who_want_to_know(there: bool) -> None:
    clock, registry = FrozenClock(), with_app(MemoryRegistry(referrers=there))
    async with connected(registry, monotonic=clock.monotonic) as (_, upstream):
        for _ in range(2):
            found = await asyncio.gather(*(upstream.referrers_api(REPOSITORY, APP.digest, ALICE) for _ in range(20)))
            assert found == [HAS if there else HAS_NOT] * 20
        assert registry.count(ops.ListReferrers) == 1
        clock.advance((HAS_S if there else HAS_NOT_S) + 1)
        registry.referrers = not there
        assert await upstream.referrers_api(REPOSITORY, APP.digest, ALICE) is (HAS_NOT if there else HAS)


@pytest.mark.parametrize("status", [401, 408, 429, 500, 502, 503])
async def test_an_answer_that_may_pass_has_taught_nothing(status: int) -> None:
    registry = with_app(MemoryRegistry())
    challenge = (("www-authenticate", 'Basic realm="memory"'),)
    answers(registry, Said(status, challenge, b"not now"))
    async with connected(registry) as (_, upstream):
        with pytest.raises(Unavailable, match=f"answered {status}"):
            await upstream.referrers_api(REPOSITORY, APP.digest, ALICE)
        registry.hooks.clear()
        assert await upstream.referrers_api(REPOSITORY, APP.digest, ALICE) is HAS


@pytest.mark.parametrize(
    "said",
    [
        Said(404),
        Said(404, (), b" \n"),
        error(404, "NAME_UNKNOWN"),
        Said(200, HTML, b"<html>welcome</html>"),
        Said(200, (("content-type", "application/json"),), b"{}"),
        Said(204),
        Said(301, (("location", "/v2/elsewhere/"),)),
        Said(303, (("location", "https://github.example.com/-/v2/packages"),)),
        Said(400, HTML, b"bad"),
        Said(401, HTML, b"no challenge"),
        Said(403, HTML, b"no"),
        Said(405, HTML, b"no"),
        Said(406, HTML, b"no"),
        Said(501, HTML, b"no"),
    ],
    ids=lambda said: f"{said.status}-{len(said.body)}",
)
async def test_what_is_neither_yes_nor_no_is_told_so_and_not_remembered(said: Said) -> None:
    registry = with_app(MemoryRegistry())
    answers(registry, said)
    async with connected(registry) as (_, upstream):
        assert await upstream.referrers_api(REPOSITORY, APP.digest, ALICE) is UNKNOWN
        registry.hooks.clear()
        assert await upstream.referrers_api(REPOSITORY, APP.digest, ALICE) is HAS


@pytest.mark.parametrize(
    "said",
    [
        Said(404, HTML, b"404 page not found\n"),
        Said(404, (("content-type", "application/json"),), b'{"errors":[]}'),
        Said(404, (("content-type", "application/json"),), b'{"errors":[{"message":"no such route"}]}'),
    ],
)
async def test_a_404_counts_about_a_manifest_that_the_same_account_reads(said: Said) -> None:
    registry = with_app(MemoryRegistry())
    answers(registry, said)
    async with connected(registry) as (_, upstream):
        nothing = image("never pushed").digest
        assert await upstream.referrers_api(REPOSITORY, nothing, ALICE) is UNKNOWN
        assert await upstream.referrers_api(parse_repository("no/such"), APP.digest, ALICE) is UNKNOWN
        assert await upstream.referrers_api(REPOSITORY, APP.digest, ALICE) is HAS_NOT


async def test_one_repository_says_nothing_about_another() -> None:
    registry = with_app(MemoryRegistry())
    answers(registry, Said(404, HTML, b"404 page not found\n"), OTHER)
    async with connected(registry) as (_, upstream):
        assert await upstream.referrers_api(OTHER, APP.digest, ALICE) is HAS_NOT
        assert await upstream.referrers_api(REPOSITORY, APP.digest, ALICE) is HAS
        assert await upstream.referrers_api(OTHER, APP.digest, ALICE) is HAS_NOT


async def test_what_was_there_is_not_forgotten_for_a_404() -> None:
    registry = with_app(MemoryRegistry())
    async with connected(registry) as (_, upstream):
        assert await upstream.referrers_api(REPOSITORY, APP.digest, ALICE) is HAS
        answers(registry, Said(404, HTML, b"404 page not found\n"))
        assert await upstream.referrers_api(REPOSITORY, APP.digest, ALICE) is HAS


async def test_our_own_account_asks_where_there_is_one() -> None:
    registry = with_app(MemoryRegistry(access=Access("htpasswd", {"alice": "secret", "ours": "own"})))
    async with connected(registry, credentials=("ours", "own")) as (_, upstream):
        assert await upstream.referrers_api(REPOSITORY, APP.digest, Credential()) is HAS
    assert {seen.authorization for seen in registry.seen} == {basic("ours", "own")}


@pytest.mark.parametrize("hides", [401, 403, 404])
async def test_where_our_own_account_may_not_read_the_callers_is_asked(hides: int) -> None:
    """A registry that hides from us what it shows to others has said nothing about its API."""
    registry = with_app(MemoryRegistry())
    ours = basic("ours", "own")
    registry.hooks.append(lambda s: Said(hides, HTML, b"not for you") if s.authorization == ours else None)
    async with connected(registry, credentials=("ours", "own")) as (_, upstream):
        assert await upstream.referrers_api(REPOSITORY, APP.digest, ALICE) is HAS
    assert {seen.authorization for seen in registry.seen} == {ours, ALICE.authorization}


async def test_an_account_of_ours_that_is_refused_stops_nobody() -> None:
    access = Access("htpasswd", {"alice": "secret"})
    async with connected(with_app(MemoryRegistry(access=access)), credentials=("ours", "old")) as (_, upstream):
        assert await upstream.referrers_api(REPOSITORY, APP.digest, ALICE) is HAS


@pytest.mark.parametrize(("manner", "found"), [("api", HAS), ("none", HAS_NOT)])
async def test_where_the_operator_says_it_nobody_is_asked(manner: ReferrersMode, found: ReferrersApi) -> None:
    registry = MemoryRegistry()
    async with connected(registry, referrers=manner) as (_, upstream):
        assert await upstream.referrers_api(REPOSITORY, APP.digest, ALICE) is found
    assert not registry.seen


async def test_one_who_goes_away_does_not_take_the_question_along() -> None:
    registry = with_app(MemoryRegistry())
    arrived, gate = asyncio.Event(), asyncio.Event()

    async def wait(seen: Seen) -> None:
        arrived.set()
        await gate.wait()

    registry.pause = wait
    async with connected(registry) as (_, upstream):
        first = asyncio.create_task(upstream.referrers_api(REPOSITORY, APP.digest, ALICE))
        second = asyncio.create_task(upstream.referrers_api(REPOSITORY, APP.digest, ALICE))
        await arrived.wait()
        first.cancel()
        gate.set()
        assert await second is HAS
        with pytest.raises(asyncio.CancelledError):
            await first
