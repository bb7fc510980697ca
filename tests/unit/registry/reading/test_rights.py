from __future__ import annotations

import asyncio

import pytest

from proxy.oci import operation as ops
from proxy.oci.faults import Unavailable
from proxy.oci.limits import Limits
from proxy.oci.reference import parse_repository
from proxy.registry.ports.upstream import Credential
from proxy.registry.reading.rights import NAME_S, REFUSED, REMEMBERED, UpstreamRights
from proxy.trust.question import Anonymous, Named
from tests.worlds.memory import FrozenClock
from tests.worlds.registry import Access, MemoryRegistry, Said, Seen, basic, error

APP = parse_repository("team/app")
OTHER = parse_repository("team/other")
ALICE = Credential(basic("alice", "secret"))
WRONG = Credential(basic("alice", "guess"))
USERS = {"alice": "secret", "bob": "hunter2"}
NOBODY = Credential()


class TableTokens:
    """Tokens that were issued through us: user and end."""

    def __init__(self, **tokens: tuple[str | None, float]) -> None:
        self.tokens = tokens

    def name_of(self, token: str) -> str | None:
        return self.tokens.get(token, (None, 0.0))[0]

    def ends(self, token: str) -> float | None:
        return self.tokens[token][1] if token in self.tokens else None


class World:
    """A registry in memory and the rights found out about it."""

    def __init__(self, access: Access | None = None, tokens: TableTokens | None = None) -> None:
        self.clock = FrozenClock()
        self.registry = MemoryRegistry(access=access or Access("htpasswd", USERS))
        self.registry.put_blob(APP, b"x")
        self.rights = UpstreamRights(self.registry, tokens or TableTokens(), self.clock, Limits())

    def asked(self) -> list[str]:
        return [type(seen.operation).__name__ for seen in self.registry.seen]


# Names


async def test_a_name_is_proven_where_another_password_is_refused() -> None:
    world = World()
    assert await world.rights.caller(APP, ALICE) == Named("alice", "basic")
    assert world.asked() == ["CheckApi", "CheckApi", "CheckApi"]
    assert world.registry.seen[2].authorization == ALICE.authorization
    guess = world.registry.seen[1].authorization or ""
    assert guess.startswith("Basic ")
    assert guess not in {ALICE.authorization, WRONG.authorization}
    assert await world.rights.caller(OTHER, ALICE) == Named("alice", "basic")
    assert len(world.registry.seen) == 3


async def test_every_guess_is_another_one() -> None:
    world = World()
    for user, password in USERS.items():
        await world.rights.caller(APP, Credential(basic(user, password)))
    passwords = {seen.authorization for seen in world.registry.seen}
    assert len(passwords) == 4


async def test_a_proof_is_asked_for_again_after_a_while() -> None:
    world = World()
    await world.rights.caller(APP, ALICE)
    world.clock.advance(NAME_S + 1)
    assert await world.rights.caller(APP, ALICE) == Named("alice", "basic")
    assert len(world.registry.seen) == 6


async def test_a_wrong_password_is_nobody() -> None:
    world = World()
    assert await world.rights.caller(APP, WRONG) == Anonymous("alice")
    await world.rights.caller(APP, ALICE)
    assert await world.rights.caller(APP, WRONG) == Anonymous("alice")


@pytest.mark.parametrize("kind", ["open", "lenient"])
async def test_an_upstream_that_takes_any_password_proves_nothing(kind: str) -> None:
    access = Access() if kind == "open" else Access("htpasswd", {}, anonymous_pull=True, lenient=True)
    world = World(access)
    for credential in (ALICE, WRONG, Credential(basic("release-manager", "anything"))):
        assert isinstance(await world.rights.caller(APP, credential), Anonymous)
    assert not world.registry.uploads


def only_on_tags(seen: Seen) -> Said | None:
    """Let anybody in at /v2/, as services do that check per repository."""
    return Said(200) if isinstance(seen.operation, ops.CheckApi) else None


async def test_where_the_front_door_is_open_the_repository_is_asked() -> None:
    world = World()
    world.registry.hooks.append(only_on_tags)
    assert await world.rights.caller(APP, ALICE) == Named("alice", "basic")
    assert await world.rights.caller(APP, WRONG) == Anonymous("alice")
    assert "ListTags" in world.asked()


async def test_where_everybody_may_read_the_right_to_push_proves_the_name() -> None:
    world = World(Access("htpasswd", USERS, anonymous_pull=True, lenient=True))
    assert await world.rights.caller(APP, ALICE) == Named("alice", "basic")
    assert await world.rights.caller(APP, WRONG) == Anonymous("alice")
    assert not world.registry.uploads  # each upload that was started is cancelled


