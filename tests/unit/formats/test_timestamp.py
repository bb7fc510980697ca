"""Held against what real authorities answered (tests/vectors/stamps.py)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from proxy.formats import der, timestamp
from proxy.formats.timestamp import Request, token_of, verify
from tests.vectors.stamps import NAMES, SIGNATURE, WRONG, load
from tests.worlds.certificates import Holder, authority, chain_of

GOOD = sorted(set(NAMES) - set(WRONG))
OPENSSL = load("openssl")
TOKEN = token_of(OPENSSL.reply, OPENSSL.request, SIGNATURE, OPENSSL.roots)


@pytest.mark.parametrize("name", GOOD)
def test_what_real_authorities_answer_verifies(name: str) -> None:
    stamped = load(name)
    token = token_of(stamped.reply, stamped.request, SIGNATURE, stamped.roots)
    stamp = verify(token, SIGNATURE, stamped.roots)
    assert stamp.earliest <= stamp.latest
    assert datetime(2026, 11, 1, tzinfo=UTC) < stamp.earliest


def test_both_kinds_of_authority_are_held_to_it() -> None:
    assert GOOD == ["openssl", "sigstore"]


def test_the_accuracy_widens_the_time_in_both_directions() -> None:
    stamp = verify(TOKEN, SIGNATURE, OPENSSL.roots)
    assert stamp.latest - stamp.earliest == timedelta(seconds=2)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("two-purposes", "unsuitable certificate purpose"),
        ("purpose-not-critical", "unsuitable certificate purpose"),
        ("signer-is-a-ca", "leaf .* is a CA itself"),
    ],
)
def test_an_authority_whose_certificate_breaks_a_rule_is_none(name: str, why: str) -> None:
    stamped = load(name)
    with pytest.raises(ValueError, match=why):
        token_of(stamped.reply, stamped.request, SIGNATURE, stamped.roots)


def test_it_holds_for_one_signature_one_question_and_configured_roots() -> None:
    with pytest.raises(ValueError, match="Mismatch between messages"):
        verify(TOKEN, b"another signature", OPENSSL.roots)
    with pytest.raises(ValueError, match="Nonce mismatch"):
        token_of(OPENSSL.reply, Request(b"", OPENSSL.request.nonce + 1), SIGNATURE, OPENSSL.roots)
    with pytest.raises(ValueError, match="no timestamp authority is configured"):
        verify(TOKEN, SIGNATURE, ())
    strangers = chain_of(Holder("root", authority()))
    for roots in (strangers, load("sigstore").roots):
        with pytest.raises(ValueError, match="does not verify"):
            verify(TOKEN, SIGNATURE, roots)
    assert verify(TOKEN, SIGNATURE, (*strangers, *OPENSSL.roots))


def test_a_certificate_in_it_that_cannot_be_read_is_said_so() -> None:
    """Anybody can put such a token beside somebody else's signature."""
    common = b"\x06\x03\x55\x04\x03"
    assert common + b"\x0c" in TOKEN
    for at in range(len(TOKEN)):
        if TOKEN.startswith(common + b"\x0c", at):
            odd = TOKEN[: at + 5] + b"\x03" + TOKEN[at + 6 : at + 7] + b"\0" + TOKEN[at + 8 :]  # a bit string
            with pytest.raises(ValueError, match=r"timestamp|certificate"):
                verify(odd, SIGNATURE, OPENSSL.roots)


@pytest.mark.parametrize("junk", [b"", b"\x30", b"\x30\x00", b"\x30\x80", TOKEN[:-1], TOKEN + b"\0", OPENSSL.reply])
def test_what_is_no_token_is_said_so(junk: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  each says it in words of its own
        verify(junk, SIGNATURE, OPENSSL.roots)


def test_a_long_one_is_not_read() -> None:
    with pytest.raises(ValueError, match="at most 65536 are read"):
        verify(TOKEN + b"\0" * timestamp.TOKEN_BYTES, SIGNATURE, OPENSSL.roots)


def test_no_changed_byte_is_another_time() -> None:
    """Some bytes prove nothing (the copy of a root that is configured anyway): then all is as it was."""
    stamp = verify(TOKEN, SIGNATURE, OPENSSL.roots)
    for at in range(len(TOKEN)):
        changed = TOKEN[:at] + bytes((TOKEN[at] ^ 1,)) + TOKEN[at + 1 :]
        try:
            said = verify(changed, SIGNATURE, OPENSSL.roots)
        except ValueError:
            continue
        assert said == stamp, at


def test_a_refusal_says_why_and_is_no_token() -> None:
    refused = der.wrapped(0x30, der.wrapped(0x30, b"\x02\x01\x02", der.wrapped(0x30, der.wrapped(0x0C, b"too busy"))))
    with pytest.raises(ValueError, match=r"refused \(status 2: too busy\)"):
        token_of(refused, OPENSSL.request, SIGNATURE, OPENSSL.roots)


def test_the_certificates_may_come_in_any_order() -> None:
    """They are not signed over, and OpenSSL writes them as they come; a strict parser wants them sorted."""
    reply = load("sigstore").reply
    _, token = der.elements(der.inside(reply, 0x30))
    kind, content = der.elements(der.inside(token, 0x30))
    parts = der.elements(der.inside(der.inside(content, 0xA0), 0x30))
    turned = [
        der.wrapped(0xA0, *sorted(der.elements(der.inside(p, 0xA0)), reverse=True)) if p[0] == 0xA0 else p
        for p in parts
    ]
    changed = der.wrapped(0x30, kind, der.wrapped(0xA0, der.wrapped(0x30, *turned)))
    assert changed != token
    assert verify(changed, SIGNATURE, load("sigstore").roots) == verify(token, SIGNATURE, load("sigstore").roots)
