from __future__ import annotations

import time

from hypothesis import given
from hypothesis import strategies as st

from proxy.upstream.headers import Challenge, parse_challenges

BEARER = 'Bearer realm="https://auth.example/token",service="reg",scope="repository:a/b:pull,push",error="invalid"'


def test_a_bearer_challenge() -> None:
    (found,) = parse_challenges([BEARER])
    assert found.scheme == "bearer"
    assert found.get("realm") == "https://auth.example/token"
    assert found.get("scope") == "repository:a/b:pull,push"
    assert found.get("nothing") is None
    assert str(found) == BEARER


def test_another_realm() -> None:
    (found,) = parse_challenges([BEARER])
    changed = str(found.with_realm("https://proxy.example/-/token"))
    assert changed == BEARER.replace("https://auth.example/token", "https://proxy.example/-/token")


def test_several_challenges_in_one_header_and_in_many() -> None:
    found = parse_challenges(['Negotiate, Basic realm="a, b" , Bearer service=x,realm=y', 'Digest nonce="1"'])
    assert [c.scheme for c in found] == ["negotiate", "basic", "bearer", "digest"]
    assert found[1].get("realm") == "a, b"
    assert found[2].parameters == (("service", "x"), ("realm", "y"))


def test_quotes_within_quotes() -> None:
    (found,) = parse_challenges([r'Basic realm="a \"b\" \\ c"'])
    assert found.get("realm") == r'a "b" \ c'
    assert parse_challenges([str(found)]) == (found,)


def test_what_cannot_be_read_ends_its_header() -> None:
    assert parse_challenges(["", ",,,", "=x", '"quoted"']) == ()
    assert parse_challenges(['Basic realm=a "x" service=b']) == (Challenge("basic", (("realm", "a"),)),)
    assert all(c.get("realm") is None for c in parse_challenges(['Bearer realm="open']))


@given(st.text(max_size=200))
def test_any_text_is_read_without_an_error(text: str) -> None:
    parse_challenges([text])


def test_a_long_header_takes_no_long_time() -> None:
    begun = time.process_time()
    for text in (" " * 100_000, "a " * 50_000, 'a="' + "\\" * 100_000, "a=," * 30_000, ', "' * 30_000):
        parse_challenges([text])
    assert time.process_time() - begun < 5
