from __future__ import annotations

from dataclasses import fields, replace

from proxy.oci.reference import Repository, digest_of
from proxy.trust.ledger import Entry, SignatureKey, Stage
from tests.worlds.memory import NOON

KEY = SignatureKey(Repository("team/app"), digest_of(b"image"), "f" * 64, "cosign-simple", "r.example/team/app")


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
