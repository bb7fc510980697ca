"""What is wrong with a value of a call, in words of our own: the same on a command line and in the API's answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, get_args, get_origin

from pydantic import BaseModel, ValidationError

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails


@dataclass(frozen=True)
class Wanted:
    """Marks a type with what a right value is, and an example of it."""

    says: str


@dataclass(frozen=True)
class Complaint:
    """A field that is wrong, the entry of its list (None: it is no list), and why. `kind` is pydantic's name for it."""

    field: str
    at: int | None
    why: str
    kind: str
    bound: Mapping[str, Any]


# By pydantic's name of the error; what is not here has no words but those of the type.
_WORDS: Mapping[str, str] = MappingProxyType(
    {
        "missing": "missing",
        "extra_forbidden": "not a field of this call",
        "string_too_short": "empty",
        "string_too_long": "more than {max_length} characters",
        "too_short": "fewer than {min_length}",
        "too_long": "more than {max_length}",
        "greater_than_equal": "less than {ge}",
        "less_than_equal": "more than {le}",
        "enum": "none of {expected}",
        "literal_error": "none of {expected}",
        "timezone_aware": "a time without its zone",
        "value_error": "{error}",
        "json_invalid": "not one JSON object",
        "model_type": "not one JSON object",
    }
)
_KINDS = (
    ("string_pattern", ""), ("string", "not text"), ("int", "not a whole number"), ("bool", "neither true nor false"),
    ("date", "not a time"), ("tuple", "not a list"), ("dict", "not a JSON object"),
)  # fmt: skip


def complaints(wrong: ValidationError, shape: type[BaseModel]) -> Iterator[Complaint]:
    """Yield what is wrong with the value of each field, without the value: it may be a misplaced secret."""
    for error in wrong.errors(include_url=False, include_input=False):
        name, *inner = error["loc"] or ("",)
        field = shape.model_fields.get(str(name))
        wanted = "" if field is None else _marked(field.metadata) or _wanted(field.annotation)
        told = "; ".join(dict.fromkeys(part for part in (_why(error), wanted) if part)) or "not valid"
        at = inner[0] if inner and isinstance(inner[0], int) else None
        yield Complaint(str(name), at, told, error["type"], error.get("ctx", {}))


def _why(error: ErrorDetails) -> str:
    kind = error["type"]
    if kind in _WORDS:
        return _WORDS[kind].format(**error.get("ctx", {}))
    return next((says for of, says in _KINDS if kind.startswith(of)), "")


def _wanted(kind: Any) -> str:
    """Return what a right value of this type is; empty if the type does not say."""
    if get_origin(kind) is Annotated:
        inner, *marks = get_args(kind)
        return _marked(marks) or _wanted(inner)
    return next((says for each in get_args(kind) if (says := _wanted(each))), "")


def _marked(marks: Sequence[object]) -> str:
    return next((mark.says for mark in reversed(marks) if isinstance(mark, Wanted)), "")
