"""YAML for configuration: one document, no aliases, no duplicates, no value that two parsers read differently.

The result is plain data (dict, tuple, str, int, float, bool, date, None) and the position of every setting in it. No
object is constructed by tag, recursion is bounded, and all problems are reported together.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

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


def leaves(value: Any, where: Where = ()) -> Iterator[tuple[Where, Any]]:
    """Yield each setting that has a value, with its path."""
    if isinstance(value, dict) and value:
        for name, inner in value.items():
            yield from leaves(inner, (*where, name))
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        for at, inner in enumerate(value):
            yield from leaves(inner, (*where, at))
    elif value is not None:
        yield where, value


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
        found = f"found byte 0x{raw[error.start]:02x}; the file must be UTF-8 text"
        raise ConfigError(ConfigProblem(_end(raw[: error.start].decode()), (), found).render(file)) from None
    reader = _Reader(text, values)
    try:
        reader.read()
    except _Stop:
        pass  # the problem is among the others
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        at = Mark(1, 1) if mark is None else Mark(mark.line + 1, mark.column + 1)
        reader.problems.append(ConfigProblem(at, (), f"not readable as YAML: {error.problem or error.context}"))
    except yaml.reader.ReaderError as error:
        found = f"found character {error.character:#x}, which YAML does not allow"
        reader.problems.append(ConfigProblem(_end(text[: error.position]), (), found))
    refuse(reader.problems, file)
    return reader.document


class _Stop(Exception):
    """The rest of the text is not read."""


class _Reader:
    """Builds the data from parser events; `_value` recurses at most `MAX_DEPTH` times.

    Not from composed nodes: composing recurses as deep as the text wants, and tells nothing of what precedes a syntax
    error.
    """

    def __init__(self, text: str, values: int | None) -> None:
        self.document = Document()
        self.problems: list[ConfigProblem] = []
        self._events: Iterator[Any] = yaml.parse(text, Loader=yaml.SafeLoader)
        self._values, self._most = 0, values
        self._refused = 0  # counts refused keys: each has a placeholder, so that its value has a position

    def read(self) -> None:
        """Read the document. Raises _Stop, YAMLError."""
        documents = 0
        for event in self._events:
            documents += isinstance(event, yaml.DocumentStartEvent)
            if documents > 1:
                self._stop(_mark(event), (), "found a second document (---); a configuration is one document")
            if isinstance(event, yaml.NodeEvent):
                self.document.data = self._value(event, ())

    def _value(self, event: yaml.NodeEvent, where: Where) -> Any:
        mark = self.document.values[where] = self._begun(event, where)
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event, mark, where)
        if isinstance(event, yaml.AliasEvent):
            return None
        if len(where) >= MAX_DEPTH:
            self._stop(mark, where, f"nested deeper than {MAX_DEPTH} levels; no setting is that deep")
        if isinstance(event, yaml.SequenceStartEvent):
            entries: list[Any] = []
            while not isinstance(inner := next(self._events), yaml.SequenceEndEvent):
                entries.append(self._value(inner, (*where, len(entries))))
            return tuple(entries)
        settings: dict[str, Any] = {}
        while not isinstance(inner := next(self._events), yaml.MappingEndEvent):
            key = self._key(inner, where, settings)
            settings[key] = self._value(next(self._events), (*where, key))
        return settings

    def _begun(self, event: yaml.NodeEvent, where: Where) -> Mark:
        """Return where the node begins; it must be the one of the values allowed, without anchor, alias and tag."""
        mark = _mark(event)
        self._values += 1
        if self._most is not None and self._values > self._most:
            self._stop(mark, where, f"found more than {self._most} settings, lists and values; make the text smaller")
        refused = "aliases and anchors are not allowed"
        if isinstance(event, yaml.AliasEvent):
            self._say(mark, where, f"found the alias *{event.anchor}; {refused}, write it out")
        elif event.anchor is not None:
            self._say(mark, where, f"found the anchor &{event.anchor}; {refused}")
        if getattr(event, "tag", None) is not None:
            self._say(mark, where, "found a type tag (!); tags are not allowed, quotes make anything text")
        return mark

    def _key(self, event: yaml.NodeEvent, where: Where, before: dict[str, Any]) -> str:
        """Return the key, or the placeholder of a refused one."""
        here = (*where, len(before))
        mark, key = self._begun(event, here), None
        if isinstance(event, yaml.CollectionStartEvent):
            self._stop(mark, here, "found a list or mapping as a key; keys are text")
        if isinstance(event, yaml.ScalarEvent) and event.style is None and event.value == "<<":
            self._say(mark, where, "found the merge key <<; merging is not allowed, write it out")
        elif isinstance(event, yaml.ScalarEvent):
            key = self._scalar(event, mark, where)
            if not isinstance(key, str):
                if key is not None or event.value in {"", "~", "null"}:
                    self._say(mark, where, f"found {describe(key)} as a key; keys are text: put it in quotes")
                key = None
            elif key in before:
                first = self.document.keys[(*where, key)]
                again = f"found a second time (first in line {first.line}); write each setting once"
                self._say(mark, (*where, key), again)
                key = None
        if key is None:
            self._refused += 1
            key = f"\0{self._refused}"
        self.document.keys[(*where, key)] = mark
        return key

    def _scalar(self, event: yaml.ScalarEvent, mark: Mark, where: Where) -> Any:
        try:
            return plain(event.value) if event.style is None else event.value
        except ValueError as error:
            self._say(mark, where, str(error))
            return None

    def _say(self, mark: Mark, where: Where, text: str) -> None:
        self.problems.append(ConfigProblem(mark, where, text))

    def _stop(self, mark: Mark, where: Where, text: str) -> NoReturn:
        self._say(mark, where, text)
        raise _Stop


def _mark(event: Any) -> Mark:
    return Mark(event.start_mark.line + 1, event.start_mark.column + 1)


def _end(text: str) -> Mark:
    return Mark(text.count("\n") + 1, len(text.rpartition("\n")[2]) + 1)
