"""KeyBook: keys told apart by their SPKI, a revision for every state of the book, the text of each kept."""

import asyncio
import hashlib
import json
from dataclasses import replace
from datetime import timedelta

import pytest

from proxy.journal.event import Event, EventKind
from proxy.journal.port import Search
from proxy.trust.keys import Amendment, KeyState, TrustedKey, fingerprint
from tests.contract.conftest import AnyStore, Book
from tests.worlds.memory import NOON, SoftSigner

LATER = NOON + timedelta(days=1)
RELEASE = SoftSigner().create("release")
ATTESTATION = SoftSigner().create("attestation", state=KeyState.PREPARED)
NEXT = SoftSigner().create("release", state=KeyState.PREPARED)
PARTNER = TrustedKey("partner", SoftSigner().create().spki, "exact")


async def test_keys_come_back_whole_in_the_order_they_were_added(keybook: Book) -> None:
    assert keybook.ring().ours == ()
    await keybook.add(RELEASE)
    await keybook.add(ATTESTATION)
    assert keybook.ring().ours == (RELEASE, ATTESTATION)
    assert keybook.ring().active("release") == RELEASE
    assert keybook.ring().active("attestation") is None


async def test_the_same_key_under_another_profile_is_refused(keybook: Book) -> None:
    await keybook.add(RELEASE)
    with pytest.raises(ValueError, match="already under profile 'release'"):
        await keybook.add(replace(RELEASE, profile="attestation"))
    assert keybook.ring().ours == (RELEASE,)


async def test_the_same_key_again_moves_but_keeps_its_state(keybook: Book) -> None:
    await keybook.add(RELEASE)
    await keybook.set_state(fingerprint(RELEASE.spki), KeyState.RETIRED, LATER)
    await keybook.add(replace(RELEASE, token="new", label="renamed"))
    (key,) = keybook.ring().ours
    assert key == replace(RELEASE, token="new", label="renamed", state=KeyState.RETIRED, since=LATER)


async def test_a_state_has_its_moment(keybook: Book) -> None:
    await keybook.add(RELEASE)
    await keybook.add(ATTESTATION)
    await keybook.set_state(fingerprint(RELEASE.spki), KeyState.COMPROMISED, LATER, since=NOON)
    bad = replace(RELEASE, state=KeyState.COMPROMISED, since=LATER, compromised_since=NOON)
    assert keybook.ring().ours == (bad, ATTESTATION)
    assert keybook.ring().active("release") is None


async def test_what_else_is_known_of_a_key_comes_back_whole_and_changes_the_revision(keybook: Book) -> None:
    await keybook.add(RELEASE)
    name, before = fingerprint(RELEASE.spki), keybook.ring().revision
    changes: Amendment = {
        "token_serial": "other",
        "chain": (b"leaf", b"root"),
        "activate_at": LATER,
        "signs_until": LATER,
        "retire_after": LATER,
        "backup_at": NOON,
    }
    await keybook.amend(name, changes)
    assert keybook.ring().ours == (replace(RELEASE, **changes),)
    assert keybook.ring().revision != before
    await keybook.set_state(name, KeyState.TRUSTED, LATER)
    assert keybook.ring().ours == (replace(RELEASE, **changes, state=KeyState.TRUSTED, since=LATER),)
    await keybook.amend(name, {"retire_after": None})
    assert keybook.ring().ours[0].retire_after is None
    with pytest.raises(ValueError, match="no key has the fingerprint"):
        await keybook.amend("0" * 64, {"retire_after": None})


async def test_a_key_that_is_not_there_has_no_state(keybook: Book) -> None:
    with pytest.raises(ValueError, match="no key has the fingerprint"):
        await keybook.set_state("0" * 64, KeyState.RETIRED, NOON)


