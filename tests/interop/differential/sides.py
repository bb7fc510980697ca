"""Both sides of the comparison: the same requests, byte for byte, to a registry and to the proxy in front of it."""

from __future__ import annotations

import http.client
import json
import re
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from tests.interop.handmade import Described

Fields = tuple[tuple[str, str], ...]
SECONDS = 20.0
CHANGING = (  # what differs from one request to the next
    (re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f-]{22}|(?<=/uploads/)\d+"), "UUID"),
    (re.compile(r"(?<=_state=)[^&\"]+"), "STATE"),
    (re.compile(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT"), "DATE"),
    (re.compile(r"\b[0-9a-f]{60}\b"), "BOUNDARY"),
    (re.compile(r"\b[0-9a-f]{16}\b"), "ID"),
    (re.compile(r"\s+"), " "),
)


@dataclass(frozen=True)
class Heard:
    """One reply. Header names are lower-case, repeated ones joined; `whole` is False where the body broke off."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    whole: bool = True

    def codes(self) -> str:
        """The codes of its errors."""
        with suppress(ValueError, TypeError, KeyError):
            return " ".join(each["code"] for each in json.loads(self.body)["errors"])
        return "no codes"


class Line:
    """One connection to HOST:PORT, opened when it is needed, and again when it was closed."""

    def __init__(self, host: str) -> None:
        """Connect to nothing yet."""
        self.host = host
        self._socket: socket.socket | None = None

    def ask(self, method: str, sent: bytes) -> Heard:
        """What is answered to these bytes, which are one whole request."""
        for again in (True, False):
            kept = self._socket is not None
            try:
                return self._once(method, sent)
            except (ConnectionError, http.client.RemoteDisconnected):
                self.close()
                if not (kept and again):
                    return Heard(0, {}, b"closed without an answer")
        raise AssertionError

    def _once(self, method: str, sent: bytes) -> Heard:
        if self._socket is None:
            name, _, port = self.host.rpartition(":")
            self._socket = socket.create_connection((name, int(port)), SECONDS)
        self._socket.sendall(sent)
        reply = http.client.HTTPResponse(self._socket, method=method)
        reply.begin()
        names: dict[str, str] = {}
        for name, value in reply.getheaders():
            names[name.lower()] = f"{names[name.lower()]}, {value}" if name.lower() in names else value
        whole = True
        try:
            body = reply.read()
        except http.client.IncompleteRead as short:
            body, whole = short.partial, False
        if reply.will_close or not whole:
            self.close()
        return Heard(reply.status, names, body, whole)

    def close(self) -> None:
        """Nothing is open any more."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


@dataclass
class Side:
    """One side: where it is, which repositories are its own, what is in them, and what was heard, by name of the case.

    `found` holds what was seeded, the same on both sides, by name.
    """

    host: str
    repository: str
    other: str
    found: Mapping[str, Described]
    heard: dict[str, Heard] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.line = Line(self.host)

    def ask(
        self,
        name: str,
        method: str,
        target: str,
        headers: Fields = (),
        body: bytes | None = None,
        *,
        version: str = "1.1",
        host: str | None = None,
        absolute: bool = False,
    ) -> Heard:
        """Ask, and note what was heard under that name. A Location may be the target."""
        if not absolute:
            target = re.sub(r"^https?://[^/]+", "", target)
        fields = (("Host", self.host if host is None else host), *headers)
        names = {key.lower() for key, _ in fields}
        if body is not None and not names & {"content-length", "transfer-encoding"}:
            fields = (*fields, ("Content-Length", str(len(body))))
        lines = [f"{method} {target} HTTP/{version}", *(f"{key}: {value}" for key, value in fields), "", ""]
        heard = self.line.ask(method, "\r\n".join(lines).encode("latin-1") + (body or b""))
        assert name not in self.heard, f"two cases are called {name!r}"
        self.heard[name] = heard
        return heard

    def field(self, header: str, heard: Heard) -> str:
        """The header's value, made comparable."""
        value = self.same(heard.headers.get(header, "none"))
        return ", ".join(sorted(value.split(", "))) if header == "allow" else value

    def same(self, value: str) -> str:
        """The value without what differs on every run or side."""
        for what, word in ((self.host, "HOST"), (self.other, "OTHER"), (self.repository, "REPOSITORY")):
            value = value.replace(what, word)
        for name, each in self.found.items():
            value = value.replace(each["digest"], f"DIGEST of {name}")
        for pattern, word in CHANGING:
            value = pattern.sub(word, value)
        return value


def differences(direct: Side, through: Side) -> Iterator[str]:
    """One line for each thing in which a reply through the proxy is another one: `case | what: direct => through`."""
    assert list(direct.heard) == list(through.heard), "the sides were asked different things"
    for name in direct.heard:
        for what, one, other in _compared(direct, through, name):
            if one != other:
                yield f"{name} | {what}: {one} => {other}"


def _compared(direct: Side, through: Side, name: str) -> Iterator[tuple[str, str, str]]:
    one, other = direct.heard[name], through.heard[name]
    if one.status != other.status:
        yield "status", f"{one.status} {one.codes()}", f"{other.status} {other.codes()}"
        return
    for header in sorted({*one.headers, *other.headers}):
        if header == "content-length" and one.status >= 400:
            continue  # it goes with the words
        yield f"header {header}", direct.field(header, one), through.field(header, other)
    if one.status >= 400 and one.codes() != "no codes" != other.codes():
        yield "codes", one.codes(), other.codes()
        yield "words", direct.same(_text(one)), through.same(_text(other))
    else:
        yield "body", direct.same(_text(one)), through.same(_text(other))


def _text(heard: Heard) -> str:
    text = heard.body.decode("latin-1").strip()
    return text if heard.whole else f"{text} (broken off)"


Story = Callable[[Side], None]
