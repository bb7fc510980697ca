from __future__ import annotations

from proxy.oci.limits import Limits
from proxy.oci.manifest import parse
from proxy.oci.reference import digest_of
from proxy.trust.question import NOTHING, Anonymous, Named, Resolved, name_of
from tests.worlds.images import image


def test_only_a_proven_name_is_a_name() -> None:
    assert name_of(Named("alice", "basic")) == "alice"
    assert name_of(Anonymous("alice")) == "anonymous"
    assert name_of(Anonymous()) == "anonymous"


def test_what_stands_for_nothing_is_the_digest_of_no_bytes() -> None:
    assert digest_of(b"") == NOTHING


def test_a_manifest_under_judgement_is_shown_by_its_digest() -> None:
    made = image("canary")
    shown = repr(Resolved(made.digest, made.media_type, made.body, parse(made.body, made.media_type, Limits())))
    assert made.digest in shown
    assert "schemaVersion" not in shown
    assert "layers" not in shown
