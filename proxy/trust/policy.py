"""A repository's requirements: frozen values from the configuration, never from the image being judged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from typing import Literal

from proxy.oci.reference import Repository
from proxy.trust.pattern import covers, matches, specificity
from proxy.trust.requirement import MODES, Mode, Requirement, mode_at

Blobs = Literal["strict", "open"]
COSIGN = ("cosign-simple", "sigstore-bundle")  # serves every version of cosign
FORMATS = (*COSIGN, "notation-jws", "notation-cose")
CLAIMS = ("pusher", "time")
REMEMBERED = 10_000


@dataclass(frozen=True)
class Clause:
    """At least `at_least` distinct keys (by SPKI) out of these names must have signed."""

    signed_by: tuple[str, ...]
    at_least: int = 1


@dataclass(frozen=True)
class PushRules:
    """The rules of a push: who may push, which keys sign in which formats, which tags never move."""

    sign_with: tuple[str, ...] = ()
    formats: tuple[str, ...] = COSIGN
    claims: tuple[str, ...] = ()
    immutable_tags: tuple[str, ...] = ()
    allow: tuple[str, ...] = ("*",)


@dataclass(frozen=True)
class PullRules:
    """The requirements of a pull. Every clause must hold; an empty list of clauses blocks every pull."""

    mode: Mode = "enforce"
    enforce_after: datetime | None = None
    require: tuple[Clause, ...] = ()
    blobs: Blobs = "strict"
    reviewers: tuple[str, ...] = ()
    head_on_denied: bool = False
    trust_ledger: bool = False

    def mode_at(self, now: datetime) -> Mode:
        """Return the mode of the signatures at this moment: `enforce_after` turns warn into enforce."""
        return mode_at(self.mode, self.enforce_after, now)


@dataclass(frozen=True)
class Policy:
    """One policy: its repository patterns, and the contact for a blocked caller."""

    repositories: tuple[str, ...]
    push: PushRules = field(default_factory=PushRules)
    pull: PullRules = field(default_factory=PullRules)
    contact: str | None = None
    owner: str | None = None
    help_url: str | None = None
    beside: tuple[Requirement, ...] = ()  # the requirements besides `pull.require`

    def modes_at(self, now: datetime) -> tuple[Mode, ...]:
        """Return the mode of each requirement at this moment."""
        return self.fixed_modes or tuple([mode_at(mode, after, now) for mode, after in self._modes])

    @cached_property
    def _modes(self) -> tuple[tuple[Mode, datetime | None], ...]:
        beside = tuple((each.mode, each.enforce_after) for each in self.beside)
        return beside if beside and not self.pull.require else ((self.pull.mode, self.pull.enforce_after), *beside)

    @cached_property
    def fixed_modes(self) -> tuple[Mode, ...] | None:
        """The modes, if no moment changes one of them: every warm pull asks for them."""
        return None if any(after for _, after in self._modes) else tuple(mode for mode, _ in self._modes)

    def mode_at(self, now: datetime) -> Mode:
        """Return the strongest mode of the requirements at this moment."""
        return max(self.modes_at(now), key=MODES.index)


@dataclass(frozen=True)
class PolicySet:
    """All policies at one revision; `revision` is the hash of their full text."""

    revision: str
    policies: tuple[Policy, ...]
    _found: dict[Repository, Policy | None] = field(default_factory=dict, compare=False, repr=False)

    def for_(self, repository: Repository) -> Policy | None:
        """Return the policy with the most specific matching pattern, or None: then everything is denied."""
        if repository not in self._found:
            if len(self._found) >= REMEMBERED:
                self._found.clear()
            self._found[repository] = self._best(repository)
        return self._found[repository]

    def _best(self, repository: Repository) -> Policy | None:
        near = (*self._by_first.get(repository.partition("/")[0], ()), *self._by_first.get("*", ()))
        fitting = ((specificity(p), -position) for position, p in near if matches(p, repository))
        best = max(fitting, default=None)  # of two as specific as each other, the first
        return self.policies[-best[1]] if best else None

    @cached_property
    def _by_first(self) -> Mapping[str, list[tuple[int, str]]]:
        """The patterns, each with the position of its policy, by their first segment; `*`: it has a wildcard."""
        found: dict[str, list[tuple[int, str]]] = {}
        for position, policy in enumerate(self.policies):
            for pattern in policy.repositories:
                first = pattern.partition("/")[0]
                found.setdefault("*" if "*" in first else first, []).append((position, pattern))
        return found


def outside(scope: Sequence[str], old: PolicySet, new: PolicySet) -> list[str]:
    """Return the patterns with another policy than before that are not within the scope; without a scope, none.

    No pattern is in two policies, and of two that match a name one is more specific: for all names outside the scope
    the same policy stays in force.
    """
    before, after = _by_pattern(old), _by_pattern(new)
    changed = sorted(each for each in {*before, *after} if before.get(each) != after.get(each))
    return [each for each in changed if not any(covers(wide, each) for wide in scope)] if scope else []


def _by_pattern(policies: PolicySet) -> dict[str, Policy]:
    return {p: replace(policy, repositories=()) for policy in policies.policies for p in policy.repositories}
