"""base64url and base64 in the JWS envelope: one string of bytes is written in one way, or it is no signature."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

import pytest

from proxy.formats.notation import NOTATION_JWS
from proxy.oci.reference import digest_of
from proxy.trust.evidence import Rejected, Verified
from tests.worlds.certificates import certified
from tests.worlds.softkey import rewritten

IMAGE = digest_of(b"image")
KEY = certified()
LAYER = KEY.layer("notation-jws", IMAGE)
VALUE = json.loads(LAYER.data)
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def tail_bits(text: str) -> str:
    """The same bytes to a careless decoder: a bit beyond the last byte is set (64 bytes leave four such bits)."""
    return text[:-1] + ALPHABET[ALPHABET.index(text[-1]) ^ 1]


VARIANTS: Mapping[str, Callable[[str], str]] = {
    "padding": lambda text: text + "=",
    "two of padding": lambda text: text + "==",
    "newline behind": lambda text: text + "\n",
    "space before": lambda text: " " + text,
    "newline inside": lambda text: f"{text[:8]}\n{text[8:]}",
    "foreign character": lambda text: f"{text[:8]}!{text[8:]}",
    "not ASCII": lambda text: text + "\u0391",
    "one more": lambda text: text + "A",
    "NUL": lambda text: text + "\0",
}


def judged(value: object) -> object:
    [finding] = NOTATION_JWS.examine(rewritten(LAYER, json.dumps(value).encode()), IMAGE, [KEY.verifier])
    return finding


def test_as_it_is_written_it_counts() -> None:
    assert isinstance(judged(VALUE), Verified)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("field", ["protected", "payload", "signature"])
def test_variants_of_base64url(field: str, variant: str) -> None:
    assert isinstance(judged({**VALUE, field: VARIANTS[variant](VALUE[field])}), Rejected)


def test_bits_beyond_the_last_byte_of_a_signature() -> None:
    other = tail_bits(VALUE["signature"])
    assert other != VALUE["signature"]
    assert isinstance(judged({**VALUE, "signature": other}), Rejected)


def test_the_alphabet_of_base64_where_base64url_is_due() -> None:
    for _ in range(64):
        made = json.loads(KEY.layer("notation-jws", IMAGE).data)
        swapped = made["signature"].replace("-", "+").replace("_", "/")
        if swapped != made["signature"]:
            assert isinstance(judged({**made, "signature": swapped}), Rejected)
            return
    pytest.fail("no signature with a character that differs")


@pytest.mark.parametrize("variant", [name for name in VARIANTS if "padding" not in name])
def test_variants_of_base64_in_the_certificates(variant: str) -> None:
    x5c = [VARIANTS[variant](text) for text in VALUE["header"]["x5c"]]
    assert isinstance(judged({**VALUE, "header": {"x5c": x5c}}), Rejected)


def test_certificates_without_their_padding_or_in_another_alphabet() -> None:
    for change in (lambda t: t.rstrip("=") + "=" * 3, lambda t: t.replace("+", "-").replace("/", "_")):
        assert isinstance(judged({**VALUE, "header": {"x5c": list(map(change, VALUE["header"]["x5c"]))}}), Rejected)
