"""The library's verdicts in our words; broken bytes are rejected, never an exception, whatever is broken."""

from __future__ import annotations

import asyncio
import copy
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.formats.statement import IMAGE_SIGNATURE
from proxy.keyless.examiner import SigstoreExaminer, check_root, examined
from proxy.oci.reference import parse_digest
from proxy.trust.authority import KeylessResult
from proxy.trust.evidence import Rejected
from proxy.trust.reason import Reason
from tests.worlds.sigstore import AT, IDENTITY, Sigstore, signer_of, statement_of

DIGEST = parse_digest("sha256:" + "ab" * 32)
WORLD = Sigstore()
SIGNER = signer_of(WORLD)
GOOD = WORLD.bundle(DIGEST)


def said(bundle: Any) -> KeylessResult | Rejected:
    return examined(json.dumps(bundle).encode(), SIGNER)


def test_a_good_bundle_names_the_identity_and_what_was_signed() -> None:
    answer = said(GOOD)
    assert answer == KeylessResult(IDENTITY, "application/vnd.in-toto+json", statement_of(DIGEST))
    assert IMAGE_SIGNATURE.encode() in answer.payload


def test_identities_are_mail_addresses_or_uris() -> None:
    uri = "https://github.com/example/app/.github/workflows/release.yml@refs/heads/main"
    answer = examined(json.dumps(WORLD.bundle(DIGEST, uri)).encode(), replace(SIGNER, identities=(IDENTITY, uri)))
    assert isinstance(answer, KeylessResult)
    assert answer.identity == uri


@pytest.mark.parametrize(
    ("bundle", "reason", "why"),
    [
        (WORLD.bundle(DIGEST, "other@example.com"), Reason.UNTRUSTED_KEY, "somebody else"),
        (WORLD.bundle(DIGEST, IDENTITY + ".evil.example"), Reason.UNTRUSTED_KEY, "somebody else"),
        (WORLD.bundle(DIGEST, issuer="https://evil.example.com"), Reason.UNTRUSTED_KEY, "somebody else"),
        (Sigstore().bundle(DIGEST), Reason.UNTRUSTED_KEY, "nobody whom ci trusts"),
        (WORLD.bundle(DIGEST, logged_at=AT + timedelta(hours=1)), Reason.UNTRUSTED_KEY, "not valid"),
        (WORLD.bundle(DIGEST, logged_at=AT - timedelta(seconds=1)), Reason.UNTRUSTED_KEY, "not valid"),
        (WORLD.bundle(DIGEST, logged=False), Reason.BAD_SIGNATURE, "SCT"),
        (Sigstore(root_key=WORLD.root_key, log_key=WORLD.log_key).bundle(DIGEST), Reason.BAD_SIGNATURE, "SCT"),
        (
            Sigstore(root_key=WORLD.root_key, certificates_key=WORLD.certificates_key).bundle(DIGEST),
            Reason.BAD_SIGNATURE,
            "log entry",
        ),
    ],
    ids=[
        "identity",
        "longer-identity",
        "issuer",
        "root",
        "expired",
        "not-yet",
        "no-sct",
        "other-certificate-log",
        "other-log",
    ],
)
def test_whoever_else_is_certified_does_not_count(bundle: Any, reason: Reason, why: str) -> None:
    answer = said(bundle)
    assert isinstance(answer, Rejected)
    assert (answer.reason, why in answer.detail) == (reason, True), answer


def test_without_a_log_or_a_timestamp_a_certificate_of_minutes_proves_nothing() -> None:
    bundle = copy.deepcopy(GOOD)
    bundle["verificationMaterial"]["tlogEntries"] = []
    assert isinstance(said(bundle), Rejected)
    unpromised = copy.deepcopy(GOOD)
    del unpromised["verificationMaterial"]["tlogEntries"][0]["inclusionPromise"]
    answer = said(unpromised)
    assert isinstance(answer, Rejected)
    assert "time" in answer.detail


def test_the_log_entry_of_another_signature_does_not_serve() -> None:
    bundle = copy.deepcopy(GOOD)
    bundle["verificationMaterial"]["tlogEntries"] = WORLD.bundle(DIGEST)["verificationMaterial"]["tlogEntries"]
    assert isinstance(said(bundle), Rejected)


def test_another_payload_under_the_signature_does_not_verify() -> None:
    bundle = copy.deepcopy(GOOD)
    bundle["dsseEnvelope"]["payload"] = WORLD.bundle(parse_digest("sha256:" + "cd" * 32))["dsseEnvelope"]["payload"]
    answer = said(bundle)
    assert isinstance(answer, Rejected)
    assert answer.reason is Reason.BAD_SIGNATURE


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a JSON value."""
    yield path
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, inner in pairs:
        yield from leaves(inner, (*path, step))


PLACES = [path for path in leaves(GOOD) if path]


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(PLACES), st.sampled_from([None, "", "AAAA", 0, -1, 1 << 70, [], {}, "\u2014 x y\n", ["x"], True])
)
def test_no_broken_bundle_is_certified_and_none_raises(path: tuple[Any, ...], junk: Any) -> None:
    bundle = copy.deepcopy(GOOD)
    at = bundle
    for step in path[:-1]:
        at = at[step]
    if at[path[-1]] == junk:
        return
    at[path[-1]] = junk
    answer = said(bundle)
    # What the library does not need to look at may be broken; what was signed, and by whom, is the same then.
    assert isinstance(answer, Rejected) or answer == said(GOOD)


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"null", b"\xff", b"[" * 100_000, b'{"mediaType":1}'])
def test_what_is_no_bundle_is_rejected(data: bytes) -> None:
    assert isinstance(examined(data, SIGNER), Rejected)


@pytest.mark.parametrize("root", [b"", b"{}", b"[" * 100_000, b"null", json.dumps({"mediaType": "x"}).encode()])
def test_what_is_no_trusted_root_is_refused(root: bytes) -> None:
    with pytest.raises(ValueError, match=r".*"):
        check_root(root)
    check_root(WORLD.trusted_root())


async def test_examining_leaves_the_loop_free() -> None:
    examiner = SigstoreExaminer()
    try:
        answers = await asyncio.gather(*(examiner.examine(json.dumps(GOOD).encode(), SIGNER) for _ in range(4)))
    finally:
        examiner.close()
    assert answers == [said(GOOD)] * 4


def test_the_library_is_imported_when_it_is_needed() -> None:
    code = "import sys, proxy.server.running; print('sigstore' in sys.modules)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert told.stdout.strip() == "False"