async def test_the_revision_changes_with_the_book_and_only_then(keybook: Book) -> None:
    seen = [keybook.ring().revision]
    await keybook.add(RELEASE)
    seen.append(keybook.ring().revision)
    await keybook.set_state(fingerprint(RELEASE.spki), KeyState.TRUSTED, LATER)
    seen.append(keybook.ring().revision)
    await keybook.trust((PARTNER,))
    seen.append(keybook.ring().revision)
    assert len(set(seen)) == len(seen)
    await keybook.add(RELEASE)
    await keybook.set_state(fingerprint(RELEASE.spki), KeyState.TRUSTED, LATER + timedelta(days=1))
    assert keybook.ring().revision == seen[-1]


async def test_other_peoples_keys_are_in_the_ring_after_ours(keybook: Book) -> None:
    await keybook.add(RELEASE)
    await keybook.trust((PARTNER,))
    assert keybook.ring().others == (PARTNER,)
    assert [v.ours for v in keybook.ring().all_verifiers()] == [True, False]
    await keybook.trust(())
    assert keybook.ring().others == ()


async def test_the_text_of_every_revision_is_kept_under_its_hash(store: AnyStore) -> None:
    revisions = [store.keybook.ring().revision]
    await store.keybook.add(RELEASE)
    revisions.append(store.keybook.ring().revision)
    await store.keybook.trust((PARTNER,))
    revisions.append(store.keybook.ring().revision)
    for number, revision in enumerate(revisions):
        text = await store.journal.revision("keybook", revision)
        assert text is not None
        assert hashlib.sha256(text.encode()).hexdigest() == revision
        assert len(json.loads(text)["ours"]) == min(number, 1)


async def test_activation_hands_over_in_one_step(keybook: Book) -> None:
    await keybook.add(RELEASE)
    await keybook.add(NEXT)
    await keybook.activate(fingerprint(NEXT.spki), LATER)
    old = replace(RELEASE, state=KeyState.TRUSTED, since=LATER)
    new = replace(NEXT, state=KeyState.ACTIVE, since=LATER)
    assert keybook.ring().ours == (old, new)
    assert keybook.ring().active("release") == new


async def test_the_first_key_of_a_profile_takes_over_from_nobody(keybook: Book) -> None:
    await keybook.add(RELEASE)
    await keybook.add(ATTESTATION)
    await keybook.activate(fingerprint(ATTESTATION.spki), LATER)
    assert [key.state for key in keybook.ring().ours] == [KeyState.ACTIVE, KeyState.ACTIVE]


@pytest.mark.parametrize("state", [s for s in KeyState if s is not KeyState.PREPARED])
async def test_only_a_prepared_key_is_activated(keybook: Book, state: KeyState) -> None:
    await keybook.add(replace(NEXT, state=state))
    before = keybook.ring()
    with pytest.raises(ValueError, match=f"of release is {state}"):
        await keybook.activate(fingerprint(NEXT.spki), LATER)
    with pytest.raises(ValueError, match="no key has the fingerprint"):
        await keybook.activate("0" * 64, LATER)
    assert keybook.ring() == before


async def test_never_are_two_active(keybook: Book) -> None:
    await keybook.add(RELEASE)
    with pytest.raises(ValueError, match="two active keys"):
        await keybook.add(replace(NEXT, state=KeyState.ACTIVE))
    await keybook.add(NEXT)
    with pytest.raises(ValueError, match="two active keys"):
        await keybook.set_state(fingerprint(NEXT.spki), KeyState.ACTIVE, LATER)
    assert keybook.ring().ours == (RELEASE, NEXT)


async def test_of_two_activations_at_once_one_is_refused(keybook: Book) -> None:
    for key in (RELEASE, NEXT):
        await keybook.add(key)
    twice = (keybook.activate(fingerprint(NEXT.spki), LATER) for _ in range(2))
    said = await asyncio.gather(*twice, return_exceptions=True)
    assert [type(each) for each in said] == [type(None), ValueError]
    assert [key.state for key in keybook.ring().ours] == [KeyState.TRUSTED, KeyState.ACTIVE]


