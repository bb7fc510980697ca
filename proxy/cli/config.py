"""`countersign config`: checks and explains the configuration file."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from proxy import config
from proxy.cli.typed import wrong
from proxy.config.tls_files import problems
from proxy.config.yaml import Document, Where, leaves, render_where
from proxy.oci.faults import ConfigError, Fault
from proxy.oci.reference import parse_repository
from proxy.trust.pattern import matches, specificity

Row = Mapping[str, Any]


def validated(path: Path) -> tuple[Row, str]:
    """Return that the file and its TLS files can be used, with warnings: as data and as text. Raises ConfigError.

    An expired certificate is refused here, although `serve` would still use it: clients would reject it.
    """
    settings = config.load(path)
    if bad := list(problems(settings, datetime.now(UTC))):
        raise ConfigError("\n".join(f"{settings.path}: {each}" for each in bad))
    lines = [f"{warning}  (warning)" for warning in settings.warnings]
    count = len(settings.policies.policies)
    policies = "1 policy" if count == 1 else f"{count} policies"
    lines.append(f"{settings.path} is valid: {policies}, revision {settings.revision[:12]}")
    if settings.policies_from == "api":
        lines.append("policies_from: api; the newest revision is in force (countersign policy show), not these")
    answer = {
        "path": str(settings.path), "revision": settings.revision, "policies": count,
        "policies_from": settings.policies_from, "warnings": list(settings.warnings),
    }  # fmt: skip
    return answer, "\n".join(lines) + "\n"


def explained(path: Path, repository: str | None) -> tuple[Row, str]:
    """Return every setting in force with its origin, or the policy of one repository: as data and as text.

    Raises Invalid for what is no repository, ConfigError.
    """
    settings, document = config.parse_with_places(_read(path), path)
    if repository is not None:
        return _policy(settings, document, repository)
    data = json.loads(settings.redacted_text())
    rows = list(leaves(data))
    width = min(max(len(render_where(where)) for where, _ in rows), 60)
    lines = [
        f"{render_where(where):<{width}}  {json.dumps(value)}  {_origin(where, document)}" for where, value in rows
    ]
    return {"settings": _rows(rows, (), document)}, "\n".join(lines) + "\n"


def _rows(rows: Iterable[tuple[Where, Any]], above: Where, document: Document) -> list[Row]:
    """Return the settings as data; `line` is null for a default."""
    lines = ((where, value, document.values.get((*above, *where))) for where, value in rows)
    return [{"setting": render_where(w), "value": v, "line": at.line if at else None} for w, v, at in lines]


def _read(path: Path) -> bytes:
    config.load(path)  # raises the error about a missing file
    return path.read_bytes()


def _origin(where: tuple[str | int, ...], document: Document) -> str:
    return f"(line {document.values[where].line})" if where in document.values else "(default)"


def _policy(settings: config.Settings, document: Document, repository: str) -> tuple[Row, str]:
    try:
        name = parse_repository(repository)
    except Fault:
        raise wrong("REPOSITORY", repository, "write the name of one repository, such as team/app") from None
    if settings.policies_from == "api":
        raise ConfigError(f"{settings.path}: policies_from: api; the policy of {name} is in: countersign policy show")
    chosen = settings.policies.for_(name)
    if chosen is None:
        text = f"no policy matches {name}: it is closed, pulls and pushes are denied (no_policy)\n"
        return {"repository": name, "policy": None, "line": None, "pattern": None, "settings": []}, text
    number = settings.policies.policies.index(chosen)
    pattern = max((p for p in chosen.repositories if matches(p, name)), key=specificity)
    others = sum(
        1 for policy in settings.policies.policies for p in policy.repositories if p != pattern and matches(p, name)
    )
    line = document.mark(("policies", number)).line
    also = f", the most specific of {others + 1} patterns that match" if others else ""
    data = json.loads(settings.redacted_text())["policies"][number]
    lines = [f"{name}: policies[{number}] in line {line}, by pattern {pattern}{also}"]
    lines += [
        f"  {render_where(where)}: {json.dumps(value)}  {_origin(('policies', number, *where), document)}"
        for where, value in leaves(data)
    ]
    rows = _rows(leaves(data), ("policies", number), document)
    answer = {"repository": name, "policy": number, "line": line, "pattern": pattern, "settings": rows}
    return answer, "\n".join(lines) + "\n"
