"""One limit, many holders: a share bites only under pressure, and only for the one who holds too much."""

import pytest

from proxy.oci.shares import Shares, network_of


def test_one_holder_may_have_three_quarters_while_nobody_else_is_there() -> None:
    shares = Shares(80)
    assert all(shares.take("a") for _ in range(60))
    assert not shares.take("a")
    assert shares.used == shares.held("a") == 60


def test_others_are_served_up_to_the_limit_while_one_holds_too_much() -> None:
    shares = Shares(80)
    for _ in range(60):
        shares.take("a")
    assert all(shares.take(f"other-{n}") for n in range(20))
    assert not shares.take("another")
    assert shares.used == 80


def test_under_pressure_each_may_have_an_eighth() -> None:
    shares = Shares(80)
    for _ in range(60):
        shares.take("a")
    assert [shares.take("b") for _ in range(11)] == [True] * 10 + [False]


def test_who_gives_back_may_take_again() -> None:
    shares = Shares(8)
    assert shares.take("a", 6)
    assert not shares.take("a")
    shares.give_back("a", 6)
    assert shares.take("a")
    assert (shares.used, shares.held("a")) == (1, 1)


def test_a_holder_without_a_share_is_bound_by_the_limit_alone() -> None:
    shares = Shares(8)
    assert shares.take(None, 8)
    assert not shares.take(None)
    shares.give_back(None, 8)
    assert shares.used == 0


def test_what_was_refused_is_not_counted() -> None:
    shares = Shares(8)
    assert not shares.take("a", 9)
    assert (shares.used, shares.held("a")) == (0, 0)


@pytest.mark.parametrize(
    ("address", "counts_as"),
    [
        ("10.0.0.7", "10.0.0.7"),
        ("::ffff:10.0.0.7", "10.0.0.7"),
        ("2001:db8:1:2:aaaa::1", "2001:0db8:0001:0002::/64"),
        ("2001:db8:1:2:bbbb::1", "2001:0db8:0001:0002::/64"),
        ("2001:db8:1:3::1", "2001:0db8:0001:0003::/64"),
        ("fe80::1%eth0", "fe80:0000:0000:0000::/64"),
        ("unix:", "unix:"),
    ],
)
def test_an_address_counts_as_its_network(address: str, counts_as: str) -> None:
    assert network_of(address) == counts_as
