from __future__ import annotations

from dataclasses import fields, replace
from datetime import timedelta

import pytest

from proxy.oci.reference import Repository, digest_of
from proxy.trust.ledger import Entry, SignatureKey, Stage, merge
from tests.worlds.memory import NOON
from tests.worlds.stored import digest, intended, signed

KEY = SignatureKey(Repository("team/app"), digest_of(b"image"), "f" * 64, "cosign-simple", "r.example/team/app")
LATER = NOON + timedelta(hours=1)
ATTACHED = replace(signed(), stage=Stage.ATTACHED, artifact=digest("carrier"))


def test_signatures_are_the_same_one_only_where_everything_they_say_is() -> None:
    others = {
        replace(KEY, repository=Repository("team/other")),
        replace(KEY, digest=digest_of(b"another")),
        replace(KEY, fingerprint="e" * 64),
        replace(KEY, format="sigstore-bundle"),
        replace(KEY, bound="r.example/team/app:v1"),
    }
    assert len(others) == len(fields(SignatureKey))
    assert KEY not in others
    assert replace(KEY) in {KEY}


def test_an_entry_begins_without_a_signature_and_shows_no_bytes() -> None:
    entry = Entry(KEY, Stage.INTENDED, b"canary message", NOON)
    assert (entry.signature, entry.artifact, entry.claims) == (None, None, {})
    assert "canary" not in repr(replace(entry, stage=Stage.SIGNED, signature=b"canary signature"))


@pytest.mark.parametrize("new", [intended(), signed(), ATTACHED], ids=lambda e: str(e.stage))
def test_where_nothing_is_the_new_one_stands(new: object) -> None:
    assert merge(None, new) is new  # type: ignore[arg-type]


def test_the_one_further_on_stands() -> None:
    ladder = [intended(), signed(), ATTACHED]
    for n, there in enumerate(ladder):
        for m, new in enumerate(ladder):
            assert merge(there, new) is (new if m > n else there)


def test_a_timestamp_is_added_once_and_only_to_the_signature_it_is_over() -> None:
    there, stamped = signed(), replace(signed(), timestamp=b"token")
    assert merge(there, stamped) is stamped
    assert merge(stamped, replace(stamped, timestamp=b"another")) is stamped
    assert merge(stamped, there) is stamped
    assert merge(there, replace(stamped, signature=b"another")) is there
    assert merge(ATTACHED, stamped) is ATTACHED, "what is attached stays the bytes it is"


def test_a_removed_signature_comes_back_as_it_was() -> None:
    removed = replace(ATTACHED, stage=Stage.REMOVED)
    for new in (intended(at=LATER), signed(at=LATER, signature=b"another")):
        assert merge(removed, new) == replace(removed, stage=Stage.SIGNED, artifact=None)


def test_a_removed_intent_has_nothing_to_come_back_with() -> None:
    new = replace(intended(), message=b"another")
    assert merge(replace(intended(), stage=Stage.REMOVED), new) is new
