"""Settings of the proxy's surroundings: secrets, upstream, the store, outgoing requests."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, Field, field_validator, model_validator

from proxy.config.certificates import Certificates
from proxy.config.values import (
    ExistingFile,
    FilePath,
    Line,
    Link,
    Name,
    Origin,
    StoreUrl,
    Variable,
)


class Password(BaseModel, strict=True, extra="forbid", frozen=True):
    """The source of a password; exactly one of the settings."""

    file: FilePath | None = Field(default=None, description="a file that contains it, one line")
    env: Variable | None = Field(default=None, description="the environment variable that holds it")

    @property
    def credential(self) -> str | None:
        """None: a password cannot name a systemd credential; LoadCredential provides it as a file."""
        return None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.file is None) == (self.env is None):
            raise ValueError("exactly one of: file, env")
        return self


class Pin(BaseModel, strict=True, extra="forbid", frozen=True):
    """The source of a PIN; exactly one of the settings."""

    file: FilePath | None = Field(default=None, description="a file that contains it, one line")
    env: Variable | None = Field(default=None, description="the environment variable that holds it")
    credential: Name | None = Field(default=None, description="the systemd credential (LoadCredential=) that holds it")

    @model_validator(mode="after")
    def _one(self) -> Self:
        if [self.file, self.env, self.credential].count(None) != 2:
            raise ValueError("exactly one of: file, env, credential")
        return self


class Credentials(BaseModel, strict=True, extra="forbid", frozen=True):
    """Our own account upstream, for requests without a caller."""

    username: Line = Field(description="the account's name")
    password: Password = Field(description="the source of its password: {file: PATH} or {env: NAME}")


class Upstream(BaseModel, strict=True, extra="forbid", frozen=True):
    """The registry behind the proxy."""

    name: Name = Field(description="its name in messages and metrics")
    prefix: str = Field(default="", description='repositories it serves; for now only "", which is all of them')
    url: Origin = Field(description="scheme, host and port of the registry")
    callers: str = Field(
        default="passthrough", description="whose credentials reach it; for now only `passthrough`, the caller's own"
    )
    realms: tuple[Origin, ...] = Field(
        default=(), description="further origins that may issue its tokens, such as https://auth.example.com"
    )
    blob_origins: tuple[Origin, ...] = Field(
        default=(), description="object storage that it redirects to; signatures may be read from there"
    )
    upload_origins: tuple[Origin, ...] = Field(
        default=(), description="further origins that it may send uploads to; they get bytes and never a password"
    )
    referrers: Literal["auto", "api", "none"] = Field(
        default="auto",
        description="whether it has the referrers API: auto: probe it; none: use the fallback tag",
    )
    credentials: Credentials | None = Field(default=None, description="our own account, for requests without a caller")
    ca_file: ExistingFile | None = Field(default=None, description="PEM file with the CAs of its certificate")
    client_cert: ExistingFile | None = Field(
        default=None, description="PEM file with our client certificate and its key"
    )

    @field_validator("prefix")
    @classmethod
    def _all_repositories(cls, value: str) -> str:
        if value:
            raise ValueError('allowed: "" only; for now one upstream serves all repositories')
        return value

    @field_validator("callers")
    @classmethod
    def _their_own(cls, value: str) -> str:
        if value != "passthrough":
            raise ValueError("allowed: passthrough only; for now callers bring credentials of their own")
        return value


class Store(BaseModel, strict=True, extra="forbid", frozen=True):
    """The database of the ledger, facts, key book and journal."""

    url: StoreUrl = Field(
        default="sqlite:///countersign.db", repr=False, description="sqlite:///FILE or postgresql://HOST/DATABASE",
        validate_default=True,
    )  # fmt: skip


class Outbound(BaseModel, strict=True, extra="forbid", frozen=True):
    """Rules for requests to timestamp authorities and for revocation lists."""

    allow: tuple[Line, ...] = Field(
        default=(), description="HOST or HOST:PORT that may be contacted although it is this host or on its link"
    )
    ca_file: ExistingFile | None = Field(
        default=None, description="PEM file with CAs of their HTTPS certificates, besides the system's"
    )


class Timestamps(BaseModel, strict=True, extra="forbid", frozen=True):
    """The timestamp authority (RFC 3161) that countersigns our Notary signatures on push."""

    url: Link = Field(description="its URL")
    ca_file: Certificates = Field(
        description="PEM file with its root, or the PEM text: timestamps under other roots are refused"
    )
    required: bool = Field(
        default=False,
        description="refuse a push if it does not answer; else the push goes on without, and that is recorded",
    )
