"""The messages between the process that faces the network and the one that holds the token.

A frame is four bytes of length, big-endian, and one JSON object: `{"is": "<message>", ...fields}`; bytes travel as
base64. Nothing else crosses, and a frame that is not exactly one of these messages is an error.
"""

import base64
import json
import types
from collections.abc import Iterator
from dataclasses import dataclass, field, fields, is_dataclass
from functools import cache
from typing import Any, BinaryIO, Literal, Union, get_args, get_origin, get_type_hints

from hsm.frames import BadFrame, framed, frames
from hsm.mechanisms import Scheme

FRAME_LIMIT = 16 * 1024 * 1024  # bytes; messages to sign are small, a length beyond this is noise on the pipe
MESSAGE_LIMIT = 8 * 1024 * 1024  # bytes of a message to sign, so that its frame fits

Reason = Literal[
    "pin-refused",
    "module-missing",
    "token-not-found",
    "token-busy",
    "session-lost",
    "mechanism-missing",
    "key-missing",
    "key-ambiguous",
    "key-exists",
    "failed",
]


@dataclass(frozen=True)
class Open:
    """Load the module, find the token, log in."""

    module: str
    label: str | None
    serial: str | None
    pin: str = field(repr=False)
    seconds: float


@dataclass(frozen=True)
class Sign:
    """Hash and sign the message with the key of that id and label."""

    id: str
    label: str
    algorithm: str
    scheme: Scheme
    message: bytes
    seconds: float


@dataclass(frozen=True)
class Create:
    """Make a key pair that can only sign and never leave."""

    id: str
    label: str
    algorithm: str
    seconds: float


@dataclass(frozen=True)
class ListKeys:
    """Show every key pair."""

    seconds: float


@dataclass(frozen=True)
class Describe:
    """Show the token."""

    seconds: float


@dataclass(frozen=True)
class Destroy:
    """Destroy both halves of the key of that id, after it has proved to match this public key."""

    serial: str
    id: str
    label: str
    algorithm: str
    spki: bytes
    seconds: float


@dataclass(frozen=True)
class Csr:
    """Make a certificate request for the key of that id and label; `subject` as in RFC 4514."""

    id: str
    label: str
    algorithm: str
    spki: bytes
    subject: str
    seconds: float


@dataclass(frozen=True)
class SelfSigned:
    """Make a self-signed certificate of that key, valid between two times (seconds since 1970)."""

    id: str
    label: str
    algorithm: str
    spki: bytes
    subject: str
    not_before: float
    not_after: float
    seconds: float


Request = Open | Sign | Create | ListKeys | Describe | Destroy | Csr | SelfSigned


@dataclass(frozen=True)
class Opened:
    """Logged in to the token of that serial."""

    serial: str


@dataclass(frozen=True)
class Signed:
    """The signature as the token made it: r||s, PKCS#1 v1.5 or PSS."""

    raw: bytes


@dataclass(frozen=True)
class FoundKey:
    """One private key and its public half. EC keys have a point, RSA keys a modulus and an exponent."""

    id: str
    label: str
    algorithm: str
    point: bytes
    modulus: bytes
    exponent: bytes
    attributes: dict[str, bool | None]


@dataclass(frozen=True)
class Keys:
    """The usable key pairs, and one line about each other object."""

    keys: tuple[FoundKey, ...]
    strange: tuple[str, ...]


@dataclass(frozen=True)
class Described:
    """The token's description of itself."""

    label: str
    serial: str
    model: str
    manufacturer: str
    firmware: str
    slot: str
    mechanisms: tuple[str, ...]


@dataclass(frozen=True)
class Destroyed:
    """Neither half is on the token any more; true for each half that existed before."""

    private: bool
    public: bool


@dataclass(frozen=True)
class Built:
    """A certificate request or a certificate, DER."""

    der: bytes


@dataclass(frozen=True)
class Failed:
    """The request failed; `reason` is for code, `text` for people."""

    reason: Reason
    text: str


Reply = Opened | Signed | Keys | Described | Destroyed | Built | Failed
_MESSAGES: dict[str, type[Any]] = {m.__name__: m for m in get_args(Request) + get_args(Reply)}


def encode(message: Request | Reply) -> bytes:
    """Return the message as one frame, including its length."""
    return framed(body_of(message))


def body_of(message: Request | Reply) -> bytes:
    """Return the message as the body of a frame."""
    return json.dumps({"is": type(message).__name__, **_plain(message)}, separators=(",", ":")).encode()


def decode(body: bytes) -> Request | Reply:
    """Return the message in a frame's body, every field of its declared type. Raises BadFrame."""
    try:
        raw = json.loads(body)
        kind = _MESSAGES[raw.pop("is")]
        message: Request | Reply = _typed(kind, raw)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise BadFrame(f"not a message: {type(error).__name__}") from None
    return message


def requests(source: BinaryIO) -> Iterator[Request]:
    """Yield the requests on a pipe until it ends. Raises BadFrame on anything else."""
    for body in frames(source, FRAME_LIMIT):
        message = decode(body)
        if not isinstance(message, Request):
            raise BadFrame(f"{type(message).__name__} is no request")
        yield message


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if is_dataclass(value):
        return {f.name: _plain(getattr(value, f.name)) for f in fields(value)}
    return value


@cache
def _shape(kind: type[Any]) -> dict[str, Any]:
    return get_type_hints(kind)


def _typed(wanted: Any, value: Any) -> Any:
    if is_dataclass(wanted):
        shape = _shape(wanted)  # type: ignore[arg-type]  # is_dataclass also narrows to instances
        if not isinstance(value, dict) or set(value) != set(shape):
            raise TypeError
        return wanted(**{name: _typed(kind, value[name]) for name, kind in shape.items()})  # type: ignore[operator]
    if wanted is bytes and isinstance(value, str):
        return base64.b64decode(value, validate=True)
    if wanted is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if get_origin(wanted) is tuple and isinstance(value, list):
        return tuple(_typed(get_args(wanted)[0], item) for item in value)
    if get_origin(wanted) is dict and isinstance(value, dict):
        return {str(name): _typed(get_args(wanted)[1], item) for name, item in value.items()}
    if get_origin(wanted) in (Union, types.UnionType):
        if value is None:
            return None
        return _typed(next(kind for kind in get_args(wanted) if kind is not type(None)), value)
    if get_origin(wanted) is Literal and value in get_args(wanted):
        return value
    if wanted in (str, bool) and isinstance(value, wanted):
        return value
    raise TypeError
