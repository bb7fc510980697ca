"""Policies on their own: a file with the single setting `policies`, checked as within the configuration."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from proxy.config import policy_checks, words
from proxy.config.policy_checks import Signers
from proxy.config.scalars import describe
from proxy.config.schema import PolicyEntry, PolicyPart
from proxy.config.section import NAME
from proxy.config.settings import Settings, policy_of, policy_set
from proxy.config.yaml import ConfigProblem, Document, read, refuse
from proxy.trust.policy import PolicySet

COMPLAINTS = 1000  # reported for one text


@dataclass(frozen=True)
class PolicyFile:
    """Policies valid for this configuration. `canonical` is the text of `policies.revision`; `written` is JSON."""

    text: str = field(repr=False)
    policies: PolicySet
    canonical: str = field(repr=False)
    written: str = field(repr=False)
    name: str = ""
    line: int = 1


@dataclass(frozen=True)
class Parsed:
    """The parsed entries of a valid text, with doubts and positions."""

    entries: tuple[PolicyEntry, ...]
    doubts: tuple[ConfigProblem, ...]
    document: Document = field(repr=False)


@cache
def blank() -> Mapping[str, Any]:
    """Return the settings of a policy that sets nothing but its repositories."""
    return PolicyEntry(repositories=("x",)).model_dump(mode="json")


def parse_policies(text: str, name: str, named: Signers, segments: int | None = None) -> Parsed:
    """Return the policies in this text, which may use the names in `named`. `name` is for messages.

    `segments` limits the number of pattern segments, and through it the size of the text. Raises ConfigError with a
    `name:line:column: path: ...` line for each problem, as a configuration does.
    """
    path = Path(name)
    document = read(text.encode("utf-8", "surrogatepass"), path, None if segments is None else segments * VALUES_EACH)
    refuse(_besides(document, named), path)
    try:
        entries = PolicyPart.model_validate(document.data).policies
    except ValidationError as error:
        refuse(words.problems(error, document), path)
        raise
    parts = sum(pattern.count("/") + 1 for entry in entries for pattern in entry.repositories)
    if segments is not None and parts > segments:
        text = f"found patterns of {parts} parts together; allowed here: at most {segments}"
        refuse([ConfigProblem(document.mark((NAME,)), (NAME,), text)], path)
    said = islice(policy_checks.complaints(entries, named, document), COMPLAINTS)
    refuse([ConfigProblem(document.mark(where), where, text) for where, text in said], path)
    doubts = [ConfigProblem(document.mark(where), where, text) for where, text in policy_checks.doubts(entries, named)]
    return Parsed(entries, tuple(doubts), document)


VALUES_EACH = 20  # settings, names and lists in a text, for each pattern segment it may have


def _besides(document: Document, named: Signers) -> list[ConfigProblem]:
    """Return the problems of a text that holds anything other than `policies`."""
    if not isinstance(document.data, dict):
        return [
            ConfigProblem(document.mark(()), (), f"found {describe(document.data)}; allowed: a mapping with `{NAME}`")
        ]
    text = f"found a setting besides `{NAME}`; it belongs in {named.path}"
    return [ConfigProblem(document.mark((key,), key=True), (key,), text) for key in document.data if key != NAME]


def in_the_file(settings: Settings) -> PolicyFile:
    """Return the policies of the configuration file."""
    text, line = settings.section
    canonical, written = settings.policy_text(), written_of(settings.file.policies)
    return PolicyFile(text, settings.policies, canonical, written, str(settings.path), max(line, 1))


def written_of(entries: tuple[PolicyEntry, ...]) -> str:
    """Return policies as JSON in the form of a file, with defaults written out."""
    return json.dumps([entry.model_dump(mode="json") for entry in entries], separators=(",", ":"))


def policies_of(canonical: str) -> PolicySet:
    """Return the policies described by this canonical JSON."""
    return policy_set(canonical, tuple(map(policy_of, json.loads(canonical))))
