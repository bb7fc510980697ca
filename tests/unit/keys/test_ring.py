import hashlib
import json
from dataclasses import replace
from datetime import timedelta

import pytest

from proxy.keys.ring import ring_of, text_of, with_active, with_added, with_state
from proxy.trust.authority import Authority, Subject
from proxy.trust.keys import KeyState, TrustedKey, fingerprint
from tests.worlds.memory import NOON, SoftSigner

RELEASE = SoftSigner().create("release")
OTHER = SoftSigner().create("other")
PARTNER = TrustedKey("partner", OTHER.spki, "repository")
LATER = NOON + timedelta(hours=1)


def test_the_revision_is_the_hash_of_the_text() -> None:
    ring = ring_of([RELEASE], [PARTNER])
    assert ring.revision == hashlib.sha256(text_of([RELEASE], [PARTNER]).encode()).hexdigest()
    assert (ring.ours, ring.others) == ((RELEASE,), (PARTNER,))


def test_order_does_not_make_another_revision() -> None:
    assert ring_of([RELEASE, OTHER], []).revision == ring_of([OTHER, RELEASE], []).revision


@pytest.mark.parametrize(
    "change",
    [
        {"profile": "x"},
        {"token": "x"},
        {"token_serial": "x"},
        {"key_id": "x"},
        {"label": "x"},
        {"algorithm": "x"},
        {"spki": b"x"},
        {"state": KeyState.RETIRED},
        {"since": LATER},
        {"compromised_since": LATER},
    ],
    ids=lambda change: next(iter(change)),
)
def test_everything_about_a_key_of_ours_is_in_the_revision(change: dict[str, object]) -> None:
    changed = replace(RELEASE, **change)  # type: ignore[arg-type]
    assert ring_of([changed], []).revision != ring_of([RELEASE], []).revision


@pytest.mark.parametrize("change", [{"name": "x"}, {"spki": b"x"}, {"identity": "any"}], ids=lambda c: next(iter(c)))
def test_everything_about_a_key_of_others_is_in_the_revision(change: dict[str, object]) -> None:
    changed = replace(PARTNER, **change)  # type: ignore[arg-type]
    assert ring_of([], [changed]).revision != ring_of([], [PARTNER]).revision


def test_ours_is_not_theirs() -> None:
    assert ring_of([], []).revision not in {ring_of([RELEASE], []).revision, ring_of([], [PARTNER]).revision}


def test_a_state_set_again_keeps_its_moment() -> None:
    name = fingerprint(RELEASE.spki)
    once = with_state((RELEASE,), name, KeyState.COMPROMISED, NOON)
    assert with_state(once, name, KeyState.COMPROMISED, LATER) == once
    assert once[0].compromised_since is None


def test_since_when_a_key_is_compromised_may_be_told_later_and_corrected() -> None:
    name, before = fingerprint(RELEASE.spki), NOON - timedelta(days=1)
    once = with_state((RELEASE,), name, KeyState.COMPROMISED, NOON)
    for since in (before, LATER, before):
        once = with_state(once, name, KeyState.COMPROMISED, LATER, since)
        assert once == (replace(RELEASE, state=KeyState.COMPROMISED, since=NOON, compromised_since=since),)


def test_only_a_compromised_key_has_a_moment_since_which_it_is() -> None:
    (retired,) = with_state((RELEASE,), fingerprint(RELEASE.spki), KeyState.RETIRED, NOON, LATER)
    assert retired.compromised_since is None


@pytest.mark.parametrize("state", [s for s in KeyState if s is not KeyState.COMPROMISED])
def test_what_is_compromised_stays_so_whatever_somebody_with_an_older_book_wants(state: KeyState) -> None:
    name = fingerprint(RELEASE.spki)
    there = with_state((RELEASE,), name, KeyState.COMPROMISED, NOON)
    with pytest.raises(ValueError, match="is compromised"):
        with_state(there, name, state, LATER)


def test_a_key_added_again_changes_nothing() -> None:
    assert with_added((RELEASE, OTHER), RELEASE) == (RELEASE, OTHER)


def test_of_two_keys_the_prepared_one_takes_over_and_other_profiles_keep_theirs() -> None:
    new = SoftSigner().create("release", state=KeyState.PREPARED)
    moved = with_active((RELEASE, OTHER, new), fingerprint(new.spki), LATER)
    assert [key.state for key in moved] == [KeyState.TRUSTED, KeyState.ACTIVE, KeyState.ACTIVE]
    assert [key.since for key in moved] == [LATER, NOON, LATER]


def test_authorities_are_part_of_the_text_and_stand_apart_from_keys() -> None:
    authority = Authority("ca", frozenset({b"2", b"1"}), (Subject("O=Example", frozenset({("2.5.4.10", "Example")})),))
    ring = ring_of([RELEASE], [PARTNER, authority])
    assert (ring.others, ring.authorities) == ((PARTNER,), (authority,))
    assert json.loads(text_of([], [authority]))["authorities"] == [
        {"name": "ca", "certificates": ["31", "32"], "identities": ["O=Example"]}
    ]
    others = (replace(authority, name="x"), replace(authority, roots=frozenset()), replace(authority, identities=()))
    assert len({ring.revision, *(ring_of([RELEASE], [PARTNER, other]).revision for other in others)}) == 4
