from __future__ import annotations

from itertools import product

import pytest

from proxy.keys.states import NEXT, refusal
from proxy.trust.keys import BookKey, KeyState
from tests.worlds.memory import NOON

P, A, T, R, C, D = KeyState
ALLOWED = {(P, A), (P, R), (P, C), (A, T), (A, C), (T, R), (T, C), (R, C), (R, D), (D, C)}


def key(state: KeyState) -> BookKey:
    return BookKey("release", "t", "1", "01", "release", "ecdsa-p256", b"spki", state, NOON)


@pytest.mark.parametrize(("before", "to"), list(product(KeyState, repeat=2)))
def test_a_key_goes_forward_only_and_every_refusal_has_words(before: KeyState, to: KeyState) -> None:
    why = refusal(key(before), to)
    assert (why is None) is ((before, to) in ALLOWED)
    if why is not None:
        assert "of release is " + before in why


def test_every_state_is_in_the_table_and_nothing_comes_back_from_the_last() -> None:
    assert set(NEXT) == set(KeyState)
    assert NEXT[KeyState.COMPROMISED] == frozenset()


@pytest.mark.parametrize(
    ("state", "to", "next_command"),
    [
        (A, R, "countersign keys rotate release"),
        (T, A, "countersign keys rotate release"),
        (T, D, "only a retired key can be destroyed: countersign keys retire"),
        (R, R, "already; nothing was changed"),
    ],
)
def test_a_refusal_says_what_to_do_instead(state: KeyState, to: KeyState, next_command: str) -> None:
    assert next_command in str(refusal(key(state), to))
