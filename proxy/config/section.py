"""Extracts the policies of a configuration file as written, because comments explain the settings."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

from proxy.config.yaml import Document, read
from proxy.oci.faults import ConfigError
from proxy.trust.names import name_refusal

NAME = "policies"


def policies_in(path: Path, *, alone: bool = False) -> dict[str, str]:
    """Return text and name of the policies in this file. Of a whole configuration, only the policies.

    Lines keep their numbers. Raises ConfigError: not readable, no policies, or other settings although `alone` is set.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from None
    name = path.name[-80:] if name_refusal(path.name[-80:]) is None else "policies.yaml"
    document = read(raw, path)
    if not isinstance(document.data, dict) or NAME not in document.data:
        raise ConfigError(f"{path}: it has no setting `{NAME}`; `countersign policy show` prints such a file")
    if set(document.data) == {NAME}:
        return {"text": raw.decode(), "name": name}
    if alone:
        others = ", ".join(key for key in document.data if key != NAME)
        raise ConfigError(f"{path}: it has {others} besides `{NAME}`; a file to put in force has `{NAME}` alone")
    text, line = section(raw.decode(), document)
    return {"text": "\n" * max(line - 1, 0) + text, "name": name}


def section(text: str, document: Document) -> tuple[str, int]:
    """Return a text with the single setting `policies`, equal to this file's, and the line where it begins.

    The line is 0 if the text had to be generated.
    """
    data = document.data.get(NAME, ())
    cut = _cut(text, document)
    try:
        if cut is not None and read(cut.encode(), Path(NAME)).data == {NAME: data}:
            return cut, document.keys[(NAME,)].line
    except ConfigError:
        pass  # it depends on the text around it
    return json.dumps({NAME: data}, indent=2, ensure_ascii=False, default=_moment) + "\n", 0


def _cut(text: str, document: Document) -> str | None:
    """Return the lines from `policies:` to the next setting, without the comments of that next setting."""
    at = document.keys.get((NAME,))
    if at is None or at.column != 1:
        return None
    after = [mark.line for where, mark in document.keys.items() if len(where) == 1 and mark.line > at.line]
    lines = text.splitlines(keepends=True)[at.line - 1 : min(after) - 1 if after else None]
    while lines and (not lines[-1].strip() or (after and lines[-1].startswith("#"))):
        lines.pop()
    return "".join(lines)


def _moment(value: object) -> str:
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError(type(value).__name__)
