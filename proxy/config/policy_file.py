"""Policies by themselves: a file with the one setting `policies`, checked as it would be in the configuration."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from proxy.config import policy_checks, words
from proxy.config.policy_checks import Signers
from proxy.config.scalars import describe
from proxy.config.schema import PolicyEntry, PolicyPart
from proxy.config.section import NAME
from proxy.config.settings import Settings, policy_set
from proxy.config.yaml import ConfigProblem, Document, read, refuse
from proxy.trust.policy import Clause, Policy, PolicySet, PullRules, PushRules

COMPLAINTS = 1000  # of one text that are looked for


@dataclass(frozen=True)
class PolicyFile:
    """Policies that are valid here. `canonical` is behind `policies.revision`; `written` is as a file says them, JSON.

    `name` and `line` are where the text begins: its file and the line in it.
    """

    text: str = field(repr=False)
    policies: PolicySet
    canonical: str = field(repr=False)
    written: str = field(repr=False)
    name: str = ""
    line: int = 1


@dataclass(frozen=True)
class Parsed:
    """A text that is valid here, and where it says what."""

    entries: tuple[PolicyEntry, ...]
    doubts: tuple[ConfigProblem, ...]
    document: Document = field(repr=False)


BLANK: Mapping[str, Any] = PolicyEntry(repositories=("x",)).model_dump(mode="json")


def parse_policies(text: str, name: str, named: Signers, segments: int | None = None) -> Parsed:
    """Return the policies in this text, which name `named`. `name` is for messages.

    `segments` bounds what all patterns have together, and with it what else the text may hold. Raises ConfigError with
    a `name:line:column: path: ...` line for each problem, as a configuration would.
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


VALUES_EACH = 20  # settings, names and lists in a text for each part of a pattern that it may have


def _besides(document: Document, named: Signers) -> list[ConfigProblem]:
    """Return what is wrong when this is something else than `policies` alone."""
    if not isinstance(document.data, dict):
        return [
            ConfigProblem(document.mark(()), (), f"found {describe(document.data)}; allowed: a mapping with `{NAME}`")
        ]
    text = f"found a setting besides `{NAME}`; it has its place in {named.path}"
    return [ConfigProblem(document.mark((key,), key=True), (key,), text) for key in document.data if key != NAME]


def in_the_file(settings: Settings) -> PolicyFile:
    """Return the policies of the configuration file."""
    text, line = settings.section
    canonical, written = settings.policy_text(), written_of(settings.file.policies)
    return PolicyFile(text, settings.policies, canonical, written, str(settings.path), max(line, 1))


def written_of(entries: tuple[PolicyEntry, ...]) -> str:
    """Return policies as JSON, as a file writes them, defaults written out."""
    return json.dumps([entry.model_dump(mode="json") for entry in entries], separators=(",", ":"))


def policies_of(canonical: str) -> PolicySet:
    """Return the policies that this canonical JSON is of."""
    return policy_set(canonical, tuple(map(_policy, json.loads(canonical))))


def _policy(raw: dict[str, Any]) -> Policy:
    push, pull = raw.pop("push"), raw.pop("pull")
    clauses = tuple(Clause(tuple(clause["signed_by"]), clause["at_least"]) for clause in pull.pop("require"))
    after = pull.pop("enforce_after")
    return Policy(
        push=PushRules(**_tuples(push)),
        pull=PullRules(
            require=clauses, enforce_after=None if after is None else datetime.fromisoformat(after), **_tuples(pull)
        ),
        **_tuples(raw),
    )


def _tuples(raw: dict[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in raw.items()}
