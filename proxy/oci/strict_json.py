"""Strict JSON: only documents that every parser reads the same way.

A manifest is read by us and then by clients in Go, Rust, C++ and Python. Documents that these read differently (RFC
8259 §4, §6, §8 allow it) are refused: the verdict must be about the document the client sees.
"""

from __future__ import annotations

import json
import math
from itertools import accumulate
from typing import NoReturn

from proxy.oci.faults import Corrupt
from proxy.oci.limits import Limits

INTEGER_DIGITS = 19  # of 2^63-1; Python's own conversion is quadratic in the digits
_NOT_BRACKETS = bytes(b for b in range(256) if b not in b"[]{}")
_STEP = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}


class TooManyValues(Corrupt):
    """A document holds more values than the limit. Parsing cannot be interrupted, so they are counted first."""


def canonical(value: object) -> str:
    """Return JSON in ASCII with sorted keys and without spaces: identical on every machine.

    ASCII, because callers' claims are stored here, and lone surrogates or NULs must not make a row unwritable. Values
    without a JSON form (such as times) are written as their text: a detail never prevents a record.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, default=str)


def most_values(data: bytes) -> int:
    """Return an upper bound of the number of values in this JSON, from three searches for one byte each."""
    return 1 + data.count(b",") + data.count(b"[") + data.count(b"{")


def loads(data: bytes, depth: int, values: int = Limits.json_values) -> object:
    """Return the value: dict, list, str, int, float, bool or None, nested at most `depth` deep.

    Raises TooManyValues before anything is built. Raises Corrupt for anything but UTF-8 without a byte order mark, for
    duplicate keys, NaN and infinities, lone surrogates, integers of more than 19 digits, and deeper nesting; never
    RecursionError.
    """
    if data.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        raise Corrupt("JSON begins with a byte order mark; it must be plain UTF-8")
    outside, whole = _outside_strings(data, values)
    brackets = outside.translate(None, _NOT_BRACKETS)[: 2 * values + 1]
    nested = max(accumulate(map(_STEP.__getitem__, brackets)), default=0)
    if nested > depth:
        raise Corrupt(f"JSON is nested {nested} deep; at most {depth} is read")
    if not whole or most_values(outside) > values:
        raise TooManyValues(f"JSON has more than {values} values; a document of that many is not read")
    try:
        value = json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_object,
            parse_int=_integer,
            parse_float=_float,
            parse_constant=_constant,
        )
        if b"\\u" in data:
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeDecodeError as error:
        raise Corrupt(f"JSON is not UTF-8 at byte {error.start}") from error
    except UnicodeEncodeError as error:
        raise Corrupt("JSON has an escaped lone surrogate, which is no character") from error
    except json.JSONDecodeError as error:
        raise Corrupt(f"not JSON: {error}") from error
    return value


def _outside_strings(data: bytes, values: int) -> tuple[bytes, bool]:
    """Return the bytes outside of strings, and True; only their beginning and False if there are too many strings.

    Linear for all input: escapes are removed first, so that every remaining quote begins or ends a string. An
    unterminated string extends to the end.
    """
    quoted = data.replace(b"\\\\", b"").replace(b'\\"', b"") if b"\\" in data else data
    quotes = 4 * values  # each value is at most one string, with one more for its key
    pieces = quoted.split(b'"', quotes + 1)
    return b"".join(pieces[: quotes + 1 : 2]), len(pieces) <= quotes + 1


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found: dict[str, object] = {}
    for key, value in pairs:
        if key in found:
            raise Corrupt(f"JSON has the key {key[:80]!a} twice in one object; parsers differ on which one counts")
        found[key] = value
    return found


def _integer(text: str) -> int:
    if len(text.lstrip("-")) > INTEGER_DIGITS:
        raise Corrupt(f"JSON has an integer of {len(text)} digits: {text[:24]}...; at most {INTEGER_DIGITS} are read")
    return int(text)


def _float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise Corrupt(f"JSON has a number without a value: {text[:24]}")
    return value


def _constant(text: str) -> NoReturn:
    raise Corrupt(f"JSON has {text}, which is not a number of JSON")
