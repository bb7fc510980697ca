"""Where a configured URL may lead: nowhere near this host, unless that place is allowed by name.

A name is written into the configuration once and resolved by somebody else's DNS each time. So what counts is the
address that would be connected to: loopback, link-local (cloud metadata lives there), and what is no host at all are
refused. Private networks are not: that is where a timestamp authority of one's own is.
"""

from __future__ import annotations

from collections.abc import Collection
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from proxy.oci.faults import Unavailable

_NAT64 = (ip_network("64:ff9b::/96"), ip_network("64:ff9b:1::/48"))
_6TO4 = ip_network("2002::/16")
# Cloud metadata that is not link-local: AWS over IPv6, Alibaba, Oracle.
_METADATA = frozenset(ip_address(a) for a in ("fd00:ec2::254", "100.100.100.200", "192.0.0.192"))


def is_near(text: str) -> bool:
    """True for addresses that lead to this host, its links, or to no single host; also when wrapped in IPv6."""
    address = ip_address(text.partition("%")[0])
    return any(_is_near(each) for each in (address, *_inner(address)))


def _is_near(address: IPv4Address | IPv6Address) -> bool:
    return (
        address.is_loopback
        or address.is_link_local
        or address.is_unspecified
        or address.is_multicast
        or address in _METADATA
        or (isinstance(address, IPv4Address) and int(address) >> 24 in (0, 255))
    )


def _inner(address: IPv4Address | IPv6Address) -> tuple[IPv4Address, ...]:
    """Return the IPv4 addresses that an IPv6 one carries."""
    if isinstance(address, IPv4Address):
        return ()
    low = IPv4Address(int(address) & 0xFFFF_FFFF)
    if address.ipv4_mapped is not None or int(address) >> 32 == 0 or any(address in net for net in _NAT64):
        return (low,)
    return (IPv4Address(int(address) >> 80 & 0xFFFF_FFFF),) if address in _6TO4 else ()


def check(host: str, port: int, address: str, allowed: Collection[str]) -> None:
    """Return where this connection may be made. Raises Unavailable where it may not, saying what to configure."""
    if is_near(address) and f"{host}:{port}" not in allowed and host not in allowed:
        raise Unavailable(
            f"{host} is {address}, which is this host or its link: not asked; if that is meant, add "
            f"`{host}:{port}` to outbound.allow"
        )
