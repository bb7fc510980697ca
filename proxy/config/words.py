"""What the schema found wrong, said in the words of the file: what stands there, and what is allowed."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from proxy.config.schema import ConfigFile
from proxy.config.yaml import Document, Problem, Where, describe

_SECRET = frozenset({"pin", "password", "environment"})
_KINDS = {
    "string_type": "text",
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "dict_type": "a mapping of names",
    "model_type": "a mapping of settings",
    "model_attributes_type": "a mapping of settings",
    "bytes_type": "text",
    "datetime_type": "a date or time",
    "path_type": "text",
    "is_instance_of": "text",
}


def problems(error: ValidationError, document: Document) -> list[Problem]:
    """Return what the schema found wrong, each at its place in the file."""
    details = error.errors(include_url=False)
    inside = {detail["loc"][:-1] for detail in details}  # a list whose entries were refused is not also too short
    return [_problem(d, document) for d in details if not (d["type"] == "too_short" and d["loc"] in inside)]


def _problem(error: ErrorDetails, document: Document) -> Problem:
    where: Where = tuple(step for step in error["loc"] if step != "[key]")
    kind = error["type"]
    context = error.get("ctx", {})
    if kind == "extra_forbidden":
        return _unknown(where, document)
    if kind == "missing":
        return Problem(document.mark(where), where, f"is missing; it must be set{_hint(where)}")
    found = _found(where, error["input"])
    at = document.mark(where, key=error["loc"][-1:] == ("[key]",))
    if kind in _KINDS:
        quotes = _KINDS[kind] == "text" and error["input"] is not None and not isinstance(error["input"], dict | tuple)
        hint = f' (put it in quotes: "{_as_written(error["input"])}")' if quotes else ""
        return Problem(at, where, f"found {found}; allowed: {_KINDS[kind]}{hint}")
    if kind in {"value_error", "assertion_error"}:
        text = str(context.get("error", error["msg"]))
        text = text if text.startswith("allowed: ") else f"allowed: {text}"
        return Problem(at, where, f"found {found}; {text}")
    if kind in {"literal_error", "enum"}:
        return Problem(at, where, f"found {found}; allowed: {str(context['expected']).replace(chr(39), '')}")
    if kind in {"too_short", "too_long"}:
        return Problem(
            at, where, f"found {context['actual_length']} entries; allowed: at least {context['min_length']}"
        )
    bounds = {"greater_than_equal": "ge", "greater_than": "gt", "less_than_equal": "le", "less_than": "lt"}
    if kind in bounds:
        words = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than"}[bounds[kind]]
        limit = context[bounds[kind]]
        return Problem(at, where, f"found {found}; allowed: {words} {limit:g}")
    return Problem(at, where, f"found {found}; {error['msg']}")


def _found(where: Where, value: object) -> str:
    """Say what stands there, unless it may be a secret that was put in the wrong place."""
    hidden = bool(_SECRET.intersection(str(step) for step in where)) or where[:1] == ("store",)
    if isinstance(value, str) and (("://" in value and "@" in value) or "PRIVATE KEY" in value):
        hidden = True
    if hidden and isinstance(value, str | int | float):
        return "a value (not shown, it may be a secret)"
    if isinstance(value, BaseModel):
        return "this mapping"
    return describe(value)


def _as_written(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _unknown(where: Where, document: Document) -> Problem:
    allowed = _allowed(where[:-1])
    name = str(where[-1])
    near = get_close_matches(name, allowed, n=1)
    meant = f"; did you mean {near[0]}?" if near else ""
    return Problem(
        document.mark(where, key=True), where, f"found an unknown setting{meant}; allowed here: {', '.join(allowed)}"
    )


def _hint(where: Where) -> str:
    model = _model(where[:-1])
    described = model.model_fields[str(where[-1])].description if model and where[-1] in model.model_fields else None
    return f": {described}" if described else ""


def _allowed(where: Where) -> list[str]:
    model = _model(where)
    return sorted(model.model_fields) if model else []


def _model(where: Where) -> type[BaseModel] | None:
    """Return the model that describes this place, following the types of the schema."""
    kind: Any = ConfigFile
    for step in where:
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            known = kind.model_fields.get(str(step))
            kind = known.annotation if known else None
        else:
            kind = get_args(kind)[-1 if get_origin(kind) is dict else 0] if get_args(kind) else None
        if kind is not None and type(None) in get_args(kind):
            kind = next(part for part in get_args(kind) if part is not type(None))
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def described(
    model: type[BaseModel] = ConfigFile, at: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], FieldInfo]]:
    """Go through every setting with its path; `<name>` stands for names that the file chooses, `<n>` for places."""
    for name, info in model.model_fields.items():
        place = (*at, name)
        yield place, info
        inner, steps = _inside(info.annotation)
        if inner is not None:
            yield from described(inner, (*place, *steps))


def _inside(kind: Any) -> tuple[type[BaseModel] | None, tuple[str, ...]]:
    """The model within a type, and the steps to it."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return kind, ()
    step = {dict: ("<name>",), tuple: ("<n>",)}.get(get_origin(kind), ())
    for part in get_args(kind):
        found, steps = _inside(part)
        if found is not None:
            return found, (*step, *steps)
    return None, ()
