"""Settings of tokens and of our keys on them."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, Field, model_validator

from proxy.config.schema.world import Pin
from proxy.config.values import FilePath, Line, Name, Overlap, Span, Variable
from proxy.trust.schedule import Handover, parse_overlap

Algorithm = Literal["ecdsa-p256", "ecdsa-p384", "rsa-3072", "rsa-4096"]
Purpose = Literal["image", "attestation"]


class TokenEntry(BaseModel, strict=True, extra="forbid", frozen=True):
    """One PKCS#11 token."""

    module: FilePath = Field(description="the PKCS#11 module (.so) of its vendor")
    label: Line | None = Field(default=None, description="the token's label")
    serial: Line | None = Field(
        default=None, description="the token's serial number, instead of its label or beside it"
    )
    pin: Pin = Field(description="the source of its PIN: {file: PATH}, {env: NAME} or {credential: NAME}")
    sessions: int = Field(
        default=2, ge=1, le=256, description="sessions of all servers on one store together, each in a child process"
    )
    environment: dict[Variable, Line] = Field(default={}, description="environment variables the module needs")

    @model_validator(mode="after")
    def _selected(self) -> Self:
        if self.label is None and self.serial is None:
            raise ValueError("label or serial (slot numbers change, so they cannot be used)")
        return self


class KeyEntry(BaseModel, strict=True, extra="forbid", frozen=True):
    """One of our keys, under the name that policies use."""

    algorithm: Algorithm = Field(
        default="ecdsa-p256", description="algorithm of the next key; one that the token cannot use is refused"
    )
    tokens: tuple[Name, ...] = Field(
        min_length=1, description="tokens by name, each with its own key: the first signs, the others stand by"
    )
    label: Line | None = Field(default=None, description="its label on the token, if it differs from its name here")
    purpose: Purpose | None = Field(
        default=None, description="image or attestation; a key named `attestation` is one, every other is for images"
    )
    overlap: Overlap = Field(
        default="none",
        description="how a new key takes over: publish-first:14d, dual-sign:14d, both with a comma, or none",
    )
    retire_after: Span | None = Field(
        default=None,
        description="how long after a new key begins the old one is retired, such as 90d; default: never automatically",
    )
    rotate_every: Span | None = Field(
        default=None, description="age of the active key at which a new one takes over; default: never automatically"
    )
    announce: Span = Field(
        default="14d", validate_default=True, description="how long in advance status and metrics announce a change"
    )

    @property
    def terms(self) -> Handover:
        """The terms under which a new key takes over from the old one."""
        return parse_overlap(self.overlap).with_overrides(retire_after=self.retire_after)

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        first = self.terms.publish_first
        if self.rotate_every is not None and first is not None and first >= self.rotate_every:
            raise ValueError("rotate_every must be longer than publish-first: a key would never begin to sign")
        return self
