"""One request as received, before its meaning is parsed."""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address

from aiohttp import web

from proxy.oci.faults import Fault
from proxy.oci.limits import Limits
from proxy.oci.shares import network_of
from proxy.registry.bodies import Kept, Room
from proxy.registry.ports.upstream import HOP_BY_HOP, Credential, Headers
from proxy.registry.request import Request
from proxy.web.body import Body
from proxy.web.replies import cut

Network = IPv4Network | IPv6Network
_KEPT_BACK = HOP_BY_HOP | {"authorization"}
_ABSOLUTE = re.compile(r"https?://([a-zA-Z0-9.:\[\]-]{1,255})(?=/)", re.IGNORECASE)
# The characters allowed in a request target (RFC 3986 pchar, "/" and "?"); registry clients send no others.
_TARGET = re.compile(r"/[a-zA-Z0-9\-._~!$&'()*+,;=:@/?%]*")


@dataclass(slots=True)
class Call:
    """One request: the target exactly as sent, our request id, and the fields noted for the log during its processing.

    `kind` is a word from a closed set (the operation, or the page) for metrics; `reason` is our reason if policy
    decided.
    """

    method: str
    path: str
    query: str
    headers: Headers
    credential: Credential
    request_id: str
    address: str
    body: Body
    kept: Kept  # the memory for bodies of this listener
    raw: web.BaseRequest  # as aiohttp read it
    network: str | None = None  # the holder whose share of bounded resources it uses; None: no single holder
    forwarded: bool = False  # by a trusted proxy: many callers on few connections
    sound: bool = False  # checked, and without an Upgrade; otherwise the connection closes afterwards
    kind: str = "other"
    reason: str = ""
    error: str = ""
    repeated: bool = False  # a header field occurs more than once
    room: Room | None = None  # the memory that this request holds, if its body is read whole

    def cut(self) -> None:
        """End the connection at once."""
        cut(self.raw)

    def gone(self) -> bool:
        """Return True once the connection is lost."""
        return self.raw.transport is None

    @property
    def certificate(self) -> bytes | None:
        """The certificate (DER) the client presented; the handshake proved that the client holds its key."""
        connection = self.raw.get_extra_info("ssl_object")
        if connection is None or connection.context.verify_mode == ssl.CERT_NONE:
            return None
        shown: bytes | None = connection.getpeercert(binary_form=True)
        return shown

    def leave_room(self) -> None:
        """Give back the memory that this request holds."""
        if self.room is not None:
            self.room.give_back()

    def header(self, name: str) -> str | None:
        """Return the first header of this (lower-case) name."""
        for key, value in self.headers:
            if key == name:
                return value
        return None

    def as_request(self) -> Request:
        """Return the request as the flows see it."""
        return Request(
            credential=self.credential,
            request_id=self.request_id,
            headers=self.headers,
            body=self.body if self.body.present else None,
            length=self.body.length,
            address=self.address,
            network=self.network,
            cut=self.cut,
        )


def read_call(
    request: web.BaseRequest,
    request_id: str,
    trusted: Sequence[Network],
    idle_s: float,
    kept: Kept,
) -> Call:
    """Return the call as it was sent; `check` says whether it can be answered."""
    peer = request.remote or ""
    forwarded = is_in(peer, trusted)
    address = caller_address(peer, request.headers.getall("X-Forwarded-For", []), trusted) if forwarded else peer
    network = None if not address or (forwarded and is_in(address, trusted)) else network_of(address)
    path, _, query = _target(request).partition("?")
    headers = [(name.lower(), value) for name, value in request.headers.items()]
    named = dict(headers)
    return Call(
        method=request.method,
        path=path,
        query=query,
        headers=_passed_on(headers, named),
        credential=Credential(request.headers.get("Authorization")),
        request_id=request_id,
        address=address,
        body=Body(request, idle_s),
        kept=kept,
        network=network,
        raw=request,
        forwarded=forwarded,
        repeated=len(named) < len(headers),
    )


def check(call: Call, request: web.BaseRequest, limits: Limits) -> None:
    """Raise Fault for a target or header that is ambiguous or longer than any client sends."""
    for name, most in (("Authorization", limits.authorization_bytes), ("Accept", limits.accept_bytes)):
        if name in request.headers and (size := sum(map(len, request.headers.getall(name)))) > most:
            text = f"{name} headers of {size} bytes; at most {most} are read (limits.{name.lower()}_bytes)"
            raise Fault("UNKNOWN", text, status=431)
    if _TARGET.fullmatch(f"{call.path}?{call.query}") is None:
        text = "request target not understood: send a path beginning with '/', percent-encoded, or a URL of your Host"
        raise Fault("NAME_INVALID", text)
    if call.body.expected and request.headers.get("Expect", "").lower() != "100-continue":
        raise Fault("UNSUPPORTED", "this Expect header is not understood: leave it out", status=417)
    if call.body.chunked and request.version < (1, 1):
        raise Fault("UNKNOWN", "a chunked body needs HTTP 1.1", status=400)  # RFC 9112 6.1: the framing is faulty
    if not call.repeated:
        return
    for name in ("Authorization", "Host", "Content-Type", "Content-Length", "Transfer-Encoding"):
        if len(request.headers.getall(name, [])) > 1:
            raise Fault("UNKNOWN", f"more than one {name} header: which one is meant cannot be known", status=400)


def _target(request: web.BaseRequest) -> str:
    """Return path and query as sent, nothing decoded, also if the target is a whole URL (RFC 9112 3.2.2).

    A URL with a host other than the Host header's stays unchanged and is refused later: one of the two names another
    server.
    """
    target = request.raw_path  # aiohttp: the target as sent
    if target.startswith("/"):
        return target
    absolute = _ABSOLUTE.match(target)
    named = absolute is not None and [absolute[1].lower()] == [
        host.lower() for host in request.headers.getall("Host", [])
    ]
    return target[absolute.end() :] if absolute is not None and named else target


def _passed_on(headers: list[tuple[str, str]], named: Mapping[str, str]) -> Headers:
    """Return lower-case names with repeats kept; headers about this connection are left out."""
    dropped: Set[str] = _KEPT_BACK
    if "connection" in named:
        lines = (value for name, value in headers if name == "connection")
        dropped = dropped | {name.strip().lower() for line in lines for name in line.split(",")}
    return tuple([pair for pair in headers if pair[0] not in dropped])


def caller_address(peer: str, forwarded: Sequence[str], trusted: Sequence[Network]) -> str:
    """Return the address of the nearest hop that is not a trusted proxy; claims beyond that hop are not trusted."""
    hops = [hop.strip() for line in forwarded for hop in line.split(",")]
    at = peer
    while hops and is_in(at, trusted):
        nearer = hops.pop()
        if _address(nearer) is None:
            break
        at = nearer
    return at


def is_in(text: str, trusted: Sequence[Network]) -> bool:
    """True for an address in one of these networks."""
    if not trusted:
        return False
    address = _address(text)
    return address is not None and any(address in network for network in trusted)


def _address(text: str) -> object | None:
    try:
        return ip_address(text)
    except ValueError:
        return None


async def small_body(call: Call, limit: int) -> bytes:
    """Return the whole body, held until the request ends. Raises Fault: see `Room.whole`."""
    call.room = call.room or call.kept.room(call.network)
    return await call.room.whole(call.body if call.body.present else None, call.body.length, limit, "request body")