@pytest.mark.parametrize("status", [429, 500, 503, 0])
async def test_a_proof_that_could_not_be_had_is_neither_yes_nor_no(status: int) -> None:
    world = World()
    world.registry.fail(ops.CheckApi, status)
    assert await world.rights.caller(APP, ALICE) == Anonymous("alice")
    assert await world.rights.caller(APP, ALICE) == Named("alice", "basic")


@pytest.mark.parametrize("status", [401, 403, 429, 500, 503])
@pytest.mark.parametrize("kind", [ops.CheckApi, ops.ListTags, ops.StartUpload])
async def test_what_refuses_everybody_for_a_moment_proves_nobody(kind: type, status: int) -> None:
    world = World(Access())
    calls = 0

    def limit(seen: Seen) -> Said | None:  # a firewall, a limit on logins: the second request and those after it
        nonlocal calls
        calls += isinstance(seen.operation, kind)
        return error(status, "DENIED") if isinstance(seen.operation, kind) and calls > 1 else None

    world.registry.hooks.append(limit)
    assert await world.rights.caller(APP, Credential(basic("release-manager", "anything"))) == Anonymous(
        "release-manager"
    )
    assert not world.registry.uploads


async def test_many_at_once_are_one_proof() -> None:
    world = World()
    callers = await asyncio.gather(*(world.rights.caller(APP, ALICE) for _ in range(50)))
    assert callers == [Named("alice", "basic")] * 50
    assert len(world.registry.seen) == 3


@pytest.mark.parametrize("sent", [None, "", "Basic", "Basic ???", basic("", "x"), "Digest a=b", "Basic \udcff"])
async def test_no_name_is_no_name(sent: str | None) -> None:
    world = World()
    assert await world.rights.caller(APP, Credential(sent)) == Anonymous()
    assert not world.registry.seen


async def test_a_tokens_user_is_whom_it_was_issued_to() -> None:
    world = World(tokens=TableTokens(good=("alice", 2000.0), public=(None, 2000.0)))
    assert await world.rights.caller(APP, Credential("Bearer good")) == Named("alice", "token")
    assert await world.rights.caller(APP, Credential("bearer  good")) == Named("alice", "token")
    assert await world.rights.caller(APP, Credential("Bearer public")) == Anonymous()
    assert await world.rights.caller(APP, Credential("Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbGljZSJ9.")) == Anonymous()
    assert not world.registry.seen


# Pushing


async def test_may_push_is_upstreams_own_answer_and_leaves_nothing_behind() -> None:
    world = World(Access("htpasswd", USERS, pushers=frozenset({"alice"})))
    assert await world.rights.may_push(APP, ALICE) is True
    assert await world.rights.may_push(APP, Credential(basic("bob", "hunter2"))) is False
    assert await world.rights.may_push(APP, NOBODY) is False
    assert world.asked() == ["StartUpload", "CancelUpload", "StartUpload", "StartUpload"]
    assert not world.registry.uploads


async def test_may_push_is_remembered_for_a_short_time() -> None:
    world = World()
    for _ in range(3):
        assert await world.rights.may_push(APP, ALICE)
    assert world.registry.count(ops.StartUpload) == 1
    assert await world.rights.may_push(OTHER, ALICE)
    assert world.registry.count(ops.StartUpload) == 2
    world.clock.advance(Limits().right_to_read_s + 1)
    assert await world.rights.may_push(APP, ALICE)
    assert world.registry.count(ops.StartUpload) == 3


async def test_a_no_is_remembered_for_a_shorter_time() -> None:
    world = World()
    assert not await world.rights.may_push(APP, WRONG)
    assert not await world.rights.may_push(APP, WRONG)
    assert world.registry.count(ops.StartUpload) == 1
    world.clock.advance(Limits().denial_cache_s + 1)
    assert not await world.rights.may_push(APP, WRONG)
    assert world.registry.count(ops.StartUpload) == 2


@pytest.mark.parametrize("status", [429, 500, 0])
async def test_no_answer_is_not_a_no(status: int) -> None:
    world = World()
    world.registry.fail(ops.StartUpload, status)
    with pytest.raises(Unavailable):
        await world.rights.may_push(APP, ALICE)
    assert await world.rights.may_push(APP, ALICE) is True


async def test_an_upload_that_cannot_be_cancelled_changes_nothing() -> None:
    world = World()
    world.registry.fail(ops.CancelUpload, 0)
    assert await world.rights.may_push(APP, ALICE) is True
    world.registry.hooks.append(
        lambda seen: Said(202, (("location", "/storage/x"),)) if isinstance(seen.operation, ops.StartUpload) else None
    )
    assert await world.rights.may_push(OTHER, ALICE) is True


# Reading


def test_a_right_to_read_is_one_credentials_in_one_repository_for_a_while() -> None:
    world = World()
    assert not world.rights.may_read(APP, ALICE)
    world.rights.confirm_read(APP, ALICE)
    assert world.rights.may_read(APP, ALICE)
    for repository, credential in ((OTHER, ALICE), (APP, WRONG), (APP, NOBODY), (APP, Credential(ours=True))):
        assert not world.rights.may_read(repository, credential)
    world.clock.advance(Limits().right_to_read_s - 1)
    assert world.rights.may_read(APP, ALICE)
    world.clock.advance(1)
    assert not world.rights.may_read(APP, ALICE)


