"""By denials and keys that may be old nothing is pushed or signed, and by very old ones nothing is served."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from proxy.journal.event import EventKind
from proxy.oci.faults import Fault, Unavailable
from proxy.oci.limits import Limits
from proxy.oci.manifest import Descriptor
from proxy.oci.reference import Repository, digest_of
from proxy.registry.reading.fresh import require_fresh, require_known
from proxy.registry.signing.sign import sign
from proxy.trust.actor import Actor
from proxy.trust.policy import Policy, PullRules, PushRules
from proxy.trust.requirement import Mode
from tests.worlds.conversation import World, user, world
from tests.worlds.images import image
from tests.worlds.orders import exception

BY = Actor("bob", "basic", "", "r")

APP = image("app")
REPO = Repository("team/app")
SIGN_S, PULL_S = Limits().books_sign_s, Limits().books_pull_s


@dataclass
class Aged:
    """Books that are as old as a test says."""

    seconds: float = 0.0

    def age(self) -> float:
        return self.seconds


async def shared(*policies: Policy) -> tuple[World, Aged]:
    """A proxy that shares its store with others."""
    w, books = await world(*policies), Aged()
    w.ports = replace(w.ports, books=books)
    return w, books


async def test_a_server_that_has_its_store_to_itself_is_never_old() -> None:
    w = await world()
    w.store.clock.advance(10 * PULL_S)
    require_fresh(w.ports)
    require_known(REPO, w.ports)


async def test_pushes_stop_at_the_first_bound_and_go_on_by_themselves() -> None:
    w, books = await shared()
    books.seconds = SIGN_S
    await w.push(APP, "team/app", "1")
    books.seconds = SIGN_S + 0.001
    upstream = dict(w.registry.shelf("team/app").tags)
    with pytest.raises(Fault, match="the record of what was signed and denied does not answer") as refused:
        await w.push(image("other"), "team/app", "2")
    assert (refused.value.status, refused.value.reason) == (403, "not_signed")
    assert w.store.journal.kinds()[-1] is EventKind.PUSH_NOT_SIGNED
    assert w.registry.shelf("team/app").tags == upstream
    assert (await w.pull("team/app", "1")).body == APP.body
    books.seconds = 0.2
    assert (await w.push(image("other"), "team/app", "2")).status == 201


async def test_nothing_is_taken_unsigned_either() -> None:
    w, books = await shared(Policy(("**",), PushRules(sign_with=()), PullRules("off")))
    books.seconds = SIGN_S + 1
    with pytest.raises(Fault, match="the record of what was signed and denied does not answer"):
        await w.push(APP, "team/app", "1")
    w, books = await shared()
    await w.store.overrides.keep(exception(unsigned_push=True))
    books.seconds = SIGN_S + 1
    with pytest.raises(Fault, match="the record of what was signed and denied does not answer"):
        await w.push(APP, "team/app", "1")
    assert w.registry.shelf("team/app").tags == {}


async def test_the_token_is_not_asked_whoever_wants_a_signature() -> None:
    w, books = await shared()
    books.seconds = SIGN_S + 1
    about = Descriptor(APP.media_type, APP.digest, len(APP.body))
    with pytest.raises(Unavailable, match="countersign status"):
        await sign(REPO, about, [("cosign-simple", "proxy.example/team/app")], ("release",), {}, BY, w.ports)
    assert all(entry.signature is None for entry in w.store.ledger.rows.values())


@pytest.mark.parametrize("mode", ["enforce", "warn", "off"])
async def test_pulls_stop_at_the_second_bound_in_every_mode_as_denials_hold_in_every_mode(mode: Mode) -> None:
    w, books = await shared(Policy(("**",), pull=PullRules(mode, reviewers=("rita",))))
    w.put_behind(APP, "team/app", "1")
    books.seconds = PULL_S + 0.001
    assert await w.blocked("team/app", "1") == "not_verifiable"
    with pytest.raises(Fault) as refused:
        await w.blob("team/app", digest_of(APP.blobs[1]), user("rita"))
    assert refused.value.reason == "not_verifiable"


async def test_what_was_remembered_is_not_served_by_old_books() -> None:
    w, books = await shared()
    await w.push(APP, "team/app", "1")
    assert (await w.pull("team/app", "1")).status == 200
    books.seconds = PULL_S + 0.001
    assert await w.blocked("team/app", "1") == "not_verifiable"
    rows = len(w.store.journal.events)
    books.seconds += 7
    assert await w.blocked("team/app", "1") == "not_verifiable"
    assert len(w.store.journal.events) == rows, "the same text is the same row, however old they are"
    books.seconds = 0
    assert (await w.pull("team/app", "1")).body == APP.body


async def test_who_broke_the_glass_on_this_host_is_served() -> None:
    w, books = await shared()
    for repository in ("team/app", "team/other"):
        w.put_behind(APP, repository, "1")
    await w.store.overrides.keep(exception("team/app", offline=True))
    books.seconds = PULL_S + 1
    assert (await w.pull("team/app", "1")).body == APP.body
    assert await w.blocked("team/other", "1") == "not_verifiable"
