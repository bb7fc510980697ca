"""Policies by themselves: a file with the one setting `policies`, checked as it would be in the configuration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from proxy.config import checks, words
from proxy.config.schema import PolicyEntry, PolicyPart
from proxy.config.section import NAME
from proxy.config.settings import Settings, policy_set, policy_text
from proxy.config.yaml import Document, Problem, describe, read, refuse
from proxy.trust.policy import PolicySet


@dataclass(frozen=True)
class PolicyFile:
    """A text that is valid here. `canonical` is behind `policies.revision`; `written` is as the file says it, whole."""

    text: str = field(repr=False)
    policies: PolicySet
    canonical: str = field(repr=False)
    written: tuple[Mapping[str, Any], ...] = field(repr=False)
    warnings: tuple[Problem, ...]
    document: Document = field(repr=False)


BLANK: Mapping[str, Any] = PolicyEntry(repositories=("x",)).model_dump(mode="json")


def parse_policies(text: str, name: str, settings: Settings, segments: int | None = None) -> PolicyFile:
    """Return the policies in this text; names in it are those of the configuration. `name` is for messages.

    `segments` bounds what all patterns have together: each is compared with every other one. Raises ConfigError with a
    `name:line:column: path: ...` line for each problem, as a configuration would.
    """
    path = Path(name)
    document = read(text.encode("utf-8", "surrogatepass"), path)
    refuse(_besides(document, settings), path)
    try:
        entries = PolicyPart.model_validate(document.data).policies
    except ValidationError as error:
        refuse(words.problems(error, document), path)
        raise
    parts = sum(pattern.count("/") + 1 for entry in entries for pattern in entry.repositories)
    if segments is not None and parts > segments:
        text = f"found patterns of {parts} parts together; allowed here: at most {segments}"
        refuse([Problem(document.mark((NAME,)), (NAME,), text)], path)
    file = settings.file.model_copy(update={"policies": entries})
    refuse([p for p in checks.problems(file, document) if p.where[:1] == (NAME,)], path)
    doubts = [p for p in checks.warnings(file, document) if p.where[:1] == (NAME,)]
    policies = policy_set(entries)
    return PolicyFile(text, policies, policy_text(policies), written(entries), tuple(doubts), document)


def _besides(document: Document, settings: Settings) -> list[Problem]:
    """Return what is wrong when this is something else than `policies` alone."""
    if not isinstance(document.data, dict):
        return [Problem(document.mark(()), (), f"found {describe(document.data)}; allowed: a mapping with `{NAME}`")]
    text = f"found a setting besides `{NAME}`; it has its place in {settings.path}"
    return [Problem(document.mark((key,), key=True), (key,), text) for key in document.data if key != NAME]


def in_the_file(settings: Settings) -> PolicyFile:
    """Return the policies of the configuration file; their places are those in that file, where they can be told."""
    text, line = settings.section
    found = parse_policies("\n" * max(line - 1, 0) + text, str(settings.path), settings)
    return replace(found, text=text)


def written(entries: tuple[PolicyEntry, ...]) -> tuple[Mapping[str, Any], ...]:
    """Return policies as JSON values, as a file writes them, defaults written out."""
    return tuple(entry.model_dump(mode="json") for entry in entries)
