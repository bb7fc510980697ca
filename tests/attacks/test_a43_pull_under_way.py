"""ATTACK 43: what changes while a pull is under way counts, and nobody's pull fails because something else changes.

Upstream is as slow as it likes; whoever makes it slow must not be served by keys, policies or orders of before.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from proxy.formats.format import Signing
from proxy.formats.identity import parse_subject
from proxy.formats.notation import NOTATION_JWS
from proxy.journal.event import Event, EventKind
from proxy.oci.faults import Fault
from proxy.oci.operation import PullManifest
from proxy.oci.reference import digest_of, signature_tag
from proxy.registry.judging.now import AGAIN
from proxy.trust.authority import Authority
from proxy.trust.decision import Decision
from proxy.trust.keys import KeyRing, KeyState, fingerprint
from proxy.trust.policy import Clause, Policy, PullRules, PushRules
from tests.worlds.certificates import chain_of, trio
from tests.worlds.conversation import HOST, SIGN, World, signed_by, world
from tests.worlds.foreign import put_bundle, put_sig, trusted
from tests.worlds.images import Image, image, index
from tests.worlds.memory import NOON
from tests.worlds.orders import denial, exception
from tests.worlds.registry import Seen
from tests.worlds.revocations import Entry, clean, crl
from tests.worlds.softkey import about, layer_of, soft_key

APP, OTHER = image("app"), image("other")
PARTNER = soft_key(name="partner")
PUSH = PushRules(sign_with=("release",))
BOTH = Policy(("**",), PUSH, PullRules(require=(Clause(("release",)), Clause(("partner",)))))
Change = Callable[[World], Awaitable[object]]


@dataclass
class Slow:
    """Upstream waits at each look for signatures of one image, and something changes meanwhile, so many times."""

    w: World
    change: Change
    times: int = 1
    looks: int = 0

    async def __call__(self, seen: Seen) -> None:
        if isinstance(seen.operation, PullManifest) and seen.operation.reference == signature_tag(APP.digest):
            self.looks += 1
            if self.looks <= self.times:
                await self.change(self.w)


def changing(w: World, change: Change, times: int = 1) -> Slow:
    """The next pull is under way when this changes."""
    w.registry.pause = slow = Slow(w, change, times)
    return slow


async def signed_by_both(policy: Policy = BOTH) -> World:
    """An image that we and a partner signed."""
    w = await world(policy, trusted=(trusted(PARTNER),))
    await w.push(APP, "team/app", "1")
    put_sig(w.registry, "team/app", APP.digest, PARTNER.layer("cosign-simple", APP.digest))
    return w


def release(w: World) -> str:
    return fingerprint(w.store.keybook.ring().ours[0].spki)


async def compromised(w: World) -> None:
    await w.store.keybook.set_state(release(w), KeyState.COMPROMISED, NOON)


async def retired(w: World) -> None:
    await w.store.keybook.set_state(release(w), KeyState.RETIRED, NOON)


async def partner_gone(w: World) -> None:
    await w.store.keybook.trust(())


async def tightened(w: World) -> None:
    w.rules.set(replace(BOTH, pull=PullRules(require=(*BOTH.pull.require, Clause(("auditor",))))))


async def taken_away(w: World) -> None:
    w.rules.set()


async def denied_by_digest(w: World) -> None:
    await w.store.overrides.deny(denial(APP.digest))


async def denied_by_repository(w: World) -> None:
    await w.store.overrides.deny(denial(repositories="team/**"))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (compromised, "key_compromised"),
        (retired, "key_retired"),
        (partner_gone, "untrusted_key"),
        (tightened, "untrusted_key"),
        (taken_away, "no_policy"),
        (denied_by_digest, "denied_digest"),
        (denied_by_repository, "denied_digest"),
    ],
)
@pytest.mark.parametrize("reference", ["1", APP.digest])
async def test_what_holds_when_a_slow_pull_is_answered_decides(change: Change, reason: str, reference: str) -> None:
    w = await signed_by_both()
    slow = changing(w, change)
    assert await w.blocked("team/app", reference) == reason
    assert slow.looks <= 2, "judged once more at most"
    assert EventKind.PULL_ALLOWED not in w.store.journal.kinds()
    w.registry.pause = None
    assert await w.blocked("team/app", reference) == reason


async def test_all_who_share_one_slow_look_get_what_holds_by_then() -> None:
    w = await signed_by_both()
    slow = changing(w, compromised)
    wanted = [w.blocked("team/app", reference) for reference in ("1", APP.digest, "1", APP.digest)]
    assert set(await asyncio.gather(*wanted)) == {"key_compromised"}
    assert slow.looks <= 4
    assert EventKind.PULL_ALLOWED not in w.store.journal.kinds()


async def test_an_exception_that_ends_meanwhile_lets_nothing_through() -> None:
    w = await world()
    w.put_behind(APP, "team/app", "1")
    opened = exception()
    await w.store.overrides.keep(opened)

    async def closed(w: World) -> None:
        await w.store.overrides.keep(replace(opened, closed=NOON))

    changing(w, closed)
    assert await w.blocked("team/app", "1") == "unsigned"
    await w.store.overrides.keep(exception(name="e2"))
    changing(w, lambda w: _advance(w, 3 * 3600))
    assert await w.blocked("team/app", "1") == "unsigned"


async def _advance(w: World, seconds: float) -> None:
    w.store.clock.advance(seconds)


async def test_an_index_denied_meanwhile_takes_with_it_what_it_lists() -> None:
    w = await world(BOTH, trusted=(trusted(PARTNER),))
    whole = index(APP)
    await w.push(whole, "team/app", "1")
    put_sig(w.registry, "team/app", APP.digest, PARTNER.layer("cosign-simple", APP.digest))
    changing(w, lambda w: w.store.overrides.deny(denial(whole.digest)))
    assert await w.blocked("team/app", APP.digest) == "denied_digest"


async def test_a_child_is_not_allowed_by_a_parent_that_passed_a_moment_ago() -> None:
    w = await world(Policy(("**",), PushRules(sign_with=()), signed_by("partner")), trusted=(trusted(PARTNER),))
    whole = index(APP)
    w.put_behind(whole, "team/app", "1")
    put_sig(w.registry, "team/app", whole.digest, PARTNER.layer("cosign-simple", whole.digest))
    assert (await w.pull("team/app", "1")).status == 200
    assert (await w.pull("team/app", APP.digest)).status == 200
    w.store.clock.advance(61)
    asked = []

    async def slow(seen: Seen) -> None:
        asked.append(seen.operation)
        if isinstance(seen.operation, PullManifest) and seen.operation.reference == signature_tag(whole.digest):
            await partner_gone(w)

    w.registry.pause = slow
    assert await w.blocked("team/app", APP.digest) in {"untrusted_key", "unsigned"}


async def test_a_host_name_taken_away_counts_at_once_for_slow_pulls_and_for_what_is_remembered() -> None:
    bound = trusted(PARTNER, identity="repository")
    w = await world(Policy(("**",), PushRules(sign_with=()), signed_by("partner")), trusted=(bound,))
    hosts = ["old.example", HOST]
    w.ports = replace(w.ports, names=lambda: tuple(hosts))
    w.put_behind(APP, "team/app", "1")
    put_sig(w.registry, "team/app", APP.digest, PARTNER.layer("cosign-simple", APP.digest, "old.example/team/app"))

    async def renamed(_: World) -> None:
        hosts.remove("old.example")

    changing(w, renamed)
    assert await w.blocked("team/app", "1") == "wrong_identity"
    w.registry.pause = None
    hosts.insert(0, "old.example")
    assert (await w.pull("team/app", "1")).status == 200
    hosts.remove("old.example")
    assert await w.blocked("team/app", "1") == "wrong_identity"


async def test_a_certificate_revoked_meanwhile_signs_nothing_although_its_list_was_looked_at_before() -> None:
    key = soft_key()
    holders = trio(key.private)
    chain = chain_of(*holders)
    vendor = Authority("vendor", frozenset(chain[-1:]), (parse_subject("O=Example"),), crl=("ca.crl",))
    w = await world(Policy(("**",), PushRules(sign_with=()), signed_by("vendor")), trusted=(vendor,))
    lists = [clean(holders)]

    def known(ring: KeyRing) -> KeyRing:
        return replace(ring, authorities=tuple(replace(a, lists=lists[-1]) for a in ring.authorities))

    w.ports = replace(w.ports, lists=known)
    w.put_behind(APP, "team/app", "1")
    draft = NOTATION_JWS.draft(about(APP.digest), "r.example/app", {}, Signing(key.spki, chain), NOON)
    made = layer_of(NOTATION_JWS.blob(draft.message, key.sign(draft.message, "jose"), Signing(key.spki, chain)))
    put_bundle(w, "team/app", about(APP.digest), made)
    assert (await w.pull("team/app", "1")).status == 200
    w.store.clock.advance(61)

    async def revoked(_: World) -> None:
        lists.append((crl(holders[1], Entry(chain[0])), *clean(holders)[1:]))

    slow = changing(w, revoked)
    assert await w.blocked("team/app", "1") == "certificate_revoked"
    assert slow.looks == 2, "what the list of before said is a part of the evidence"


# Neighbours that must go on


async def rotated(w: World) -> None:
    new = replace(w.signer.create("release"), state=KeyState.PREPARED)
    await w.store.keybook.add(new)
    await w.store.keybook.activate(fingerprint(new.spki), NOON)


@dataclass
class Busy:
    """Operators who deny something else, again and again."""

    made: list[str] = field(default_factory=list)

    async def __call__(self, w: World) -> None:
        self.made.append(f"d{len(self.made)}")
        await w.store.overrides.deny(denial(digest_of(self.made[-1].encode()), name=self.made[-1]))


async def minute(w: World) -> None:
    w.store.clock.advance(60)


async def loosened(w: World) -> None:
    w.rules.set(replace(BOTH, pull=signed_by("release")))


@pytest.mark.parametrize("change", [rotated, Busy(), minute, loosened])
async def test_what_is_good_by_what_holds_now_is_served_without_looking_again(change: Change) -> None:
    w = await signed_by_both()
    slow = changing(w, change, times=100)
    assert (await w.pull("team/app", "1")).body == APP.body
    assert slow.looks == 1
    assert (await w.pull("team/app", "1")).body == APP.body
    assert slow.looks == 1, "it is remembered by what holds now"


async def test_an_unsigned_image_is_called_so_however_much_is_denied_meanwhile() -> None:
    w = await world()
    w.put_behind(APP, "team/app", "1")
    slow = changing(w, Busy(), times=100)
    assert await w.blocked("team/app", "1") == "unsigned"
    assert slow.looks == 1


async def test_policies_that_change_at_every_look_end_in_a_refusal_after_three() -> None:
    w = await signed_by_both()
    count = []

    async def another(w: World) -> None:
        count.append(1)
        w.rules.set(replace(BOTH, contact=str(count), pull=PullRules(require=(Clause((f"k{len(count)}",)),))))

    slow = changing(w, another, times=100)
    assert await w.blocked("team/app", "1") == "not_verifiable"
    assert slow.looks == AGAIN


async def test_observing_goes_on_while_policies_change() -> None:
    w = await world(replace(SIGN, pull=PullRules("warn", require=(Clause(("release",)),))))
    w.put_behind(APP, "team/app", "1")

    async def another(w: World) -> None:
        w.rules.set(replace(SIGN, contact="x", pull=PullRules("warn", require=(Clause(("partner",)),))))

    changing(w, another)
    answer = await w.pull("team/app", "1")
    assert (answer.status, answer.warning is not None) == (200, True)


async def test_what_changes_while_the_row_is_written_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    w = await signed_by_both()
    assert (await w.pull("team/app", "1")).status == 200  # remembered: the next one waits for its row alone
    decided = w.store.journal.decided

    async def slow(decision: Decision, event: Event, *, keep: bool = True) -> None:
        await decided(decision, event, keep=keep)
        if event.kind is EventKind.PULL_ALLOWED:
            await compromised(w)

    monkeypatch.setattr(w.store.journal, "decided", slow)
    assert await w.blocked("team/app", "1") == "key_compromised"


# Layers


def layer(of: Image) -> str:
    return digest_of(of.blobs[1])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (compromised, "unlisted_blob"),
        (tightened, "unlisted_blob"),
        (denied_by_digest, "denied_digest"),
        (denied_by_repository, "denied_digest"),
        (taken_away, "unlisted_blob"),
        (lambda w: w.store.overrides.deny(denial(digest_of(APP.blobs[1]))), "denied_digest"),
    ],
)
async def test_a_layer_is_not_served_by_what_held_when_it_was_asked_for(change: Change, reason: str) -> None:
    w = await signed_by_both()
    changing(w, change)
    with pytest.raises(Fault) as refused:
        await w.blob("team/app", layer(APP))
    assert refused.value.reason == reason


async def test_an_open_layer_that_is_denied_while_the_store_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    w = await world(replace(SIGN, pull=PullRules(blobs="open")))
    await w.push(APP, "team/app", "1")
    await w.store.overrides.deny(denial(OTHER.digest, name="d0"))
    listing = w.store.facts.listing

    async def slow(*asked: Any) -> Any:
        await w.store.overrides.deny(denial(digest_of(APP.blobs[1]), name="d1"))
        monkeypatch.setattr(w.store.facts, "listing", listing)
        return await listing(*asked)

    monkeypatch.setattr(w.store.facts, "listing", slow)
    with pytest.raises(Fault) as refused:
        await w.blob("team/app", layer(APP))
    assert refused.value.reason == "denied_digest"


async def test_layers_go_on_while_other_things_are_denied() -> None:
    w = await signed_by_both()
    changing(w, Busy(), times=100)
    assert (await w.blob("team/app", layer(APP))).status == 200