async def test_of_two_activations_at_once_both_were_on_record(store: AnyStore) -> None:
    """A row was written before its change: two servers, or one that was killed in between, left two rows."""
    for key in (RELEASE, NEXT):
        await store.keybook.add(key)
    rows = [Event(NOON, EventKind.KEY_STATE, who=who) for who in ("one", "other")]
    twice = (store.keybook.activate(fingerprint(NEXT.spki), LATER, record=(row,)) for row in rows)
    said = await asyncio.gather(*twice, return_exceptions=True)
    assert [type(each) for each in said] == [type(None), ValueError]
    assert [row.who for row in await store.journal.search(Search())] == ["one"]


async def test_every_change_has_its_rows_and_what_is_refused_has_none(store: AnyStore) -> None:
    book, name = store.keybook, fingerprint(RELEASE.spki)

    def row(who: str) -> tuple[Event, ...]:
        return (Event(NOON, EventKind.KEY_STATE, who=who),)

    await book.add(RELEASE, record=row("add"))
    await book.amend(name, {"backup_at": LATER}, record=row("amend"))
    await book.set_state(name, KeyState.TRUSTED, LATER, record=row("set"))
    for refused in (
        book.add(replace(RELEASE, profile="attestation"), record=row("no")),
        book.amend("0" * 64, {"backup_at": LATER}, record=row("no")),
        book.set_state(name, KeyState.RETIRED, LATER, was=KeyState.ACTIVE, record=row("no")),
        book.activate("0" * 64, LATER, record=row("no")),
    ):
        with pytest.raises(ValueError, match="key"):
            await refused
    assert [each.who for each in await store.journal.search(Search())] == ["set", "amend", "add"]


async def test_a_second_prepared_key_is_refused_and_so_is_one_that_comes_too_late(keybook: Book) -> None:
    """Two servers that rotate at once: the second one's key is never used."""
    third, first = SoftSigner().create("release", state=KeyState.PREPARED), fingerprint(RELEASE.spki)
    await keybook.add(RELEASE)
    await keybook.add(NEXT, after=first)
    with pytest.raises(ValueError, match="would have two prepared keys on token soft"):
        await keybook.add(third, after=first)
    await keybook.activate(fingerprint(NEXT.spki), LATER)
    with pytest.raises(ValueError, match="is trusted; somebody else changed it meanwhile"):
        await keybook.add(third, after=first)
    assert len(keybook.ring().ours) == 2


async def test_each_token_of_a_profile_has_its_own_active_and_prepared_key(keybook: Book) -> None:
    spare = replace(SoftSigner().create("release"), token="spare")
    ready = replace(SoftSigner().create("release", state=KeyState.PREPARED), token="spare")
    for key in (RELEASE, NEXT, spare, ready):
        await keybook.add(key)
    await keybook.activate(fingerprint(ready.spki), LATER)
    ring = keybook.ring()
    assert [key.state for key in ring.ours] == [KeyState.ACTIVE, KeyState.PREPARED, KeyState.TRUSTED, KeyState.ACTIVE]
    assert (ring.active("release"), ring.active("release", "soft")) == (RELEASE, RELEASE)
    assert ring.active("release", "spare") == replace(ready, state=KeyState.ACTIVE, since=LATER)


async def test_the_ends_of_the_old_key_come_with_the_new_one(keybook: Book) -> None:
    week, month = LATER + timedelta(days=7), LATER + timedelta(days=30)
    await keybook.add(RELEASE)
    await keybook.add(replace(NEXT, activate_at=LATER, signs_until=week, retire_after=month))
    assert keybook.ring().ours[1].activate_at == LATER
    await keybook.activate(fingerprint(NEXT.spki), LATER, signs_until=week, retire_after=month)
    old = replace(RELEASE, state=KeyState.TRUSTED, since=LATER, signs_until=week, retire_after=month)
    new = replace(NEXT, state=KeyState.ACTIVE, since=LATER)
    assert keybook.ring().ours == (old, new)
    assert keybook.ring().signers("release", week - timedelta(seconds=1)) == {"soft": (new, old)}
    assert keybook.ring().signers("release", week) == {"soft": (new,)}
