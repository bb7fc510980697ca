"""Settings of other people's keys whose signatures count."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from proxy.config.values import PublicKey


class TrustEntry(BaseModel, strict=True, extra="forbid", frozen=True):
    """Somebody else's key whose signatures count."""

    public_key: PublicKey = Field(description="PEM file, or the PEM text itself")
    identity: Literal["any", "repository", "exact"] = Field(
        default="any", description="what the signed identity must be: any, this repository, or exactly this reference"
    )
