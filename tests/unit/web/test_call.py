"""Who is calling, from where: nobody is believed about an address but the proxies we trust."""

from ipaddress import ip_network

import pytest

from proxy.web.call import caller_address

TRUSTED = [ip_network("10.0.0.0/8"), ip_network("fd00::/8")]


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("192.0.2.1", ["198.51.100.9"], "192.0.2.1"),
        ("10.0.0.1", ["198.51.100.9"], "198.51.100.9"),
        ("10.0.0.1", ["1.1.1.1, 198.51.100.9"], "198.51.100.9"),
        ("10.0.0.1", ["1.1.1.1", "198.51.100.9, 10.0.0.2"], "198.51.100.9"),
        ("10.0.0.1", ["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        ("10.0.0.1", ["nonsense"], "10.0.0.1"),
        ("10.0.0.1", ["2.2.2.2, <script>"], "10.0.0.1"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("fd00::1", ["2001:db8::1"], "2001:db8::1"),
        ("", ["2.2.2.2"], ""),
    ],
)
def test_the_address_is_the_nearest_hop_that_is_no_trusted_proxy(peer: str, forwarded: list[str], address: str) -> None:
    assert caller_address(peer, forwarded, TRUSTED) == address
