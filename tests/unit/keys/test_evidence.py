from __future__ import annotations

from datetime import timedelta

import pytest

from proxy.admin import approve
from proxy.admin.approval import Approval, ApprovalState
from proxy.formats.key_evidence import document_of
from proxy.keys import custody, lifecycle
from proxy.keys.evidence import evidence
from proxy.oci.faults import Conflict, Fault
from proxy.trust.actor import Actor
from proxy.trust.keys import fingerprint
from tests.worlds.conversation import world
from tests.worlds.softtokens import SoftTokens, held


async def test_it_says_what_token_and_journal_say_and_is_signed_by_the_key() -> None:
    w = await world()
    new = (await lifecycle.rotate("release", Actor("alice", "socket", "Tuesday"), w.ports)).new
    name, tokens = fingerprint(new.spki), SoftTokens(w.signer, held(new, LOCAL=None))
    await custody.backed_up(name, None, Actor("bob", "socket", "safe 3"), w.ports)
    made = await evidence(name[:8], w.ports, tokens)
    assert w.signer.verifies(new, made.text, made.signature)
    said = document_of(made.text)
    assert said["key"]["fingerprint"] == name
    assert said["key"]["spki"] == new.spki.hex()
    assert said["key"]["state"] == "active"
    assert (said["token"]["model"], said["token"]["mechanisms"]) == ("Soft", ["ECDSA"])
    assert said["attributes"] == {"SENSITIVE": True, "EXTRACTABLE": False, "SIGN": True, "LOCAL": None}
    assert [(row["kind"], row["who"]) for row in said["journal"]] == [
        ("key.created", "alice"), ("key.state", "alice"), ("key.backed_up", "bob"),
    ]  # fmt: skip
    assert any("openssl dgst -sha256 -verify" in line for line in said["check"])


async def test_a_key_that_is_not_on_its_token_proves_nothing() -> None:
    w = await world()
    with pytest.raises(Fault, match="does not hold key"):
        await evidence(fingerprint(w.store.keybook.ring().ours[0].spki), w.ports, SoftTokens(w.signer))


async def test_a_journal_too_long_to_search_is_said_and_not_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    w = await world()
    new = (await lifecycle.rotate("release", Actor("alice", "socket", "Tuesday"), w.ports)).new
    monkeypatch.setattr("proxy.keys.evidence.ROWS", 1)
    with pytest.raises(Conflict, match=r"countersign journal --kind key\.state") as full:
        await evidence(fingerprint(new.spki), w.ports, SoftTokens(w.signer, held(new)))
    assert full.value.status == 409


async def test_nothing_but_an_evidence_is_signed_that_way() -> None:
    w = await world()
    with pytest.raises(ValueError, match="only key evidence"):
        await SoftTokens(w.signer).attest(w.store.keybook.ring().ours[0], b'{"critical": {}}')


async def test_who_agreed_to_the_key_is_in_it_and_who_agreed_to_another_is_not() -> None:
    w = await world()
    now, book = w.store.clock.now(), w.store.approvals

    async def agreed(request: str) -> None:
        erika, end = Actor("erika", "admin-token:e", request_id=request), now + timedelta(days=1)
        wish = Approval("", "rotate_key", {"profile": "release"}, "{}", ("do it",), erika, now, end)
        waits, max_ = await approve.ask(wish, book, w.ports), Actor("max", "admin-token:m", "yes")
        await approve.decide(waits, ApprovalState.APPROVED, max_, book, w.ports)

    await agreed("r1")
    new = (await lifecycle.rotate("release", Actor("erika", "admin-token:e", "Tuesday", "r1"), w.ports)).new
    await agreed("r2")
    await lifecycle.prepare("release", Actor("erika", "admin-token:e", "Tuesday", "r2"), w.ports)
    made = await evidence(fingerprint(new.spki), w.ports, SoftTokens(w.signer, held(new)))
    assert [(row["kind"], row["who"], row["request_id"]) for row in document_of(made.text)["journal"]] == [
        ("approval.asked", "erika", "r1"),
        ("approval.given", "max", "r1"),
        ("key.created", "erika", "r1"),
        ("key.state", "erika", "r1"),
    ]
