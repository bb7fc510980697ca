"""Query strings: read by name, percent-decoded once, and written again from the parsed values."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from urllib.parse import quote, unquote_to_bytes

from proxy.oci.faults import Fault
from proxy.oci.operation import Query

QUERY_LENGTH = 8192  # characters; aiohttp's own bound for a request line
PAIRS = 64
VALUE_LENGTH = 1024  # characters of one decoded value
_HEX = frozenset("0123456789abcdefABCDEF")
# RFC 3986 "query" without '&' (our separator), ';' (a separator to Go before 1.17) and '%' (checked separately).
_OPAQUE = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~!$'()*+,:@/?=")


def split(raw: str) -> Query:
    """Return the pairs as written, still encoded; `a` alone is read as `a=`. Raises Fault."""
    if len(raw) > QUERY_LENGTH:
        raise refused(f"query of {len(raw)} characters; at most {QUERY_LENGTH} are read")
    if not all("!" <= c <= "~" and c != "#" for c in raw):
        raise refused(f"query not valid: printable ASCII characters without '#': {raw[:80]!a}")
    pairs = tuple(part.partition("=")[::2] for part in raw.split("&") if part)
    if len(pairs) > PAIRS:
        raise refused(f"query has {len(pairs)} parameters, at most {PAIRS} are read")
    return pairs


def values(pairs: Query, name: str) -> tuple[str, ...]:
    """Return the decoded values of the parameter, in order.

    A plus stays a plus: no value of this protocol can hold a space, and media types are often sent unquoted.
    """
    return tuple(_decode(name, value) for key, value in pairs if _name(key) == name)


def value(pairs: Query, name: str) -> str | None:
    """Return the decoded value of a parameter that may be given once. Raises Fault when it is given twice.

    None also if the value is empty: forms and clients send parameters without a value.
    """
    found = values(tuple(pair for pair in pairs if pair[1]), name)
    if len(found) > 1:
        raise refused(f"query parameter {name} is given {len(found)} times; give it once")
    return found[0] if found else None


def opaque(pairs: Query, without: Collection[str]) -> Query:
    """Return the pairs that are an upstream's own, unchanged, without the named ones in any spelling.

    Names are compared decoded and without case, so that no parameter we read reaches upstream by another spelling.
    Raises Fault if another parser would split or decode a pair differently.
    """
    kept = tuple((key, text) for key, text in pairs if _name(key).lower() not in without)
    for key, text in kept:
        if not (key and "=" not in key and _is_plain(key) and _is_plain(text)):
            raise refused(f"query parameter not valid: {key[:80]!a}")
    return kept


def join(understood: Iterable[tuple[str, str | None]], untouched: Query = ()) -> str:
    """Return `?...` from unchanged pairs and then quoted ones; '' if there are none; None values are left out."""
    parts = [f"{key}={text}" for key, text in untouched]
    parts += [f"{key}={quote(text, safe='')}" for key, text in understood if text is not None]
    return "?" + "&".join(parts) if parts else ""


def refused(text: str) -> Fault:
    """Return the fault of an invalid query; the specification has no code of its own for one."""
    return Fault("UNSUPPORTED", text, status=400)


def _name(key: str) -> str:
    """Return the decoded name; a name that is not ASCII afterwards equals none of ours."""
    return unquote_to_bytes(key).decode("latin-1")


def _decode(name: str, text: str) -> str:
    decoded = unquote_to_bytes(text).decode("latin-1") if _escapes_end(text) else ""
    if len(decoded) > VALUE_LENGTH:
        raise refused(f"query parameter {name} of {len(decoded)} characters; at most {VALUE_LENGTH} are read")
    if not (decoded and all("!" <= c <= "~" for c in decoded)):
        raise refused(f"query parameter {name} not valid: {text[:80]!a}")
    return decoded


def _escapes_end(text: str) -> bool:
    """True when every '%' is followed by two hexadecimal digits."""
    return all(len(part) >= 2 and part[0] in _HEX and part[1] in _HEX for part in text.split("%")[1:])


def _is_plain(text: str) -> bool:
    return _escapes_end(text) and all(c in _OPAQUE or c == "%" for c in text)
