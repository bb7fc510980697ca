from __future__ import annotations

import pytest

from proxy.upstream.tokens import DEFAULT_LIFE_S, LONGEST_LIFE_S, token_in, user_of
from tests.worlds.registry import basic

ALICE = basic("alice", "secret")


@pytest.mark.parametrize(
    ("body", "token", "life"),
    [
        (b'{"token":"a"}', "a", DEFAULT_LIFE_S),
        (b'{"access_token":"a","expires_in":5}', "a", 5),
        (b'{"token":"a","expires_in":1e99}', "a", DEFAULT_LIFE_S),
        (b'{"token":"a","expires_in":-1}', "a", DEFAULT_LIFE_S),
        (b'{"token":"a","expires_in":true}', "a", DEFAULT_LIFE_S),
        (b'{"token":"a","expires_in":999999}', "a", LONGEST_LIFE_S),
        (b'{"token":7}', "", DEFAULT_LIFE_S),
        (b'{"token":"a\\nb"}', "", DEFAULT_LIFE_S),
        (b"[]", "", DEFAULT_LIFE_S),
        (b"<html>", "", DEFAULT_LIFE_S),
        (b"[" * 100_000, "", DEFAULT_LIFE_S),
    ],
)
def test_a_token_in_an_answer(body: bytes, token: str, life: int) -> None:
    assert token_in(body) == (token, life)


@pytest.mark.parametrize(
    ("authorization", "name"),
    [
        (None, None),
        (ALICE, "alice"),
        (ALICE.replace("Basic", "bAsIc"), None),
        (ALICE.replace(" ", "  "), None),
        (ALICE + " ", None),
        (ALICE.rstrip("="), None if ALICE.endswith("=") else "alice"),
        (basic("alice", ""), None),
        (basic("alice", "a:b"), "alice"),
        (basic("", "x"), None),
        ("Basic YWxpY2U=", None),
        ("Basic ???", None),
        ("Basic", None),
        ("Bearer abc", None),
    ],
)
def test_the_name_in_a_password(authorization: str | None, name: str | None) -> None:
    assert user_of(authorization) == name
