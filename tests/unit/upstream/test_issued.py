from __future__ import annotations

from proxy.upstream.tokens import SWEEP_S, IssuedTokens
from tests.worlds.memory import FrozenClock


def mac(n: int) -> bytes:
    return n.to_bytes(32, "big")


def tokens(most: int = 80) -> tuple[IssuedTokens, FrozenClock]:
    clock = FrozenClock()
    return IssuedTokens(most, clock.monotonic), clock


def test_a_token_is_somebodys_until_it_ends() -> None:
    issued, clock = tokens()
    issued.put(mac(1), "alice", clock.monotonic() + 10)
    found = issued.get(mac(1))
    assert found is not None
    assert found.name == "alice"
    clock.advance(10)
    assert issued.get(mac(1)) is None


def test_who_asks_for_many_tokens_pushes_out_nobody_elses() -> None:
    issued, clock = tokens()
    issued.put(mac(0), "alice", clock.monotonic() + 3600)
    for n in range(1, 1_000):
        issued.put(mac(n), "mallory", clock.monotonic() + 3600)
    assert issued.get(mac(0)) is not None
    assert len(issued) == 11  # an eighth of 80, and hers
    assert issued.get(mac(999)) is not None
    assert issued.get(mac(989)) is None


def test_all_together_are_bounded_the_oldest_goes_first() -> None:
    issued, clock = tokens()
    for n in range(100):
        issued.put(mac(n), f"user{n}", clock.monotonic() + 3600)
    assert len(issued) == 80
    assert issued.get(mac(19)) is None
    assert issued.get(mac(20)) is not None


def test_what_is_over_makes_room_by_itself() -> None:
    issued, clock = tokens()
    for n in range(50):
        issued.put(mac(n), f"user{n}", clock.monotonic() + 10)
    clock.advance(SWEEP_S + 1)
    issued.put(mac(99), "alice", clock.monotonic() + 10)
    assert len(issued) == 1


def test_a_token_that_is_issued_again_is_the_latest_ones() -> None:
    issued, clock = tokens()
    issued.put(mac(1), "alice", clock.monotonic() + 10)
    issued.put(mac(1), "bob", clock.monotonic() + 10)
    found = issued.get(mac(1))
    assert found is not None
    assert found.name == "bob"
    issued.drop(mac(1))
    issued.drop(mac(1))
    assert len(issued) == 0
