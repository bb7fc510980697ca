"""Settings of policies: the demands of repositories."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from proxy.config.values import (
    Line,
    Link,
    Moment,
    Name,
    Pattern,
    TagPattern,
)

PoliciesFrom = Literal["file", "api"]


class ClauseEntry(BaseModel, strict=True, extra="forbid", frozen=True):
    """One requirement of a pull."""

    signed_by: tuple[Name, ...] = Field(min_length=1, description="names from `keys` and `trust`")
    at_least: int = Field(default=1, ge=1, description="how many different keys of them must have signed")


class PushEntry(BaseModel, strict=True, extra="forbid", frozen=True):
    """What happens to a push."""

    sign_with: tuple[Name, ...] = Field(default=(), description="names from `keys`; empty: pushes are not signed")
    formats: tuple[Literal["cosign-simple", "sigstore-bundle", "notation-jws", "notation-cose"], ...] = Field(
        default=("cosign-simple", "sigstore-bundle"),
        description="how signatures are written; these two serve all cosign versions, `notation-jws` and "
        "`notation-cose` notation, as soon as the key has certificates",
    )
    claims: tuple[Literal["pusher", "time"], ...] = Field(
        default=(), description="what is signed along: who pushed, and when"
    )
    immutable_tags: tuple[TagPattern, ...] = Field(
        default=(), description="tags that are never moved or deleted once pushed, nor what they need, * allowed"
    )
    allow: tuple[Line, ...] = Field(
        default=("*",), description="proven names that may push and delete, * allowed; upstream decides too"
    )


class PullEntry(BaseModel, strict=True, extra="forbid", frozen=True):
    """What a pull must satisfy."""

    mode: Literal["enforce", "warn", "off"] = Field(default="enforce", description="block, only warn, or do not look")
    enforce_after: Moment | None = Field(
        default=None, description="from this moment `warn` is `enforce`; a date or a time"
    )
    require: tuple[ClauseEntry, ...] = Field(
        default=(), description="every clause must hold; an empty list allows nobody"
    )
    blobs: Literal["strict", "open"] = Field(
        default="strict", description="serve layers of allowed images only, or all layers"
    )
    reviewers: tuple[Line, ...] = Field(
        default=(), description="proven names that may pull what is blocked, to examine it"
    )
    head_on_denied: Literal["deny", "allow"] = Field(
        default="deny", description="answer HEAD of a blocked image; with `allow`, cached images start unchecked"
    )
    trust_ledger: bool = Field(
        default=False,
        description="let count what our ledger says we signed before the moment a key is compromised since",
    )


class PolicyEntry(BaseModel, strict=True, extra="forbid", frozen=True):
    """What a set of repositories demands. The most specific pattern wins."""

    repositories: tuple[Pattern, ...] = Field(
        min_length=1, description="patterns: * within a segment, ** for any number of segments"
    )
    contact: Line | None = Field(default=None, description="whom a blocked person should ask")
    owner: Line | None = Field(default=None, description="who answers for this policy")
    help_url: Link | None = Field(default=None, description="a page of yours; refusals show it, like `contact`")
    push: PushEntry = Field(default_factory=PushEntry, description="what happens to a push")
    pull: PullEntry = Field(default_factory=PullEntry, description="what a pull must satisfy")


class PolicyPart(BaseModel, strict=True, extra="forbid", frozen=True):
    """The policies by themselves, as they are given to the admin API."""

    policies: tuple[PolicyEntry, ...] = Field(description="what repositories demand; none of them: all is closed")
