"""What a person typed for an operation, as the fields of its call. What is wrong is said before anything is sent."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from pydantic import ValidationError

from proxy.admin.operation import PLACES, Argument, Given, Operation, Option
from proxy.admin.wording import Complaint, complaints
from proxy.oci.duration import parse_span, span_text
from proxy.oci.faults import Invalid, visible
from proxy.trust.names import redacted

if TYPE_CHECKING:
    from pydantic import BaseModel
    from pydantic.fields import FieldInfo

COMMON = ("server", "token", "config", "output")  # the options of every command; a field of such a name gets a `_`
_SPAN = "write a number of s, m, h, d or w, such as 30m, 12h or 14d"
_TIMES = {  # by what an option reads: what a right value is
    "seconds": _SPAN,
    "moment": "write how long from now, such as 7d, or a time, such as 2027-01-31 or 2027-01-31T18:00:00Z (UTC)",
    "since": "write how long ago, such as 7d or 12h, or a time, such as 2027-01-31 or 2027-01-31T18:00:00Z (UTC)",
    "time": "write a time with its zone, such as 2027-01-31T08:00:00Z",
}


def key_of(name: str) -> str:
    """Return the name of a field among the typed values."""
    return f"{name}_" if name in COMMON else name


def marked(operation: Operation) -> list[tuple[str, FieldInfo, Argument | Option]]:
    """Return the fields of the call that its command takes as an argument or option."""
    shape = operation.route.body or operation.route.query
    fields = {} if shape is None else shape.model_fields
    marks = ((name, field, mark) for name, field in fields.items() for mark in field.metadata)
    return [(name, field, mark) for name, field, mark in marks if isinstance(mark, Argument | Option)]


def spelled(name: str, mark: Argument | Option) -> str:
    """Return the option or argument as `--help` shows it."""
    return mark.metavar if isinstance(mark, Argument) else mark.spelled or f"--{name.replace('_', '-')}"


def wrong(label: str, value: object, why: str) -> Invalid:
    """Return the Fault that names this option or argument as it was typed."""
    return Invalid(f"{label} {shlex.quote(visible(redacted(str(value)), 200))}: {why}")


def checked(operation: Operation, given: Given) -> dict[str, Any]:
    """Return the path parameters and fields that the typed values mean. Raises Invalid, ConfigError for a file."""
    for name in operation.route.path_params:
        _check_place(operation, name, given[name])
    read = {} if given.get("reason") is None else {"reason": _text("--reason", given["reason"])}
    for name, field, mark in marked(operation):
        typed = given[key_of(name)]
        if mark.file is not None:
            read |= {} if typed is None else mark.file(file_of(spelled(name, mark), typed))
        else:
            value = _read(name, field, mark, typed)
            read[name] = ",".join(value) if isinstance(value, list) and operation.route.body is None else value
    _check_fields(operation, read, given)
    return read


def check(shape: type[BaseModel], fields: Given, typed: Mapping[str, tuple[str, object]]) -> None:
    """Raise Invalid for a wrong field of a body, with the option it was typed as, and what was typed, by the field."""
    try:
        shape.model_validate_json(json.dumps(fields))
    except ValidationError as found:
        first = next(complaints(found, shape))
        raise wrong(*typed[first.field], first.why) from None


def _check_place(operation: Operation, name: str, value: object) -> None:
    command, group = operation.command, operation.command.words.partition(" ")[0]
    if command.may_name is not None:
        try:
            command.may_name(str(value))
        except ValueError:
            listed = f"nothing is listed under this; see: countersign {group} {command.listed_by}"
            raise wrong(command.metavar, value, listed) from None
    elif command.named is None and re.fullmatch(PLACES[name][0], str(value)) is None:
        label = {"profile": "PROFILE", "fingerprint": "KEY"}.get(name, command.metavar)
        listed = f"no {group.removesuffix('s')} has this id; list them: countersign {group} {command.listed_by}"
        raise wrong(label, value, listed if name == "id" else PLACES[name][1].says)


def _text(label: str, value: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise wrong(label, value, "not valid UTF-8; set the terminal to UTF-8") from None
    return value


def file_of(label: str, typed: str | Path) -> Path:
    """Return the file that was typed; it is there. Raises Invalid."""
    file = Path(_text(label, str(typed)))
    if not str(typed) or not file.exists() or file.is_dir():
        raise wrong(
            label, typed, "a directory; name a file" if file.is_dir() and str(typed) else "there is no such file"
        )
    return file


def _read(name: str, field: FieldInfo, mark: Argument | Option, typed: Any) -> Any:
    """Return the field's value for what was typed; None if nothing was. Raises Invalid."""
    label, reads, choices = spelled(name, mark), mark.reads, choices_of(field)
    if reads == "several" and "" in typed:
        raise wrong(label, "", f"empty; give {label} a value, or leave it out")
    if reads == "several":
        return [choice_of(label, each, choices) if choices else _text(label, each) for each in typed]
    if typed is None or reads == "flag":
        return typed
    if typed == "" and isinstance(mark, Option):
        raise wrong(label, typed, f"empty; give {label} a value, or leave it out")
    if choices:
        return choice_of(label, typed, choices)
    if reads == "number":
        least, most = ([getattr(m, at) for m in field.metadata if hasattr(m, at)] for at in ("ge", "le"))
        return number_of(label, typed, *least, *most)
    if reads == "seconds":
        return int(span_of(label, typed).total_seconds())
    return time_of(label, typed, reads, datetime.now(UTC)).isoformat() if reads in _TIMES else _text(label, typed)


