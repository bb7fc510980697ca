"""Settings of what is asked of the world besides the registry."""

from __future__ import annotations

from pydantic import BaseModel, Field

from proxy.config.certificates import Certificates
from proxy.config.values import ExistingFile, Line, Link


class Outbound(BaseModel, strict=True, extra="forbid", frozen=True):
    """Rules for whatever we ask: timestamp authorities, revocation lists."""

    allow: tuple[Line, ...] = Field(
        default=(), description="HOST or HOST:PORT that may be asked although it is this very host or its link"
    )
    ca_file: ExistingFile | None = Field(
        default=None, description="PEM file with CAs that their HTTPS certificates may come from, beside the system's"
    )


class Timestamps(BaseModel, strict=True, extra="forbid", frozen=True):
    """The timestamp authority (RFC 3161) that countersigns our Notary signatures on push."""

    url: Link = Field(description="where it answers")
    ca_file: Certificates = Field(
        description="PEM file with its root, or the PEM text: others' timestamps are not taken"
    )
    required: bool = Field(
        default=False, description="refuse a push where it does not answer; else it goes on without, and is recorded"
    )
