"""PKCS#11 URIs (RFC 7512): other tools' names for a token or a key on it. Pure.

Only the attributes that select a token, an object or a module are kept. A `pin-value` is refused: a PIN in a URI ends
up in logs and process lists.
"""

from dataclasses import dataclass, fields
from typing import Self
from urllib.parse import quote, unquote_to_bytes

_PATH = ("token", "serial", "manufacturer", "model", "object", "id", "type")
_QUERY = ("module-path", "module-name", "pin-source")
_TYPES = ("public", "private", "cert", "secret-key", "data")


class BadUriError(ValueError):
    """The text is not a PKCS#11 URI, or contains attributes that are not supported."""


@dataclass(frozen=True)
class Pkcs11Uri:
    """The selection of a URI. `id` is CKA_ID in bytes; `object` is CKA_LABEL; None means "any"."""

    token: str | None = None
    serial: str | None = None
    manufacturer: str | None = None
    model: str | None = None
    object: str | None = None
    id: bytes | None = None
    type: str | None = None
    module_path: str | None = None
    module_name: str | None = None
    pin_source: str | None = None

    def __post_init__(self) -> None:
        if self.type is not None and self.type not in _TYPES:
            raise BadUriError(f"type {self.type!r} is none of {', '.join(_TYPES)} (RFC 7512, section 2.3)")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the parts of the URI, percent-decoded. BadUriError names the invalid part."""
        scheme, colon, rest = text.partition(":")
        if not colon or scheme.lower() != "pkcs11":
            raise BadUriError(f"a PKCS#11 URI begins with pkcs11: and this one with {scheme[:20]!r}")
        path, _, query = rest.partition("?")
        found: dict[str, str | bytes] = {}
        for known, separator, part in ((_PATH, ";", path), (_QUERY, "&", query)):
            for attribute in filter(None, part.split(separator)):
                name, value = _split(attribute, known)
                if name in found:
                    raise BadUriError(f"{name} appears twice (RFC 7512, section 2.3)")
                found[name] = value
        return cls(**found)  # type: ignore[arg-type]  # the names come from the two tables above

    def __str__(self) -> str:
        values = {f.name.replace("_", "-"): getattr(self, f.name) for f in fields(self)}
        path = ";".join(f"{name}={_quoted(values[name])}" for name in _PATH if values[name] is not None)
        query = "&".join(f"{name}={_quoted(values[name])}" for name in _QUERY if values[name] is not None)
        return f"pkcs11:{path}" + (f"?{query}" if query else "")


def _split(attribute: str, known: tuple[str, ...]) -> tuple[str, str | bytes]:
    name, equals, quoted = attribute.partition("=")
    if name == "pin-value":
        raise BadUriError("pin-value is refused: a PIN does not belong into a URI; use pin-source")
    if not equals or name not in known:
        raise BadUriError(f"attribute {name!r} is not known here; known: {', '.join(known)}")
    raw = unquote_to_bytes(quoted)
    if name == "id":
        return name, raw
    try:
        return name.replace("-", "_"), raw.decode("utf-8")
    except UnicodeDecodeError:
        raise BadUriError(f"{name} is not UTF-8") from None


def _quoted(value: str | bytes) -> str:
    if isinstance(value, bytes):  # the RFC recommends encoding every byte of an id
        return "".join(f"%{byte:02X}" for byte in value)
    return quote(value, safe="")
