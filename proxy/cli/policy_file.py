"""Reads the policies of a file for the server; nothing else in the file is sent."""

from __future__ import annotations

from pathlib import Path

from proxy.config.section import NAME, section
from proxy.config.yaml import read
from proxy.oci.faults import ConfigError


def sent(path: Path, *, alone: bool = False) -> dict[str, str]:
    """Return text and name of the policies in this file. Of a whole configuration, only the policies are sent.

    Lines keep their numbers. Raises ConfigError: not readable, no policies, or other settings although `alone` is set.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from None
    name = path.name[-80:] if path.name.isprintable() else "policies.yaml"
    document = read(raw, path)
    if not isinstance(document.data, dict) or NAME not in document.data:
        raise ConfigError(f"{path}: there is no setting `{NAME}` in it; `countersign policy show` prints such a file")
    if set(document.data) == {NAME}:
        return {"text": raw.decode(), "name": name}
    if alone:
        others = ", ".join(key for key in document.data if key != NAME)
        raise ConfigError(f"{path}: beside `{NAME}` there is {others}; what is put in force has `{NAME}` alone")
    text, line = section(raw.decode(), document)
    return {"text": "\n" * max(line - 1, 0) + text, "name": name}
