from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_public_key

from proxy.formats.certificate import spki_of, window
from proxy.formats.chain import problems
from proxy.journal.event import EventKind
from proxy.keys import certificates as certify
from proxy.keys import lifecycle
from proxy.oci.faults import Fault, Unavailable
from proxy.trust.actor import Actor
from proxy.trust.keys import BookKey, KeyState, fingerprint
from tests.worlds.certificates import Holder, chain_of, issued, trio
from tests.worlds.conversation import World, world

SUBJECT = "CN=release,O=Example,ST=Berlin,C=DE"
BY = Actor("alice", "socket", "audit", "r1")
DAY = timedelta(days=1)


def active(w: World) -> BookKey:
    found = w.store.keybook.ring().active("release")
    assert found is not None
    return found


def name(w: World) -> str:
    return fingerprint(active(w).spki)


def certified(key: BookKey, now: datetime, *, common: str = "images", root: str = "root") -> tuple[bytes, ...]:
    """The chain a CA issues for this key: of the key only the public half is there."""
    leaf, middle, top = trio()
    public = load_der_public_key(key.spki)
    assert isinstance(public, ec.EllipticCurvePublicKey)
    holders = [replace(h, first=now - DAY, last=now + 90 * DAY) for h in (leaf, middle, top)]
    holders[0], holders[2] = replace(holders[0], name=common), replace(holders[2], name=root)
    return (issued(holders[0], holders[1], public), *chain_of(*holders[1:]))


async def test_a_request_is_for_this_key_and_signed_by_it() -> None:
    w = await world()
    csr = x509.load_der_x509_csr(await certify.request_certificate(name(w)[:8], SUBJECT, w.ports))
    assert csr.is_signature_valid
    assert csr.subject.rfc4514_string() == SUBJECT


async def test_the_chain_that_came_back_is_kept_and_stands_in_the_journal() -> None:
    w = await world()
    chain = certified(active(w), w.store.clock.now())
    key = await certify.set_chain(name(w), chain, BY, w.ports)
    assert key.chain == active(w).chain == chain
    (row,) = [e for e in w.store.journal.events if e.kind is EventKind.KEY_CHAIN]
    assert (row.who, row.how, row.request_id, row.detail["reason"]) == ("alice", "socket", "r1", "audit")
    assert row.detail["key"] == name(w)
    assert row.detail["certificates"].split() == [fingerprint(one) for one in chain]
    assert row.detail["until"] == window(chain)[1].isoformat(timespec="seconds")


async def test_a_renewed_chain_takes_the_place_of_the_old_one_and_what_changes_is_said() -> None:
    w = await world()
    now = w.store.clock.now()
    await certify.set_chain(name(w), certified(active(w), now), BY, w.ports)
    same = certify.plan(name(w), active(w).chain, w.ports).notes
    assert len(same) == 2, "nothing changes"
    new = certified(active(w), now - 10 * DAY, common="release", root="another root")
    told = certify.plan(name(w), new, w.ports).notes
    assert told[2].startswith("the subject was CN=images,")
    assert told[3] == "the root has changed: verifiers must trust the new one first"
    assert told[4].startswith("it expires earlier than the previous chain")
    assert len(told) == 5
    await certify.set_chain(name(w), new, BY, w.ports)
    assert active(w).chain == new


async def test_every_broken_rule_is_named_with_how_to_mend_it_and_nothing_is_kept() -> None:
    w = await world()
    strangers = chain_of(*trio())
    with pytest.raises(Fault) as refused:
        await certify.set_chain(name(w), (strangers[0], strangers[2]), BY, w.ports)
    text = refused.value.message
    assert refused.value.status == 400
    assert f"(1) the first certificate is not for key {name(w)[:12]}; request one for it: countersign keys csr" in text
    assert "(2) leaf (CN=images,O=Example,ST=Berlin,C=DE) is not issued by the certificate after it" in text
    assert active(w).chain == ()
    assert not [e for e in w.store.journal.events if e.kind is EventKind.KEY_CHAIN]


async def test_a_chain_in_the_wrong_order_is_explained_not_turned_round() -> None:
    w = await world()
    chain = certified(active(w), w.store.clock.now())
    with pytest.raises(Fault, match="its certificate is number 3 in the file; put it first"):
        await certify.set_chain(name(w), chain[::-1], BY, w.ports)


async def test_a_chain_that_has_ended_is_refused_when_it_is_set() -> None:
    w = await world()
    chain = certified(active(w), w.store.clock.now() - 200 * DAY)
    with pytest.raises(Fault, match=r"leaf .* expired at .*; have it issued anew"):
        await certify.set_chain(name(w), chain, BY, w.ports)


async def test_one_command_makes_a_chain_to_try_things_with() -> None:
    w = await world()
    key = await certify.self_sign(name(w), SUBJECT, 30, BY, w.ports)
    assert len(key.chain) == 1
    assert spki_of(key.chain[0]) == key.spki
    now = w.store.clock.now()
    assert problems(key.chain, now) == ()
    assert window(key.chain)[1] == now.replace(microsecond=0) + 30 * DAY
    assert "for development only" in certify.notes(key, key.chain)[1]


async def test_prepared_and_trusted_keys_get_a_chain_and_those_that_no_longer_count_do_not() -> None:
    w = await world()
    old = name(w)
    ready = await lifecycle.prepare("release", Actor("alice", "socket", "r"), w.ports)
    assert (await certify.self_sign(fingerprint(ready.spki), SUBJECT, 1, BY, w.ports)).chain
    await lifecycle.activate(fingerprint(ready.spki), Actor("alice", "socket", "r"), w.ports)
    assert active(w).chain, "it keeps its chain when it becomes active"
    assert (await certify.self_sign(old, SUBJECT, 1, BY, w.ports)).chain
    await lifecycle.retire(old, Actor("alice", "socket", "r"), w.ports)
    for attempt in (
        certify.request_certificate(old, SUBJECT, w.ports),
        certify.self_sign(old, SUBJECT, 1, BY, w.ports),
        certify.set_chain(old, active(w).chain, BY, w.ports),
    ):
        with pytest.raises(Fault, match="is retired; a key that no longer counts gets no certificate"):
            await attempt


async def test_a_token_that_is_away_certifies_nothing() -> None:
    w = await world()
    w.signer.down = "token soft is away"
    with pytest.raises(Unavailable, match="is away"):
        await certify.request_certificate(name(w), SUBJECT, w.ports)
    with pytest.raises(Unavailable, match="is away"):
        await certify.self_sign(name(w), SUBJECT, 1, BY, w.ports)


def test_names_from_certificates_are_shown_safely() -> None:
    (chain,) = [chain_of(Holder("a\x1b[31mb", trio()[0].extensions))]
    key = BookKey("release", "t", "1", "00", "l", "ecdsa-p256", spki_of(chain[0]), *_STATE)
    assert "\x1b" not in "".join(certify.notes(key, chain))


_STATE = (KeyState.ACTIVE, datetime.fromisoformat("2026-01-01T00:00:00Z"))
