"""The client of the running server, over the Unix socket beside its configuration."""

from __future__ import annotations

import http.client
import json
import shlex
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from proxy.oci.faults import Fault, Unavailable

TIMEOUT_S = 120.0  # a slow token takes long to sign an index with many children
ANSWER_BYTES = 64 * 1024 * 1024


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket. The standard library is enough here and imports quickly."""

    def __init__(self, path: Path) -> None:
        """Not connected yet."""
        super().__init__("localhost", timeout=TIMEOUT_S)
        self._path = path

    def connect(self) -> None:
        """Connect. Raises OSError."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(TIMEOUT_S)
        self.sock.connect(str(self._path))


def ask(path: Path, command: str, arguments: Mapping[str, str], *, post: bool = False) -> dict[str, Any]:
    """Return the server's answer to one command. Raises Fault with the server's text, Unavailable without an answer."""
    connection = UnixConnection(path)
    target = f"/v1/{command}"
    try:
        if post:
            connection.request("POST", target, json.dumps(arguments), {"Content-Type": "application/json"})
        else:
            connection.request("GET", f"{target}?{urlencode(arguments)}" if arguments else target)
        reply = connection.getresponse()
        body = reply.read(ANSWER_BYTES)
    except PermissionError:
        raise Unavailable(f"{path} may only be used by who runs the server; run this as that user") from None
    except (FileNotFoundError, ConnectionRefusedError):
        usual = path.parent / "countersign.yaml"
        config = shlex.quote(str(usual)) if usual.exists() else "FILE"
        raise Unavailable(f"no server answers at {path}; start it: countersign serve --config {config}") from None
    except (OSError, http.client.HTTPException) as error:
        raise Unavailable(f"the server at {path} did not answer ({error or type(error).__name__}); try again") from None
    finally:
        connection.close()
    return understood(reply.status, body)


def understood(status: int, body: bytes) -> dict[str, Any]:
    """Return the object of a successful answer. Raises Fault with the text of an error, Unavailable otherwise."""
    try:
        answer = json.loads(body)
    except ValueError:
        raise Unavailable(f"what answered {status} is not JSON; does another program use this socket?") from None
    if status == 200 and isinstance(answer, dict):
        return answer
    try:
        first = answer["errors"][0]
        code, message = str(first["code"]), str(first["message"])
    except (KeyError, IndexError, TypeError):
        code, message = "UNKNOWN", f"the server answered {status}"
    raise Fault(code if code in _KNOWN else "UNKNOWN", message, status=status)


_KNOWN = frozenset({"DENIED", "MANIFEST_UNKNOWN", "NAME_INVALID", "DIGEST_INVALID", "MANIFEST_INVALID", "UNSUPPORTED"})
