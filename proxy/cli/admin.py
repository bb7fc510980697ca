"""The client of the admin API: with a token over the network, or without one over this host's Unix socket."""

from __future__ import annotations

import http.client
import json
import os
import shlex
import socket
import ssl
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from proxy.oci.faults import ConfigError, Fault, Unavailable, visible

ROOT = "/admin/v1"
PAGE = 1000
TIMEOUT_S = 120.0  # a slow token takes long to sign an index with many children
ANSWER_BYTES = 64 * 1024 * 1024
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket. The standard library is enough here and imports quickly."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=TIMEOUT_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(TIMEOUT_S)
        self.sock.connect(str(self._path))


@dataclass(frozen=True)
class Endpoint:
    """The server's address: its Unix socket, or the URL of its admin listener with a token."""

    socket: Path | None = None
    config: Path | None = None  # the file that the socket is beside
    server: str = ""
    token: str = field(default="", repr=False)

    @property
    def described(self) -> str:
        """The address for messages."""
        return self.server or str(self.socket)


def call(place: Endpoint, method: str, path: str, body: object = None) -> dict[str, Any]:
    """Return the server's answer. Raises Fault with the server's text, Unavailable without an answer, ConfigError."""
    connection = _connection(place)
    headers = {"Authorization": f"Bearer {place.token}"} if place.server and place.token else {}
    data = None if body is None else json.dumps(body).encode()
    try:
        connection.request(method, f"{ROOT}/{path}", data, headers)
        reply = connection.getresponse()
        status, got = reply.status, reply.read(ANSWER_BYTES)
    except (OSError, http.client.HTTPException) as error:
        raise _away(place, error) from None
    finally:
        connection.close()
    return _understood(place, status, got)


def _away(place: Endpoint, error: OSError | http.client.HTTPException) -> Unavailable | ConfigError:
    said = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
    if place.socket is None:
        return Unavailable(f"no server answers at {place.described} ({said}); is countersign serve running?")
    if isinstance(error, PermissionError):
        who = "may only be used by the user that runs the server; run this as that user, or use --server with a token"
        return Unavailable(f"{place.socket} {who}")
    if isinstance(error, FileNotFoundError | ConnectionRefusedError):
        if place.config is not None and not os.path.lexists(place.config):
            named = visible(str(place.config), 300)
            return ConfigError(f"{named}: there is no such file; name one with --config, or in $COUNTERSIGN_CONFIG")
        usual = place.socket.parent / "countersign.yaml"
        config = shlex.quote(str(usual)) if usual.exists() else "FILE"
        return Unavailable(f"no server answers at {place.socket}; start it: countersign serve --config {config}")
    return Unavailable(f"the server at {place.socket} did not answer ({said}); try again")


def pages(place: Endpoint, path: str) -> list[dict[str, Any]]:
    """Return all rows of a list. Raises what `call` raises."""
    return listing(place, path)[0]


def listing(
    place: Endpoint, path: str, size: int = PAGE, most: int | None = None, /, **filters: str
) -> tuple[list[dict[str, Any]], str]:
    """Return the rows of a list, at most this many, and why there are none. Raises what `call` raises."""
    rows: list[dict[str, Any]] = []
    nothing = ""
    after: str | None = ""
    while after is not None and (most is None or len(rows) < most):
        this = size if most is None else min(size, most - len(rows))
        there = {"cursor": after} if after else {}
        page = call(place, "GET", f"{path}?{urlencode({**filters, 'limit': this, **there})}")
        rows += page["items"]
        after, nothing = page["next"] if page["items"] else None, page.get("nothing", "")  # a list may always have one
    return rows, nothing


def _connection(place: Endpoint) -> http.client.HTTPConnection:
    if not place.server:
        return _UnixConnection(place.socket or Path())
    parts = urlsplit(place.server)
    try:
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if parts.scheme not in {"http", "https"} or not host or parts.path.strip("/") or parts.username is not None:
        raise ConfigError(f"--server: found {place.server!a}; allowed: http://HOST:PORT or https://HOST:PORT")
    certificate = os.environ.get("COUNTERSIGN_CLIENT_CERT", "") if parts.scheme == "https" and not place.token else ""
    if certificate:
        return http.client.HTTPSConnection(host, port, timeout=TIMEOUT_S, context=_trusting(certificate))
    if not place.token.isascii() or not place.token.isprintable() or not place.token or " " in place.token:
        raise ConfigError("--server needs an admin token: set COUNTERSIGN_TOKEN to it, or give --token")
    if parts.scheme == "https":
        return http.client.HTTPSConnection(host, port, timeout=TIMEOUT_S, context=_trusting())
    if host not in _LOOPBACK:
        sys.stderr.write(f"warning: the token goes to {host} unencrypted; use https:// or an SSH tunnel\n")
    return http.client.HTTPConnection(host, port, timeout=TIMEOUT_S)


def _trusting(certificate: str = "") -> ssl.SSLContext:
    """Return the TLS context: the CAs of $COUNTERSIGN_CA or else the system's; with our client certificate, if any."""
    try:
        context = ssl.create_default_context(cafile=os.environ.get("COUNTERSIGN_CA") or None)
        if certificate:
            context.load_cert_chain(certificate)
    except (OSError, ssl.SSLError) as wrong:
        raise ConfigError(
            f"COUNTERSIGN_CA or COUNTERSIGN_CLIENT_CERT: cannot use the PEM file there: {wrong}"
        ) from None
    return context


def _understood(place: Endpoint, status: int, got: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(got)
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        raise Unavailable(
            f"the answer {status} from {place.described} is not of an admin API; is it the admin listener?"
        )
    if status == 202 and isinstance(held := answer.get("approval"), dict):
        raise Fault("UNKNOWN", _held(held), status=202)
    if status in (200, 201, 202):
        return answer
    detail = answer.get("detail")
    if not isinstance(detail, str):
        raise Unavailable(f"{place.described} answered {status} without a problem+json; is it the admin listener?")
    raise Fault("UNKNOWN", detail, status=status)


def _held(approval: Mapping[str, Any]) -> str:
    which = approval.get("id")
    return (
        f"nothing was done yet: a second person must approve it until {approval.get('expires')} (admin.dual_control); "
        f"request {which}. Another person with the role: countersign approvals approve {which} --reason TEXT"
    )
