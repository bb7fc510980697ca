"""The value of a plain YAML scalar: the same for every parser, or refused."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime

from yaml import ScalarNode
from yaml.resolver import Resolver

_RESOLVER = Resolver()  # resolves a plain scalar as YAML 1.1 does; read only
LARGEST = 9_223_372_036_854_775_807
_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,18})")
_FLOAT = re.compile(r"-?(0|[1-9][0-9]{0,18})\.[0-9]{1,18}")
_ONLY_NEW = re.compile(r"0o[0-7]+|[-+]?[0-9.]+[eE][-+]?[0-9]+")  # numbers in YAML 1.2, text in YAML 1.1


def plain(text: str) -> str | int | float | bool | date | None:
    """Return the value of an unquoted scalar if every YAML parser agrees. Raises ValueError if they differ."""
    tag: str = _RESOLVER.resolve(ScalarNode, text, (True, False))  # type: ignore[no-untyped-call]
    kind = tag.rpartition(":")[2]
    shown = ascii(text[:60])
    if kind == "str" and not _ONLY_NEW.fullmatch(text):
        return text
    if kind == "null":
        return None
    if kind == "bool":
        if text in {"true", "false"}:
            return text == "true"
        raise ValueError(
            f'found {shown}, which YAML parsers read as a word, or as true or false; write "{text}", true or false'
        )
    if kind == "timestamp":
        return _timestamp(text)
    if kind == "int" and _INTEGER.fullmatch(text):
        return int(text)
    if kind == "float" and _FLOAT.fullmatch(text):
        return float(text)
    if kind == "int" and re.fullmatch(r"-?[1-9][0-9]*", text):
        raise ValueError(f"found {shown}, a number larger than any setting takes; the largest is {LARGEST}")
    raise ValueError(
        f'found {shown}, which YAML parsers read as different numbers; write a plain decimal number, or "{text}"'
    )


def _timestamp(text: str) -> date:
    try:
        if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
            return date.fromisoformat(text)
        at = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"found {text[:60]!a}; a time is written 2027-01-31 or 2027-01-31T08:00:00Z") from None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def describe(value: object) -> str:
    """Return a short description of a value, without control characters."""
    match value:
        case None:
            return "nothing (null)"
        case bool():
            return "true" if value else "false"
        case datetime() | date():
            return f"the date {value.isoformat()}"
        case int() | float():
            return f"the number {value}"
        case str():
            return f"text {value[:60]!a}"
        case Mapping():
            return "a mapping"
        case tuple() | list():
            return "a list"
    return "something else"
