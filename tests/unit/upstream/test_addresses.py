import pytest

from proxy.oci.faults import Unavailable
from proxy.upstream.addresses import check, is_near

NEAR = (
    "127.0.0.1", "127.8.9.10", "0.0.0.0", "0.1.2.3", "169.254.169.254", "224.0.0.1", "255.255.255.255",  # noqa: S104
    "100.100.100.200", "::", "::1", "fe80::1", "fe80::1%eth0", "ff02::1", "fd00:ec2::254", "::ffff:127.0.0.1",
    "::ffff:169.254.169.254", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::",
)  # fmt: skip
FAR = ("10.0.0.7", "192.168.1.1", "172.16.0.1", "93.184.216.34", "2606:2800::1", "fd12::1", "::ffff:10.0.0.7")


@pytest.mark.parametrize("address", NEAR)
def test_this_host_and_its_links_are_near_however_they_are_written(address: str) -> None:
    assert is_near(address)


@pytest.mark.parametrize("address", FAR)
def test_other_hosts_are_not_private_ones_neither(address: str) -> None:
    assert not is_near(address)


def test_what_is_near_is_refused_unless_it_is_allowed_by_the_name_it_is_asked_under() -> None:
    with pytest.raises(Unavailable, match=r"tsa is 127.0.0.1.*add `tsa:318` to outbound.allow"):
        check("tsa", 318, "127.0.0.1", ())
    with pytest.raises(Unavailable):
        check("tsa", 318, "127.0.0.1", {"tsa:319", "other", "127.0.0.1"})
    check("tsa", 318, "127.0.0.1", {"tsa:318"})
    check("tsa", 318, "127.0.0.1", {"tsa"})
    check("tsa", 318, "10.0.0.7", ())
