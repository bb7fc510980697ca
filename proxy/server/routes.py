"""The routes about the running server as a whole, and the route that signs an existing image."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field

from proxy.admin.operation import ROOT, Route, Scope
from proxy.admin.shapes import Line, Why
from proxy.journal.problem import ProblemId, Severity
from proxy.trust.keys import KeyState
from proxy.trust.roles import Permission


class KeyStatus(BaseModel, strict=True, extra="forbid", frozen=True):
    """A key, in short."""

    profile: str
    state: KeyState
    algorithm: str
    since: datetime


class Soon(BaseModel, strict=True, extra="forbid", frozen=True):
    """Something that is set to happen to a key."""

    what: str = Field(description="rotate, activate, retire, stops signing")
    at: datetime
    profile: str
    token: str
    key: str = Field(description="fingerprint of the key it happens to")
    says: str = Field(description="the same for people")


class Warned(BaseModel, strict=True, extra="forbid", frozen=True):
    """Something that ends before long."""

    what: str
    at: datetime = Field(description="when it ends")
    next: str = Field(description="what to do in time")


class Trouble(BaseModel, strict=True, extra="forbid", frozen=True):
    """Something that does not work."""

    id: ProblemId = Field(description="what kind of problem it is")
    severity: Severity = Field(description="error where it stops something, else warning")
    what: str
    since: str = Field(default="", description="since when; empty where that is not known")
    stops: str = Field(description="what does not work for as long")
    next: str = Field(description="the next command")
    about: str = Field(default="", description="tells it from others of its kind: a token, a key, an exception")
    server: str = Field(default="", description="the server that has it; empty: all that share the store")
    repository: str = Field(default="", description="the one repository it is about; empty: more, or none")


class Status(BaseModel, strict=True, extra="forbid", frozen=True):
    """Whether everything works."""

    name: str
    url: str
    started: datetime
    pid: int
    policy_revision: str
    policies_from: Literal["file", "api"] = Field(description="where the policies in force come from")
    policies_number: int | None = Field(default=None, description="their revision there; null for the file's")
    key_revision: str
    keys: tuple[KeyStatus, ...]
    soon: tuple[Soon, ...] = Field(description="what is announced of keys, the soonest first")
    warnings: tuple[Warned, ...] = Field(description="what ends within 60, 30 or 7 days, the soonest first")
    problems: tuple[Trouble, ...]


class Reloaded(BaseModel, strict=True, extra="forbid", frozen=True):
    """What reading the configuration again came to."""

    reloaded: bool
    why: str | None = Field(description="why it was refused; what was in force before still is")
    policies: str = Field(description="which policies are in force, and from where")


class SignRequest(Why, strict=True, extra="forbid", frozen=True):
    """An image to sign that is upstream already."""

    ref: Line = Field(description="repo[:tag|@digest]")


class SignatureShown(BaseModel, strict=True, extra="forbid", frozen=True):
    """One signature that was made."""

    digest: str
    format: str
    bound: str
    key: str


class SignedShown(BaseModel, strict=True, extra="forbid", frozen=True):
    """What was signed."""

    digest: str
    signatures: tuple[SignatureShown, ...]


ROUTES: tuple[Route, ...] = (
    Route(
        "status", "GET", f"{ROOT}/status", Permission.STATUS, "Whether everything works.", Status,
        scope=Scope.NEUTRAL,
    ),
    Route(
        "reload", "POST", f"{ROOT}/reload", Permission.RELOAD,
        "Read the configuration again; a broken one changes nothing.", Reloaded,
    ),
    Route(
        "sign", "POST", f"{ROOT}/sign", Permission.SIGN,
        "Sign an image that is upstream already.", SignedShown, body=SignRequest,
        scope=Scope.ONE,
    ),
)  # fmt: skip
