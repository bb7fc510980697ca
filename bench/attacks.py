"""Attacks on a proxy on loopback, each bounded in time and count: `python -m bench.attacks NAME PORT SECONDS`.

An attacker comes from 127.0.0.2, the clients whose answers are timed from 127.0.0.1. Run by `bench.hostile`.
"""

from __future__ import annotations

import http.client
import json
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from time import monotonic, sleep

from bench.images import INDEX, MANIFEST, digest_of

HOST, ATTACKER = "127.0.0.1", ("127.0.0.2", 0)
MIB = 1 << 20
EMPTY = b"{}"
SIMPLE = "application/vnd.dev.cosign.simplesigning.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
REPOSITORY = "hostile/images"


def request(port: int, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, dict[str, str]]:
    """Send one request as the attacker; return status and headers (lower-case names)."""
    connection = http.client.HTTPConnection(HOST, port, timeout=60, source_address=ATTACKER)
    try:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body=body or None, headers=named)
        reply = connection.getresponse()
        reply.read()
        return reply.status, {name.lower(): value for name, value in reply.getheaders()}
    finally:
        connection.close()


def put_manifest(port: int, reference: str, body: bytes, kind: str = MANIFEST, query: str = "") -> int:
    """PUT a manifest as the attacker; return the status."""
    path = f"/v2/{REPOSITORY}/manifests/{reference}{query}"
    return request(port, "PUT", path, body, Content_Type=kind)[0]


def put_blob(port: int, data: bytes) -> dict[str, object]:
    """Upload a blob as the attacker; return digest and size."""
    location = request(port, "POST", f"/v2/{REPOSITORY}/blobs/uploads/")[1]["location"]
    path = "/" + location.partition("://")[2].partition("/")[2] if "://" in location else location
    path += ("&" if "?" in path else "?") + f"digest={digest_of(data)}"
    status, _ = request(port, "PUT", path, data, Content_Type="application/octet-stream")
    assert status == 201, status
    return {"digest": digest_of(data), "size": len(data)}


def described(kind: str, layers: list[dict[str, object]], config: dict[str, object], **more: object) -> bytes:
    """Return an image manifest with these layers."""
    body = {"schemaVersion": 2, "mediaType": MANIFEST, "config": {"mediaType": kind, **config}, "layers": layers}
    return json.dumps({**body, **more}).encode()


def brackets(size: int, before: bytes = b'{"a":[', after: bytes = b"1]}") -> bytes:
    """Return JSON of about this many bytes that is as dear to parse as JSON gets."""
    return before + b"[[]]," * ((size - len(before) - len(after)) // 5) + after


@contextmanager
def sockets(port: int, count: int) -> Iterator[list[socket.socket]]:
    """Open this many connections, as many as the proxy accepts; close them all at the end."""
    opened: list[socket.socket] = []
    try:
        for _ in range(count):
            with suppress(OSError):
                opened.append(socket.create_connection((HOST, port), 5, source_address=ATTACKER))
        yield opened
    finally:
        for each in opened:
            each.close()


def send(connections: list[socket.socket], data: bytes) -> None:
    """Send to each, whatever has become of it."""
    for each in connections:
        each.settimeout(2)
        with suppress(OSError):
            each.sendall(data)


def repeat(seconds: float, threads: int, work: Callable[[int], object]) -> None:
    """Call `work(n)` from some threads until the time is over; what it raises of the network is ignored."""
    end, count = monotonic() + seconds, iter(range(10**6))

    def run() -> None:
        while monotonic() < end:
            with suppress(OSError, http.client.HTTPException):
                work(next(count))

    running = [threading.Thread(target=run, daemon=True) for _ in range(threads)]
    for each in running:
        each.start()
    for each in running:
        each.join(seconds + 70)


def slow_bodies(port: int, seconds: float) -> None:
    """120 manifests of almost 4 MiB that never end."""
    body = 4 * MIB - 100
    head = f"PUT /v2/a/b/manifests/t HTTP/1.1\r\nHost: x\r\nContent-Type: {MANIFEST}\r\n"
    with sockets(port, 120) as connections:
        send(connections, f"{head}Content-Length: {body + 10}\r\n\r\n".encode())
        send(connections, b" " * body)
        sleep(seconds)


def long_headers(port: int, seconds: float) -> None:
    """GETs whose Accept headers are hundreds of kilobytes and never the same."""

    def one(n: int) -> None:
        lines = [f"Accept: {n}-{line}-".encode() + b"a" * 7900 for line in range(110)]
        with sockets(port, 1) as connections:
            send(connections, b"GET /v2/a/b/manifests/t HTTP/1.1\r\nHost: x\r\n" + b"\r\n".join(lines) + b"\r\n\r\n")
            for each in connections:
                each.recv(65536)

    repeat(seconds, 4, one)


def long_queries(port: int, seconds: float) -> None:
    """GETs with kilobytes of query that means nothing and is never the same."""
    repeat(seconds, 4, lambda n: request(port, "GET", f"/v2/a/b/manifests/t?x={n}{'a' * 7900}"))


def brackets_unasked(port: int, seconds: float) -> None:
    """PUTs of 4 MiB of brackets by a stranger."""
    body = brackets(4 * MIB)
    repeat(seconds, 3, lambda _: request(port, "PUT", "/v2/a/b/manifests/t", body, Content_Type=MANIFEST))


def malformed(port: int, seconds: float) -> None:
    """PUTs that are no manifests, as fast as they go."""
    repeat(seconds, 4, lambda n: request(port, "PUT", f"/v2/a/b{n}/manifests/t", b"{", Content_Type=MANIFEST))


def half_requests(port: int, seconds: float) -> None:
    """Every connection there is, each with a body of which one byte comes now and then."""
    head = b"POST /-/token HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"
    with sockets(port, 4096) as connections:
        send(connections, head + b"Content-Length: 60000\r\n\r\na")
        end = monotonic() + seconds
        while monotonic() < end:
            sleep(2)
            send(connections, b"a")


def pipelining(port: int, seconds: float) -> None:
    """Requests one behind the other on one connection, no answer read."""
    data = b"GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n" * 2000
    end = monotonic() + seconds
    with sockets(port, 4) as connections:
        for each in connections:
            each.settimeout(2)
        while monotonic() < end:
            for each in connections:
                with suppress(OSError):
                    each.send(data)
            sleep(0.05)


def slow_readers(port: int, seconds: float) -> None:
    """600 downloads of one layer that nobody reads."""
    layer = put_blob(port, bytes(24 * MIB))
    put_manifest(
        port, "slow", described(CONFIG, [{"mediaType": "application/octet-stream", **layer}], put_blob(port, EMPTY))
    )
    head = f"GET /v2/{REPOSITORY}/blobs/{layer['digest']} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    with sockets(port, 600) as connections:
        send(connections, head)
        sleep(seconds)


def endless_listing(port: int, seconds: float) -> None:
    """The list of a thousand referrers that are one manifest of 4 MiB."""
    config = put_blob(port, EMPTY)
    start = described("application/vnd.oci.empty.v1+json", [], config)[:-1]
    big = brackets(4 * MIB, start + b', "x": [', b"1]}")
    put_manifest(port, "big", big)
    subject = "sha256:" + "5" * 64
    entry = {"mediaType": MANIFEST, "digest": digest_of(big), "size": len(big)}
    index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry] * 1000}
    put_manifest(port, subject.replace(":", "-"), json.dumps(index).encode(), INDEX)
    repeat(seconds, 2, lambda _: request(port, "GET", f"/v2/{REPOSITORY}/referrers/{subject}"))


