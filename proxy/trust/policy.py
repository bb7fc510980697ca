"""A repository's requirements: frozen values from the configuration, never from the image being judged."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from proxy.oci.reference import Repository
from proxy.trust.pattern import matches, specificity

Mode = Literal["enforce", "warn", "off"]
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
        """Return the mode in force at this moment: `enforce_after` turns warn into enforce."""
        if self.mode == "warn" and self.enforce_after is not None and now >= self.enforce_after:
            return "enforce"
        return self.mode


@dataclass(frozen=True)
class Policy:
    """One policy: its repository patterns, and the contact for a blocked caller."""

    repositories: tuple[str, ...]
    push: PushRules = field(default_factory=PushRules)
    pull: PullRules = field(default_factory=PullRules)
    contact: str | None = None
    owner: str | None = None
    help_url: str | None = None


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
        best = max(
            (
                (specificity(p), policy)
                for policy in self.policies
                for p in policy.repositories
                if matches(p, repository)
            ),
            key=lambda pair: pair[0],
            default=None,
        )
        return best[1] if best else None
