"""The request and response types of the operations on policies."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from proxy.admin.operation import Argument, Option
from proxy.admin.paging import Page, Paged
from proxy.admin.shapes import NOT_KEPT, ImageName, Name, PulledBy, Shape, Why
from proxy.jobs.operations import JobShown
from proxy.policies.impact import Effect, PullVerdict
from proxy.policies.revision import TEXT_BYTES


def _in_file(path: Path, *, alone: bool = False) -> Mapping[str, str]:
    from proxy.config.section import policies_in

    return policies_in(path, alone=alone)


_Text = Annotated[str, StringConstraints(max_length=TEXT_BYTES)]
_CANDIDATE = Field(
    default=None, description="a file with the setting `policies`, as YAML; default: the policies in force"
)
_Base = Annotated[int, Option("REVISION", reads="number", first_of="policies/revisions")]
_Number = Annotated[int, Argument("REVISION", reads="number")]
_NAME = Field(default="policies.yaml", description="the name of the text in messages, such as its file")
_TEXT = Field(description="a file with the one setting `policies`, as YAML")
_BASE = Field(
    ge=0, le=999_999_999, description="number of the revision this was made from; refused (409) if another is in force"
)


class HistoryPage(Page, frozen=True):
    """A page of the history."""

    limit: int = Field(default=50, ge=1, le=100, description="maximum number of rows")


class Between(Shape, frozen=True):
    """Two revisions."""

    old: _Number = Field(ge=1, le=999_999_999, description="number of a revision")
    new: _Number = Field(ge=1, le=999_999_999, description="number of the other revision")


class ApplyRequest(Why, frozen=True):
    """Policies to put in force."""

    text: Annotated[_Text, NOT_KEPT, Argument("FILE", file=partial(_in_file, alone=True))] = _TEXT
    name: Name = _NAME
    base: _Base = _BASE


class RevertRequest(Why, frozen=True):
    """An older revision to put in force again."""

    base: _Base = _BASE


class Candidate(Shape, frozen=True):
    """Policies to check; without a text, those in force."""

    text: Annotated[_Text | None, NOT_KEPT, Argument("FILE", file=_in_file)] = _CANDIDATE
    name: Name = _NAME


class ImageRequest(Candidate, frozen=True):
    """An image to judge."""

    text: Annotated[_Text | None, NOT_KEPT, Option("FILE", spelled="--file", file=_in_file)] = _CANDIDATE
    ref: Annotated[ImageName, Argument("REF")] = Field(description="repo[:tag|@digest]")


class PlanRequest(Shape, frozen=True):
    """Policies to try on past pulls."""

    text: Annotated[_Text, NOT_KEPT, Argument("FILE", file=_in_file)] = _TEXT
    name: Name = _NAME
    days: Annotated[int, Option(reads="number")] = Field(
        default=7, ge=1, le=90, description="how far back to look for pulls"
    )
    limit: Annotated[int, Option(reads="number", default=1000)] = Field(
        default=10_000, ge=1, le=100_000, description="maximum number of images; the newest ones"
    )


class RevisionLine(Shape, frozen=True):
    """A revision, without its text."""

    number: int
    hash: str = Field(description="hash of the whole revision; the next one names it as its parent")
    parent: str
    policies: str = Field(description="the policy revision that decisions name")
    at: datetime
    by: str
    how: str
    reason: str


class RevisionShown(RevisionLine, frozen=True):
    """A revision."""

    text: str


class History(Paged, frozen=True):
    """A page of revisions, newest first."""

    items: tuple[RevisionLine, ...]


class PoliciesShown(Shape, frozen=True):
    """The policies in force."""

    source: Literal["file", "api"] = Field(description="where policies are changed")
    path: str = Field(description="the configuration file")
    policies: str = Field(description="the policy revision that decisions name")
    revision: RevisionLine | None = Field(description="null if they are those of the file")
    text: str


class SettingChanged(Shape, frozen=True):
    """One changed setting."""

    setting: str
    old: Any
    new: Any


class PolicyChanged(Shape, frozen=True):
    """The changes of one policy."""

    repositories: tuple[str, ...]
    change: Literal["added", "removed", "changed"]
    settings: tuple[SettingChanged, ...]


class Difference(Shape, frozen=True):
    """Differences, by policy and setting."""

    changes: tuple[PolicyChanged, ...]
    lines: tuple[str, ...] = Field(description="the same as text")


class Applied(Shape, frozen=True):
    """The policies in force after the call."""

    changed: bool = Field(description="false: exactly this text was in force already, and nothing was done")
    revision: RevisionLine


class LintFindingShown(Shape, frozen=True):
    """One mistake, or a probable one."""

    level: Literal["error", "warning", "note"]
    code: str
    where: str = Field(description="the setting")
    line: int | None = Field(description="line in the text; null if it is elsewhere")
    text: str


class Linted(Shape, frozen=True):
    """All findings."""

    findings: tuple[LintFindingShown, ...]


class Tested(Shape, frozen=True):
    """The result that a pull would have."""

    allowed: bool
    outcome: Literal["passed", "failed", "inconclusive"]
    decision: dict[str, Any]
    text: str = Field(description="the same as text")


class VerdictShown(Shape, frozen=True):
    """The result of a pull."""

    standing: PullVerdict
    reason: str
    detail: str


class ImageShown(PulledBy, frozen=True):
    """A pulled image, judged under both sets of policies."""

    repository: str
    reference: str
    digest: str
    effect: Effect
    pulls: int
    last: datetime
    before: VerdictShown
    after: VerdictShown


class Impact(Shape, frozen=True):
    """The effect of the policies on past pulls."""

    base: int = Field(description="number of the revision in force, to apply them to; 0: those of the file")
    difference: Difference
    since: datetime
    examined: int
    more: bool = Field(description="whether more images were pulled than examined")
    counts: dict[Effect, int]
    without_policy: tuple[str, ...] | None = Field(
        description="known repositories that no policy matches any more, the first 100; null: too many to compare"
    )
    without_policy_count: int = Field(description="how many there are")
    images: tuple[ImageShown, ...] = Field(
        description="the first 100 images that change or could not be judged; newly blocked ones first"
    )


class PlanJob(JobShown, frozen=True):
    """A job that tries policies on past pulls."""

    # what a job holds is a dict: until it is done, it is not yet an impact
    result: Impact | dict[str, Any] = Field(description="the impact, once the job is done")  # type: ignore[assignment]