def test_a_right_to_read_ends_with_the_token() -> None:
    clock = FrozenClock()
    world = World(tokens=TableTokens(brief=("alice", clock.monotonic() + 5)))
    brief = Credential("Bearer brief")
    world.rights.confirm_read(APP, brief)
    assert world.rights.may_read(APP, brief)
    world.clock.advance(5)
    assert not world.rights.may_read(APP, brief)


async def test_a_refusal_forgets_everything_about_a_credential() -> None:
    world = World()
    bob = Credential(basic("bob", "hunter2"))
    for credential in (ALICE, bob):
        world.rights.confirm_read(APP, credential)
        world.rights.confirm_read(OTHER, credential)
        await world.rights.may_push(APP, credential)
        await world.rights.caller(APP, credential)
    before = len(world.registry.seen)
    world.rights.refused(ALICE)
    assert not world.rights.may_read(APP, ALICE)
    assert not world.rights.may_read(OTHER, ALICE)
    assert world.rights.may_read(APP, bob)
    await world.rights.may_push(APP, ALICE)
    await world.rights.caller(APP, ALICE)
    assert len(world.registry.seen) == before + 5
    world.rights.refused(NOBODY)


async def test_what_is_remembered_is_bounded_and_holds_no_password() -> None:
    world = World()
    for n in range(REMEMBERED):
        world.rights.confirm_read(APP, Credential(basic(f"user{n}", "canary")))
    kept = world.rights._allowed
    assert len(kept) <= REMEMBERED
    assert not world.rights.may_read(APP, Credential(basic("user0", "canary")))
    assert world.rights.may_read(APP, Credential(basic(f"user{REMEMBERED - 1}", "canary")))
    assert b"canary" not in repr(list(kept._by.items())).encode()


async def test_who_is_refused_pushes_nobody_out_who_was_let_in() -> None:
    world = World()
    world.rights.confirm_read(APP, ALICE)
    for n in range(REFUSED + 100):
        await world.rights.may_push(APP, Credential(basic(f"guess{n}", "x")))
    assert world.rights.may_read(APP, ALICE)
    assert len(world.rights._denied) <= REFUSED


# Let in


async def test_upstream_lets_a_caller_in_once_and_its_word_is_reused() -> None:
    world = World()
    for _ in range(3):
        assert await world.rights.let_in(APP, ALICE) is None
    assert world.asked() == ["StartUpload", "CancelUpload"]
    assert not world.registry.uploads
    world.clock.advance(Limits().let_in_s + 1)
    assert await world.rights.let_in(APP, ALICE) is None
    assert world.registry.count(ops.StartUpload) == 2


async def test_the_start_of_an_upload_that_was_relayed_is_proof_enough() -> None:
    world = World()
    world.rights.confirm_push(APP, ALICE)
    assert await world.rights.let_in(APP, ALICE) is None
    assert await world.rights.may_push(APP, ALICE)
    assert not world.registry.seen
    assert await world.rights.let_in(OTHER, ALICE) is None  # another repository is another question
    assert len(world.registry.seen) == 2


async def test_who_is_not_let_in_gets_upstreams_own_words_and_is_forgotten() -> None:
    world = World()
    world.rights.confirm_push(APP, WRONG)
    world.rights.refused(WRONG)
    refusal = await world.rights.let_in(APP, WRONG)
    assert refusal is not None
    assert refusal.status == 401
    assert "www-authenticate" in dict(refusal.headers)
    assert world.asked() == ["StartUpload"]
    assert len(world.rights._allowed) == len(world.rights._denied) == 0


async def test_who_may_read_and_not_write_is_not_let_in() -> None:
    world = World(Access("htpasswd", USERS, pushers=frozenset({"alice"})))
    bob = Credential(basic("bob", "hunter2"))
    world.rights.confirm_read(APP, bob)
    refusal = await world.rights.let_in(APP, bob)
    assert refusal is not None
    assert refusal.status == 403


@pytest.mark.parametrize("status", [500, 503, 0])
async def test_an_upstream_that_does_not_say_lets_nobody_in(status: int) -> None:
    world = World()
    world.registry.fail(ops.StartUpload, status)
    with pytest.raises(Unavailable):
        await world.rights.let_in(APP, ALICE)
    assert await world.rights.let_in(APP, ALICE) is None


async def test_many_that_ask_to_be_let_in_are_one_question() -> None:
    world = World()
    assert await asyncio.gather(*(world.rights.let_in(APP, ALICE) for _ in range(50))) == [None] * 50
    assert world.asked() == ["StartUpload", "CancelUpload"]
