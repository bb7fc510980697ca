"""YAML for configuration: one document, no aliases, no duplicates, no value that two parsers read differently.

The result is plain data (dict, tuple, str, int, float, bool, date, None) and the position of every setting in it. No
object is constructed by tag, nothing recurses, and all problems are reported together.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from proxy.config.scalars import describe, plain
from proxy.oci.faults import ConfigError

MAX_BYTES = 1024 * 1024
MAX_DEPTH = 16
TOLD = 100  # problems listed in one refusal

Where = tuple[str | int, ...]  # the path to a setting: keys and list positions from the top


@dataclass(frozen=True)
class Mark:
    """A position as editors count: line and column start at 1."""

    line: int
    column: int


@dataclass(frozen=True)
class ConfigProblem:
    """One problem at one place: the value found, and the values allowed."""

    mark: Mark
    where: Where
    text: str

    def render(self, file: Path) -> str:
        """Return the `file:line:column: path: text` line."""
        place = f"{render_where(self.where)}: " if self.where else ""
        return f"{file}:{self.mark.line}:{self.mark.column}: {place}{self.text}"


@dataclass
class Document:
    """The data of a file and its positions: `values` and `keys` map paths to positions."""

    data: Any = None
    values: dict[Where, Mark] = field(default_factory=dict)
    keys: dict[Where, Mark] = field(default_factory=dict)

    def mark(self, where: Where, *, key: bool = False) -> Mark:
        """Return the position of a setting, or of the nearest enclosing setting in the file."""
        places = self.keys if key else self.values
        while where and where not in places:
            where = where[:-1]
            places = self.values
        return places.get(where, Mark(1, 1))


def render_where(where: Where) -> str:
    """Return the path in its usual notation: `policies[0].pull.mode`."""
    text = ""
    for step in where:
        text += f"[{step}]" if isinstance(step, int) else f".{_shown(step)}"
    return text.removeprefix(".")


def _shown(key: str) -> str:
    return key if re.fullmatch(r"[\w-]{1,60}", key, re.ASCII) else ascii(key[:60])


def refuse(problems: list[ConfigProblem], file: Path) -> None:
    """Raise one ConfigError with a line for each problem, in file order. Does nothing without problems.

    Only the first `TOLD` problems are listed; the others are counted.
    """
    if problems:
        ordered = sorted(set(problems), key=lambda p: (p.mark.line, p.mark.column, p.where == (), p.text))
        lines = [problem.render(file) for problem in ordered[:TOLD]]
        if more := ordered[TOLD:]:
            lines.append(ConfigProblem(more[0].mark, (), f"and {len(more)} more problems").render(file))
        raise ConfigError("\n".join(lines))


def read(raw: bytes, file: Path, values: int | None = None) -> Document:
    """Return the one document in these bytes. Raises ConfigError with the problems found.

    `values` limits the number of settings, lists and values in the document, keys included.
    """
    if len(raw) > MAX_BYTES:
        raise ConfigError(f"{file}:1:1: found {len(raw)} bytes; a configuration has at most {MAX_BYTES}")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        before = raw[: error.start]
        line = before.count(b"\n") + 1
        column = len(before.rpartition(b"\n")[2]) + 1
        found = f"found byte 0x{raw[error.start]:02x}"
        raise ConfigError(f"{file}:{line}:{column}: {found}; the file must be UTF-8 text") from None
    builder = _Builder(values)
    try:
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            builder.take(event)
            if builder.hopeless:
                break
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        at = Mark(1, 1) if mark is None else Mark(mark.line + 1, mark.column + 1)
        builder.problems.append(ConfigProblem(at, (), f"not readable as YAML: {error.problem or error.context}"))
    except yaml.reader.ReaderError as error:
        before_it = text[: error.position]
        at = Mark(before_it.count("\n") + 1, len(before_it.rpartition("\n")[2]) + 1)
        builder.problems.append(
            ConfigProblem(at, (), f"found character {error.character:#x}, which YAML does not allow")
        )
    refuse(builder.problems, file)
    return builder.document


@dataclass
class _Open:
    """A mapping or list that has begun and not ended. `key` is the key whose value comes next."""

    items: dict[str, Any] | list[Any]
    where: Where
    key: str | None = None
    awaits_value: bool = False


class _Builder:
    """Builds the data from parser events, which limits depth before any recursion."""

    def __init__(self, values: int | None) -> None:
        self.document = Document()
        self._values, self._most = 0, values
        self.problems: list[ConfigProblem] = []
        self.hopeless = False
        self._open: list[_Open] = []
        self._documents = 0
        self._nothing = 0  # numbers the placeholders for refused keys, so that their values still have a place

    def take(self, event: yaml.Event) -> None:
        begun = event.start_mark
        mark = Mark(1, 1) if begun is None else Mark(begun.line + 1, begun.column + 1)
        self._values += isinstance(event, yaml.NodeEvent)
        if self._most is not None and self._values > self._most:
            self._stop(mark, f"found more than {self._most} settings, lists and values; make the text smaller")
        elif isinstance(event, yaml.DocumentStartEvent):
            self._documents += 1
            if self._documents > 1:
                self._stop(mark, "found a second document (---); a configuration is one document")
        elif isinstance(event, yaml.AliasEvent):
            self._say(mark, f"found the alias *{event.anchor}; aliases and anchors are not allowed, write it out")
            self._value(None, mark)
        elif isinstance(event, yaml.ScalarEvent):
            self._strange(event, mark)
            if self._awaits_key():
                self._key(event, mark)
            else:
                self._value(self._scalar(event, mark), mark)
        elif isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
            self._strange(event, mark)
            self._begin(event, mark)
        elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            ended = self._open.pop()
            items = ended.items if isinstance(ended.items, dict) else tuple(ended.items)
            self._value(items, None)

    def _begin(self, event: yaml.MappingStartEvent | yaml.SequenceStartEvent, mark: Mark) -> None:
        if len(self._open) >= MAX_DEPTH:
            self._stop(mark, f"nested deeper than {MAX_DEPTH} levels; no setting is that deep")
            return
        if self._awaits_key():
            self._stop(mark, "found a list or mapping as a key; keys are text")
            return
        where = self._here()
        self.document.values[where] = mark
        self._open.append(_Open({} if isinstance(event, yaml.MappingStartEvent) else [], where))

    def _awaits_key(self) -> bool:
        return bool(self._open) and isinstance(self._open[-1].items, dict) and not self._open[-1].awaits_value

    def _here(self) -> Where:
        if not self._open:
            return ()
        top = self._open[-1]
        return (*top.where, len(top.items) if top.key is None else top.key)

    def _key(self, event: yaml.ScalarEvent, mark: Mark) -> None:
        top = self._open[-1]
        self.document.values.setdefault((), mark)
        merges = event.style is None and event.value == "<<"
        key = None if merges else self._scalar(event, mark, where=top.where)
        if merges:
            self._say(mark, "found the merge key <<; merging is not allowed, write it out", top.where)
        elif not isinstance(key, str):
            if key is not None or not event.value or event.value in {"~", "null"}:
                self._say(mark, f"found {describe(key)} as a key; keys are text: put it in quotes", top.where)
            key = None
        elif key in top.items:
            first = self.document.keys[(*top.where, key)]
            again = f"found a second time (first in line {first.line}); each setting stands once"
            self._say(mark, again, (*top.where, key))
            key = None
        if key is None:
            self._nothing += 1
            key = f"\0{self._nothing}"
        top.key, top.awaits_value = key, True
        self.document.keys[(*top.where, key)] = mark

    def _value(self, value: Any, mark: Mark | None) -> None:
        if not self._open:
            self.document.data = value
        if mark is not None:
            self.document.values[self._here()] = mark
        if not self._open:
            return
        top = self._open[-1]
        if isinstance(top.items, list):
            top.items.append(value)
        elif top.key is not None:
            top.items[top.key] = value
            top.key, top.awaits_value = None, False

    def _strange(self, event: yaml.ScalarEvent | yaml.MappingStartEvent | yaml.SequenceStartEvent, mark: Mark) -> None:
        if event.anchor is not None:
            self._say(mark, f"found the anchor &{event.anchor}; aliases and anchors are not allowed")
        if event.tag is not None:
            self._say(mark, "found a type tag (!); tags are not allowed, quotes make anything text")

    def _scalar(self, event: yaml.ScalarEvent, mark: Mark, where: Where | None = None) -> Any:
        if event.style is not None:
            return event.value
        try:
            return plain(event.value)
        except ValueError as error:
            self._say(mark, str(error), self._here() if where is None else where)
            return None

    def _say(self, mark: Mark, text: str, where: Where | None = None) -> None:
        self.problems.append(ConfigProblem(mark, self._here() if where is None else where, text))

    def _stop(self, mark: Mark, text: str) -> None:
        self._say(mark, text)
        self.hopeless = True
