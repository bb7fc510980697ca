"""Routes about policies, with their request and response types."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, StringConstraints

from proxy.admin.operation import ROOT, Route, Scope
from proxy.admin.shapes import NOT_KEPT, Line, Name, Page, Why
from proxy.jobs.operations import JobShown
from proxy.policies.impact import Effect, PullVerdict
from proxy.policies.revision import TEXT_BYTES
from proxy.trust.roles import Permission

_Text = Annotated[str, StringConstraints(max_length=TEXT_BYTES)]
Text = Annotated[_Text, NOT_KEPT]
_NAME = Field(default="policies.yaml", description="what to call the text in messages, such as its file")
_TEXT = Field(description="a file with the one setting `policies`, as YAML")
_BASE = Field(ge=0, description="number of the revision this was made from; another one in force is a conflict (409)")


class HistoryPage(Page, strict=True, extra="forbid", frozen=True):
    """Which part of the history."""

    limit: int = Field(default=50, ge=1, le=100, description="rows, at most")


class Between(BaseModel, strict=True, extra="forbid", frozen=True):
    """Two revisions."""

    old: int = Field(ge=1, le=999_999_999, description="number of a revision")
    new: int = Field(ge=1, le=999_999_999, description="number of another")


class ApplyRequest(Why, strict=True, extra="forbid", frozen=True):
    """Policies to put in force."""

    text: Text = _TEXT
    name: Name = _NAME
    base: int = _BASE


class RevertRequest(Why, strict=True, extra="forbid", frozen=True):
    """An older revision to put in force again."""

    base: int = _BASE


class Candidate(BaseModel, strict=True, extra="forbid", frozen=True):
    """Policies to look at; without a text, those in force."""

    text: Annotated[_Text | None, NOT_KEPT] = Field(
        default=None, description="as `policies.yaml`; null: the policies in force"
    )
    name: Name = _NAME


class ImageRequest(Candidate, strict=True, extra="forbid", frozen=True):
    """An image to judge."""

    ref: Line = Field(description="repo[:tag|@digest]")


class PlanRequest(BaseModel, strict=True, extra="forbid", frozen=True):
    """Policies to try on what was pulled."""

    text: Text = _TEXT
    name: Name = _NAME
    days: int = Field(default=7, ge=1, le=90, description="how far back to look for pulls")
    limit: int = Field(default=1000, ge=1, le=1000, description="images, at most; the newest")


class LongPlanRequest(PlanRequest, strict=True, extra="forbid", frozen=True):
    """The same on more of it than can be waited for."""

    limit: int = Field(default=10_000, ge=1, le=100_000, description="images, at most; the newest")


class RevisionLine(BaseModel, strict=True, extra="forbid", frozen=True):
    """A revision, without its text."""

    number: int
    hash: str = Field(description="of all of it; the next one names it as its parent")
    parent: str
    policies: str = Field(description="the policy revision that decisions name")
    at: datetime
    by: str
    how: str
    reason: str


class RevisionShown(RevisionLine, strict=True, extra="forbid", frozen=True):
    """A revision."""

    text: str


class History(BaseModel, strict=True, extra="forbid", frozen=True):
    """A page of revisions, newest first."""

    items: tuple[RevisionLine, ...]
    next: int | None = Field(description="`skip` of the next page; null on the last")


class PoliciesShown(BaseModel, strict=True, extra="forbid", frozen=True):
    """The policies in force."""

    source: Literal["file", "api"] = Field(description="where they are changed")
    path: str = Field(description="the configuration file")
    policies: str = Field(description="the policy revision that decisions name")
    revision: RevisionLine | None = Field(description="null where they are those of the file")
    text: str


class SettingChanged(BaseModel, strict=True, extra="forbid", frozen=True):
    """One setting, as it was and as it is."""

    setting: str
    old: Any
    new: Any


class PolicyChanged(BaseModel, strict=True, extra="forbid", frozen=True):
    """What became of one policy."""

    repositories: tuple[str, ...]
    change: Literal["added", "removed", "changed"]
    settings: tuple[SettingChanged, ...]


class Difference(BaseModel, strict=True, extra="forbid", frozen=True):
    """What is different, by policy and setting."""

    changes: tuple[PolicyChanged, ...]
    lines: tuple[str, ...] = Field(description="the same for people")


class Applied(BaseModel, strict=True, extra="forbid", frozen=True):
    """What is in force now."""

    changed: bool = Field(description="false: this very text was in force already, and nothing was done")
    revision: RevisionLine


class LintFindingShown(BaseModel, strict=True, extra="forbid", frozen=True):
    """One thing that is wrong, or probably not meant."""

    level: Literal["error", "warning", "note"]
    code: str
    where: str = Field(description="the setting")
    line: int | None = Field(description="in the text; null where it stands elsewhere")
    text: str


class Linted(BaseModel, strict=True, extra="forbid", frozen=True):
    """Everything found."""

    findings: tuple[LintFindingShown, ...]


class Tested(BaseModel, strict=True, extra="forbid", frozen=True):
    """What a pull would get."""

    allowed: bool
    outcome: Literal["passed", "failed", "inconclusive"]
    decision: dict[str, Any]
    text: str = Field(description="the same for people")


class VerdictShown(BaseModel, strict=True, extra="forbid", frozen=True):
    """What a pull gets."""

    standing: PullVerdict
    reason: str
    detail: str


class ImageShown(BaseModel, strict=True, extra="forbid", frozen=True):
    """An image that was pulled, under both."""

    repository: str
    reference: str
    digest: str
    effect: Effect
    pulls: int
    last: datetime
    before: VerdictShown
    after: VerdictShown


class Impact(BaseModel, strict=True, extra="forbid", frozen=True):
    """What the policies would change for what was pulled."""

    base: int = Field(description="number of the revision in force, to apply them to; 0: those of the file")
    difference: Difference
    since: datetime
    examined: int
    more: bool = Field(description="whether more was pulled than was examined")
    counts: dict[Effect, int]
    images: tuple[ImageShown, ...] = Field(
        description="those for which something changes, or nobody knows; of a job the first 100, what is blocked first"
    )


def _try(name: str, says: str, gives: type[BaseModel], body: type[BaseModel], reach: Scope = Scope.WHOLE) -> Route:
    path = f"{ROOT}/policies/{name}"
    may = Permission.POLICIES if name == "lint" else Permission.TRY_POLICIES
    return Route(f"{name}_policies", "POST", path, may, says, gives, body=body, body_bytes=_BYTES, scope=reach)


_BYTES = 2 * TEXT_BYTES + 64 * 1024  # a line break is two bytes in JSON

ROUTES: tuple[Route, ...] = (
    Route("policies", "GET", f"{ROOT}/policies", Permission.POLICIES, "The policies in force.", PoliciesShown),
    Route(
        "apply_policies", "POST", f"{ROOT}/policies", Permission.CHANGE_POLICIES,
        "Put these policies in force, as a new revision.", Applied, body=ApplyRequest, plans=True, body_bytes=_BYTES,
        dual_control=True,
    ),
    Route(
        "policy_history", "GET", f"{ROOT}/policies/revisions", Permission.POLICIES,
        "Every revision there was, newest first.", History, HistoryPage,
    ),
    Route(
        "policy_revision", "GET", f"{ROOT}/policies/revisions/{{number}}", Permission.POLICIES,
        "One revision, whole.", RevisionShown,
    ),
    Route(
        "revert_policies", "POST", f"{ROOT}/policies/revisions/{{number}}/revert", Permission.CHANGE_POLICIES,
        "Put an older revision in force again, as a new one.", Applied, body=RevertRequest, plans=True,
        dual_control=True,
    ),
    Route(
        "policy_difference", "GET", f"{ROOT}/policies/diff", Permission.POLICIES,
        "What is different between two revisions.", Difference, Between,
    ),
    _try("lint", "What policies say and cannot mean.", Linted, Candidate),
    _try("test", "What a pull of an image would get.", Tested, ImageRequest, Scope.ONE),
    _try("plan", "Judge again what was pulled, under other policies.", Impact, PlanRequest),
    Route(
        "plan_policies_job", "POST", f"{ROOT}/policies/plan/job", Permission.TRY_POLICIES,
        "The same in a job, whose result is the answer.", JobShown, body=LongPlanRequest, status=202, body_bytes=_BYTES,
    ),
)  # fmt: skip
