"""Allowances: a burst, then a steady rate, each caller for itself."""

import pytest

from proxy.admin.rate import Rate, TokenBucket, place
from proxy.oci.faults import Fault
from tests.worlds.memory import FrozenClock


def test_a_burst_then_a_steady_rate() -> None:
    clock = FrozenClock()
    allowance = TokenBucket(Rate(2, 0.5), clock.monotonic)
    allowance.take("a")
    allowance.take("a")
    with pytest.raises(Fault, match="try again in 2 s") as refused:
        allowance.take("a")
    assert (refused.value.status, refused.value.headers) == (429, {"Retry-After": "2"})
    allowance.take("b")
    clock.advance(2)
    allowance.take("a")
    with pytest.raises(Fault):
        allowance.check("a")


def test_nobody_saves_up_more_than_a_burst() -> None:
    clock = FrozenClock()
    allowance = TokenBucket(Rate(2, 1), clock.monotonic)
    allowance.take("a")
    clock.advance(3600)
    for _ in range(2):
        allowance.take("a")
    with pytest.raises(Fault):
        allowance.take("a")


def test_checking_uses_nothing_up() -> None:
    allowance = TokenBucket(Rate(1, 1), FrozenClock().monotonic)
    for _ in range(5):
        allowance.check("a")
    allowance.take("a")


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("2001:db8:1:2::9", "2001:db8:1:2::"),
        ("fe80::1%eth0", "fe80::"),
        ("", ""),
    ],
)
def test_whoever_has_a_whole_network_of_addresses_counts_once(address: str, counted: str) -> None:
    assert place(address) == counted
