"""Turns schema errors into the terms of the file: the value found and the values allowed."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from proxy.config.scalars import describe
from proxy.config.schema import ConfigFile
from proxy.config.schema.trust import TAG
from proxy.config.yaml import ConfigProblem, Document, Where

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


def problems(error: ValidationError, document: Document) -> list[ConfigProblem]:
    """Return the schema's errors, each with its place in the file."""
    details = error.errors(include_url=False)
    inside = {detail["loc"][:-1] for detail in details}  # a list with refused entries is not also too short
    return [_problem(d, document) for d in details if not (d["type"] == "too_short" and d["loc"] in inside)]


def _problem(error: ErrorDetails, document: Document) -> ConfigProblem:
    typed: Where = tuple(step for step in error["loc"] if step != "[key]")
    where: Where = tuple(step for step in typed if not str(step).startswith(TAG))
    kind = error["type"]
    context = error.get("ctx", {})
    if kind == "extra_forbidden":
        return _unknown(typed, where, document)
    if kind == "missing":
        return ConfigProblem(document.mark(where), where, f"is missing; it must be set{_hint(typed)}")
    if kind == "union_tag_invalid":
        where = (*where, "kind")
        allowed = str(context["expected_tags"]).replace(TAG, "").replace("'", "")
        return ConfigProblem(document.mark(where), where, f"found {error['input']['kind']!a}; allowed: {allowed}")
    found = _found(where, error["input"])
    at = document.mark(where, key=error["loc"][-1:] == ("[key]",))
    if kind in _KINDS:
        quotes = _KINDS[kind] == "text" and error["input"] is not None and not isinstance(error["input"], dict | tuple)
        hint = f' (put it in quotes: "{_as_written(error["input"])}")' if quotes else ""
        return ConfigProblem(at, where, f"found {found}; allowed: {_KINDS[kind]}{hint}")
    if kind in {"value_error", "assertion_error"}:
        text = str(context.get("error", error["msg"]))
        text = text if text.startswith("allowed: ") else f"allowed: {text}"
        return ConfigProblem(at, where, f"found {found}; {text}")
    if kind in {"literal_error", "enum"}:
        return ConfigProblem(at, where, f"found {found}; allowed: {str(context['expected']).replace(chr(39), '')}")
    if kind in {"too_short", "too_long"}:
        return ConfigProblem(
            at, where, f"found {context['actual_length']} entries; allowed: at least {context['min_length']}"
        )
    bounds = {"greater_than_equal": "ge", "greater_than": "gt", "less_than_equal": "le", "less_than": "lt"}
    if kind in bounds:
        words = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than"}[bounds[kind]]
        limit = context[bounds[kind]]
        return ConfigProblem(at, where, f"found {found}; allowed: {words} {limit:g}")
    return ConfigProblem(at, where, f"found {found}; {error['msg']}")


def _found(where: Where, value: object) -> str:
    """Return a description of the value, unless it may be a misplaced secret."""
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


def _unknown(typed: Where, where: Where, document: Document) -> ConfigProblem:
    allowed = _allowed(typed[:-1])
    name = str(where[-1])
    near = get_close_matches(name, allowed, n=1)
    suggestion = f"; did you mean {near[0]}?" if near else ""
    return ConfigProblem(
        document.mark(where, key=True),
        where,
        f"found an unknown setting{suggestion}; allowed here: {', '.join(allowed)}",
    )


def _hint(where: Where) -> str:
    model = _model(where[:-1])
    described = model.model_fields[str(where[-1])].description if model and where[-1] in model.model_fields else None
    return f": {described}" if described else ""


def _allowed(where: Where) -> list[str]:
    model = _model(where)
    return sorted(model.model_fields) if model else []


def _model(where: Where) -> type[BaseModel] | None:
    """Return the model that describes this place, found along the schema's types; a kind's tag selects its model."""
    kind: Any = ConfigFile
    for step in where:
        if str(step).startswith(TAG):
            kind = _of_kind(kind, str(step))
        elif isinstance(kind, type) and issubclass(kind, BaseModel):
            known = kind.model_fields.get(str(step))
            kind = known.annotation if known else None
        else:
            kind = get_args(kind)[-1 if get_origin(kind) is dict else 0] if get_args(kind) else None
        if kind is not None and type(None) in get_args(kind):
            kind = next(part for part in get_args(kind) if part is not type(None))
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def _of_kind(union: Any, tag: str) -> type[BaseModel] | None:
    """Return the model of a union whose settings include `kind` with this tag."""
    models = [model for model, _ in _inside(union)]
    return next((m for m in models if tag.removeprefix(TAG) in get_args(m.model_fields["kind"].annotation)), None)


def described(
    model: type[BaseModel] = ConfigFile, at: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], FieldInfo]]:
    """Yield every setting with its path; `<name>` stands for names that the file chooses, `<n>` for list positions."""
    for name, info in model.model_fields.items():
        place = (*at, name)
        yield place, info
        seen: set[tuple[str, ...]] = set()
        for inner, steps in _inside(info.annotation):
            for found in described(inner, (*place, *steps)):
                if found[0] not in seen:  # every kind has the setting `kind`
                    seen.add(found[0])
                    yield found


def _inside(kind: Any) -> list[tuple[type[BaseModel], tuple[str, ...]]]:
    """Return each model within a type, with the steps to it."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return [(kind, ())]
    step = {dict: ("<name>",), tuple: ("<n>",)}.get(get_origin(kind), ())
    return [(model, (*step, *steps)) for part in get_args(kind) for model, steps in _inside(part)]
