"""The policies of a configuration file by themselves, as they stand there: comments are why things are as they are."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

from proxy.config.yaml import Document, read
from proxy.oci.faults import ConfigError

NAME = "policies"


def section(text: str, document: Document) -> tuple[str, int]:
    """Return a text with the one setting `policies`, which says what this file says of it, and the line it is from.

    The line is 0 where the text had to be written anew.
    """
    data = document.data.get(NAME, ())
    cut = _cut(text, document)
    try:
        if cut is not None and read(cut.encode(), Path(NAME)).data == {NAME: data}:
            return cut, document.keys[(NAME,)].line
    except ConfigError:
        pass  # it hangs together with what stands around it
    return json.dumps({NAME: data}, indent=2, ensure_ascii=False, default=_moment) + "\n", 0


def _cut(text: str, document: Document) -> str | None:
    """Return the lines from `policies:` to the next setting, without the comments that belong to that one."""
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
