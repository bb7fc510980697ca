"""Settings of policies: the requirements of repositories."""

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
    at_least: int = Field(default=1, ge=1, description="how many different keys among them must have signed")


class PushEntry(BaseModel, strict=True, extra="forbid", frozen=True):
    """The rules of pushes."""

    sign_with: tuple[Name, ...] = Field(default=(), description="names from `keys`; empty: pushes are not signed")
    formats: tuple[Literal["cosign-simple", "sigstore-bundle", "notation-jws", "notation-cose"], ...] = Field(
        default=("cosign-simple", "sigstore-bundle"),
        description="formats of signatures; these two serve all cosign versions, `notation-jws` and "
        "`notation-cose` notation, as soon as the key has certificates",
    )
    claims: tuple[Literal["pusher", "time"], ...] = Field(
        default=(), description="claims signed with the digest: who pushed, and when"
    )
    immutable_tags: tuple[TagPattern, ...] = Field(
        default=(),
        description="tags that never move once pushed; neither they nor what they need is deleted; * allowed",
    )
    allow: tuple[Line, ...] = Field(
        default=("*",), description="proven names that may push and delete, * allowed; upstream must allow it too"
    )


class PullEntry(BaseModel, strict=True, extra="forbid", frozen=True):
    """What a pull must satisfy."""

    mode: Literal["enforce", "warn", "off"] = Field(default="enforce", description="block, only warn, or do not check")
    enforce_after: Moment | None = Field(default=None, description="date or time from which `warn` means `enforce`")
    require: tuple[ClauseEntry, ...] = Field(
        default=(), description="every clause must hold; an empty list allows nobody"
    )
    blobs: Literal["strict", "open"] = Field(
        default="strict", description="serve layers of allowed images only, or all layers"
    )
    reviewers: tuple[Line, ...] = Field(
        default=(), description="proven names that may pull blocked images, to examine them"
    )
    head_on_denied: Literal["deny", "allow"] = Field(
        default="deny", description="answer HEAD of a blocked image; with `allow`, cached images start unchecked"
    )
    trust_ledger: bool = Field(
        default=False,
        description="accept signatures that our ledger dates before the key's compromise",
    )


class PolicyEntry(BaseModel, strict=True, extra="forbid", frozen=True):
    """The requirements of a set of repositories. The most specific pattern wins."""

    repositories: tuple[Pattern, ...] = Field(
        min_length=1, description="patterns: * within a segment, ** for any number of segments"
    )
    contact: Line | None = Field(default=None, description="whom blocked callers should ask")
    owner: Line | None = Field(default=None, description="who is responsible for this policy")
    help_url: Link | None = Field(default=None, description="your own help page; refusals show it, like `contact`")
    push: PushEntry = Field(default_factory=PushEntry, description="what happens to a push")
    pull: PullEntry = Field(default_factory=PullEntry, description="what a pull must satisfy")


class PolicyPart(BaseModel, strict=True, extra="forbid", frozen=True):
    """The policies alone, as sent to the admin API."""

    policies: tuple[PolicyEntry, ...] = Field(
        description="the requirements of repositories; empty: every repository is closed"
    )