def _junk_layers(port: int, junk: bytes, **more: object) -> bytes:
    layer = {"mediaType": SIMPLE, **put_blob(port, junk), "annotations": {"dev.cosignproject.cosign/signature": "AAAA"}}
    return described(CONFIG, [layer] * 100, put_blob(port, EMPTY), **more)


def junk_artifact(port: int, seconds: float) -> None:
    """Signature artifacts of a hundred layers that are one blob of 1 MiB, each a little different."""
    start = b'{"critical":{"identity":{"docker-reference":"x"},"image":{"docker-manifest-digest":"sha256:'
    start += b"1" * 64 + b'"},"type":"cosign container image signature"},"optional":{"a":['
    body = _junk_layers(port, brackets(MIB - 10, start, b"1]}}"))
    repeat(
        seconds, 4,
        lambda n: put_manifest(port, f"t{n}", body[:-1] + f', "annotations": {{"n": "{n}"}}}}'.encode()),
    )  # fmt: skip


def junk_signatures(port: int, seconds: float) -> None:
    """GETs of an image whose `.sig` lists junk a hundred times, each with another password."""
    image = described(CONFIG, [], put_blob(port, EMPTY), annotations={"junk": "yes"})
    put_manifest(port, digest_of(image), image)
    put_manifest(port, digest_of(image).replace(":", "-") + ".sig", _junk_layers(port, brackets(MIB)))
    repeat(seconds, 2, lambda _: request(port, "GET", f"/v2/{REPOSITORY}/manifests/{digest_of(image)}"))


def index_by_tags(port: int, seconds: float) -> None:
    """An index of forty images pushed to 32 new tags at once, again and again."""
    config, children = put_blob(port, EMPTY), []
    for n in range(40):
        body = described(CONFIG, [], config, annotations={"child": str(n)})
        put_manifest(port, digest_of(body), body)
        children.append({"mediaType": MANIFEST, "digest": digest_of(body), "size": len(body)})
    index = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": children}).encode()

    def one(n: int) -> int:
        query = "?" + "&".join(f"tag=t{n}-{tag}" for tag in range(32))
        return put_manifest(port, digest_of(index), index, INDEX, query)

    repeat(seconds, 1, one)


STRANGERS = {
    "bodies that never end": slow_bodies,
    "long Accept headers": long_headers,
    "long queries": long_queries,
    "brackets by a stranger": brackets_unasked,
    "malformed manifests": malformed,
    "half requests on every connection": half_requests,
    "pipelined requests": pipelining,
}
PUSHERS = {
    "layers that nobody reads": slow_readers,
    "a list of a thousand large referrers": endless_listing,
    "signature artifacts of junk": junk_artifact,
    "a .sig of junk": junk_signatures,
    "an index by 32 tags": index_by_tags,
}
ATTACKS = {**STRANGERS, **PUSHERS}

if __name__ == "__main__":
    ATTACKS[sys.argv[1]](int(sys.argv[2]), float(sys.argv[3]))