def choices_of(field: FieldInfo) -> tuple[str, ...]:
    """Return the texts that a field of choices takes; () for any other field."""
    kinds = (field.annotation, *get_args(field.annotation))
    inner = [each for each in kinds if isinstance(each, type) and issubclass(each, Enum)]
    return tuple(str(each.value) for each in inner[0]) if inner else ()


def choice_of(label: str, typed: str, choices: Sequence[str]) -> str:
    """Return the choice that was typed. Raises Invalid."""
    if typed in choices:
        return typed
    near = choices if len(choices) <= 12 else get_close_matches(typed, choices, 5, 0.4) or choices
    raise wrong(label, typed, f"write {'one of ' if len(near) > 1 else ''}{', '.join(near)}")


def number_of(label: str, typed: str | int, least: int = 0, most: int = 999_999_999) -> int:
    """Return the number that was typed. Raises Invalid."""
    if re.fullmatch(r"[0-9]{1,12}", str(typed), re.ASCII) and least <= int(typed) <= most:
        return int(typed)
    raise wrong(label, typed, f"write a whole number from {least} to {most}")


def span_of(label: str, typed: str) -> timedelta:
    """Return the duration that was typed for this option. Raises Invalid."""
    try:
        return parse_span(typed)
    except ValueError:
        raise wrong(label, typed, f"not a duration; {_SPAN}") from None


def time_of(label: str, typed: str, reads: str, now: datetime) -> datetime:
    """Return the time that was typed for an option that reads this kind of time. Raises Invalid."""
    try:
        if reads != "time" and typed[-1:] in "smhdw":
            return now + parse_span(typed) * (1 if reads == "moment" else -1)
        at = datetime.fromisoformat(typed)
        if reads == "time" and at.tzinfo is None:
            raise wrong(label, typed, f"a time without its zone; {_TIMES[reads]}")
        return at.replace(tzinfo=at.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError):
        raise wrong(label, typed, f"not a time; {_TIMES[reads]}") from None


def _check_fields(operation: Operation, read: dict[str, Any], given: Given) -> None:
    shape, marks = operation.route.body or operation.route.query, {name: mark for name, _, mark in marked(operation)}
    if shape is None:
        return
    known = {name: value for name, value in read.items() if value is not None}
    known |= {
        name: 0 for name, mark in marks.items() if isinstance(mark, Option) and mark.first_of and name not in known
    }
    try:
        if operation.route.body is not None:
            shape.model_validate_json(json.dumps(known))
        else:
            shape.model_validate_strings({name: str(value) for name, value in known.items()})
    except ValidationError as found:
        first = next(complaints(found, shape))
        raise _wrong_field(first, marks, given) from None


def _wrong_field(found: Complaint, marks: dict[str, Argument | Option], given: Given) -> Invalid:
    if found.field == "reason":
        return wrong("--reason", given["reason"], found.why)
    name = found.field if found.field in marks else next(name for name, mark in marks.items() if mark.file is not None)
    mark, typed = marks[name], given[key_of(name)]
    if found.at is not None:
        typed = typed[found.at]
    bound = next((found.bound[each] for each in ("ge", "le") if each in found.bound), None)
    if mark.reads == "seconds" and bound is not None:
        limit = span_text(timedelta(seconds=bound))
        return wrong(spelled(name, mark), typed, f"{'less' if 'ge' in found.bound else 'more'} than {limit}")
    return wrong(spelled(name, mark), "" if typed is None else typed, found.why)
