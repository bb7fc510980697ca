"""Sockets for every address of this machine, one per address family."""

from __future__ import annotations

import errno
import socket

TRIES = 16  # attempts to find a port free in both families; a configured port is tried once
_FAMILIES = (("IPv4", socket.AF_INET, "0.0.0.0"), ("IPv6", socket.AF_INET6, "::"))  # noqa: S104
_NOT_HERE = frozenset({errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL, errno.EPROTONOSUPPORT})


def everywhere(port: int) -> tuple[list[socket.socket], str]:
    """Return sockets bound to one port, IPv4 and IPv6, and the name of a family that this machine does not have.

    Two sockets instead of one for both: callers over IPv4 keep their addresses, which networks in the configuration
    name. Raises OSError if the port is taken in either family, or if the machine has neither family.
    """
    for attempt in range(TRIES):
        try:
            return _both(port)
        except OSError as taken:
            if port != 0 or taken.errno != errno.EADDRINUSE or attempt + 1 == TRIES:
                raise
    raise AssertionError("unreachable")


def _both(port: int) -> tuple[list[socket.socket], str]:
    bound: list[socket.socket] = []
    missing: list[tuple[str, OSError]] = []
    try:
        for name, family, host in _FAMILIES:
            try:
                bound.append(_bound(family, host, port))
            except OSError as error:
                if error.errno not in _NOT_HERE:
                    raise
                missing.append((name, error))
            else:
                port = bound[-1].getsockname()[1]
    except OSError:
        for one in bound:
            one.close()
        raise
    if not bound:
        raise missing[0][1]
    return bound, missing[0][0] if missing else ""


def _bound(family: socket.AddressFamily, host: str, port: int) -> socket.socket:
    one = socket.socket(family, socket.SOCK_STREAM)
    try:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as asyncio does: a restart need not wait
        if family is socket.AF_INET6:
            one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        one.bind((host, port))
    except OSError:
        one.close()
        raise
    return one
