from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.oci.faults import Fault
from proxy.oci.reference import (
    Digest,
    Repository,
    Tag,
    digest_of,
    fallback_tag,
    is_digest,
    matches,
    parse_digest,
    parse_reference,
    parse_repository,
    parse_tag,
    signature_tag,
    subject_of_tag,
)
from tests.worlds.strategies import digests, repositories, tags

HEX = "0123456789abcdef" * 4


@pytest.mark.parametrize("name", ["a", "0", "a/b/c", "a-b", "a---b", "a.b", "a_b", "a__b", "blobs/uploads", "a" * 255])
def test_names_of_repositories(name: str) -> None:
    assert parse_repository(name) == name


@pytest.mark.parametrize(
    "name",
    ["", "A", "a/", "/a", "a//b", "-a", "a-", "a..b", "a.-b", "a___b", "a_.b", "a b", "a:b", "a@b", "a%2fb", "..",
     "a/../b", "ä", "\u0131", "a\n", "a\x00", "a" * 256, "_catalog", "a\\b", "\u0660"],
)  # fmt: skip
def test_what_is_no_name_of_a_repository(name: str) -> None:
    with pytest.raises(Fault) as refused:
        parse_repository(name)
    assert refused.value.code == "NAME_INVALID"
    assert refused.value.message.isascii()


@given(st.text(alphabet="ab0-_./", max_size=30))
def test_names_agree_with_the_expression_of_the_specification(text: str) -> None:
    component = r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*"
    expected = re.fullmatch(rf"{component}(\/{component})*", text) is not None
    try:
        parse_repository(text)
        valid = True
    except Fault:
        valid = False
    assert valid is expected


def test_long_names_take_no_time() -> None:
    began = time.process_time()
    for _ in range(200):
        with pytest.raises(Fault):
            parse_repository("a-" * 127 + "!")
    assert time.process_time() - began < 1


@pytest.mark.parametrize("tag", ["latest", "_", "1.0", "A-b_C.d", "x" * 128])
def test_tags(tag: str) -> None:
    assert parse_tag(tag) == tag


@pytest.mark.parametrize("tag", ["", ".a", "-a", "a b", "a/b", "a:b", "a@b", "x" * 129, "ä", "a\n", "..", "a%"])
def test_what_is_no_tag(tag: str) -> None:
    with pytest.raises(Fault):
        parse_tag(tag)


def test_a_reference_is_a_digest_where_there_is_a_colon() -> None:
    assert is_digest(parse_reference(f"sha256:{HEX}"))
    assert not is_digest(parse_reference("latest"))
    with pytest.raises(Fault) as refused:
        parse_reference("latest:x")
    assert refused.value.code == "DIGEST_INVALID"


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_digests_are_computed_and_compared(algorithm: str) -> None:
    digest = digest_of(b"x", algorithm)
    assert parse_digest(digest) == digest
    assert matches(digest, b"x")
    assert not matches(digest, b"y")


@given(digests())
def test_tags_about_a_digest_are_tags_and_lead_back_to_it(digest: Digest) -> None:
    assert parse_tag(fallback_tag(digest)) == fallback_tag(digest)
    if digest.startswith("sha256"):
        assert subject_of_tag(fallback_tag(digest)) == digest
        assert subject_of_tag(parse_tag(signature_tag(digest))) == digest


@given(tags(), repositories())
def test_other_tags_are_about_nothing(tag: Tag, name: Repository) -> None:
    assert parse_repository(name) == name
    assert subject_of_tag(tag) is None
