"""Attack 39: ten thousand hostile requests of strangers, on as many connections as there may be, leave no memory taken.

A process that serves, with its own allocator and its own sweep: both are chosen where it starts.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from tests.interop.countersign import Proxy, countersign
from tests.interop.registries import docker_registry

pytestmark = pytest.mark.real
KEPT_KIB = 20 * 1024
SETTLED_S = 60  # at most, until the sweep has come by
HALF = (
    b"POST /-/token HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"
    b"Content-Length: 60000\r\n\r\na"
)
MANIFEST = "application/vnd.oci.image.manifest.v1+json"


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[Proxy]:
    """A proxy in a process of its own, in front of Debian's registry with a password on it."""
    with docker_registry(tmp_path / "upstream") as upstream, countersign(tmp_path / "proxy", upstream) as running:
        yield running


def resident(proxy: Proxy) -> int:
    """How much memory its process has, KiB."""
    lines = Path(f"/proc/{proxy.daemon.process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


def connect(proxy: Proxy, source: str = "127.0.0.2") -> socket.socket:
    """A connection of a stranger."""
    host, _, port = proxy.host.partition(":")
    return socket.create_connection((host, int(port)), timeout=10, source_address=(source, 0))


def half_requests(proxy: Proxy, count: int) -> None:
    """So many connections at once, each with a body that never comes; then they all go."""
    with ExitStack() as held:
        for _ in range(count):
            with suppress(OSError):
                one = held.enter_context(connect(proxy))
                one.sendall(HALF)
        time.sleep(1)


def whole_requests(proxy: Proxy, count: int) -> None:
    """So many requests that are each refused."""
    kinds = [
        b"PUT /v2/a/b%d/manifests/t HTTP/1.1\r\nHost: x\r\nContent-Type: " + MANIFEST.encode()
        + b"\r\nContent-Length: 60000\r\n\r\n" + b"[" * 60000,
        b"GET /v2/a/b%d/manifests/t?" + b"n=1&" * 4000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /v2/a/b%d/manifests/t HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + b"a" * 50000 + b"\r\n\r\n",
        b"GET /v2/a/b%d/manifests/t HTTP/1.1\r\nHost: x\r\nAccept: " + b"a/b, " * 5000 + b"\r\n\r\n",
    ]  # fmt: skip
    sent = 0
    while sent < count:
        with suppress(OSError), connect(proxy) as one:
            heard = b"its answer"
            while heard and sent < count:  # until one is refused together with its connection
                sent += 1
                one.sendall(kinds[sent % 4].replace(b"%d", b"%d" % sent))
                heard = one.recv(65536)


def settled(proxy: Proxy, most: int) -> int:
    """The memory once it is at most this, or what it is when that does not happen."""
    end = time.monotonic() + SETTLED_S
    while (now := resident(proxy)) > most and time.monotonic() < end:
        time.sleep(1)
    return now


def test_ten_thousand_requests_and_four_thousand_connections_leave_nothing_behind(proxy: Proxy) -> None:
    whole_requests(proxy, 400)  # what is loaded and built once is there
    before = resident(proxy)
    half_requests(proxy, 4096)
    whole_requests(proxy, 10_000)
    after = settled(proxy, before + KEPT_KIB)
    assert after <= before + KEPT_KIB, f"{(after - before) / 1024:.0f} MiB more than before"
