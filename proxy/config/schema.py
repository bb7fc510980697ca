"""What may be written in the configuration file, setting by setting. The descriptions are the documentation."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, Field, field_validator, model_validator

from proxy.config.limits import LimitsEntry
from proxy.config.values import (
    Address,
    ExistingFile,
    FilePath,
    Line,
    Link,
    Moment,
    Name,
    Network,
    Origin,
    Pattern,
    PublicKey,
    Short,
    StoreUrl,
    TagPattern,
    Variable,
    split_address,
)

Algorithm = Literal["ecdsa-p256", "ecdsa-p384", "rsa-3072", "rsa-4096"]
Purpose = Literal["image", "attestation"]


class Tls(BaseModel, strict=True, extra="forbid", frozen=True):
    """Certificate and key of the public listener; without it the proxy speaks plain HTTP."""

    cert: ExistingFile = Field(description="PEM file with the certificate and its chain")
    key: ExistingFile = Field(description="PEM file with the private key of the certificate")


class Server(BaseModel, strict=True, extra="forbid", frozen=True):
    """The listener that clients talk to."""

    listen: Address = Field(default="127.0.0.1:5000", description="HOST:PORT where clients connect")
    public_urls: tuple[Origin, ...] = Field(
        min_length=1, description="URLs that clients use, the canonical first; signatures are bound to its host"
    )
    tls: Tls | None = Field(default=None, description="serve HTTPS with this certificate; read again on SIGHUP")
    trusted_proxies: tuple[Network, ...] = Field(
        default=(), description="networks of reverse proxies whose X-Forwarded-For counts"
    )
    name: Short = Field(default="countersign", description="what the proxy calls itself in messages to clients")

    @property
    def address(self) -> tuple[str, int]:
        """Host and port to listen on."""
        return split_address(self.listen)

    @property
    def url(self) -> str:
        """The canonical public URL, without a slash at the end."""
        return self.public_urls[0]

    @property
    def hosts(self) -> tuple[str, ...]:
        """Public names, as they stand in image references: host[:port], canonical first."""
        return tuple(dict.fromkeys(url.partition("://")[2] for url in self.public_urls))


class Admin(BaseModel, strict=True, extra="forbid", frozen=True):
    """The listener for metrics, health and the admin API; keep it off the network."""

    listen: Address = Field(default="127.0.0.1:5001", description="HOST:PORT of /metrics, /livez, /readyz, /admin/v1")

    @property
    def address(self) -> tuple[str, int]:
        """Host and port to listen on."""
        return split_address(self.listen)


class Password(BaseModel, strict=True, extra="forbid", frozen=True):
    """Where a password is; exactly one of the settings."""

    file: FilePath | None = Field(default=None, description="a file that holds it, one line")
    env: Variable | None = Field(default=None, description="the environment variable that holds it")

    @property
    def credential(self) -> str | None:
        """Passwords are not taken from systemd credentials by name; LoadCredential makes them a file."""
        return None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.file is None) == (self.env is None):
            raise ValueError("exactly one of: file, env")
        return self


class Pin(BaseModel, strict=True, extra="forbid", frozen=True):
    """Where a PIN is; exactly one of the settings."""

    file: FilePath | None = Field(default=None, description="a file that holds it, one line")
    env: Variable | None = Field(default=None, description="the environment variable that holds it")
    credential: Name | None = Field(default=None, description="the systemd credential (LoadCredential=) that holds it")

    @model_validator(mode="after")
    def _one(self) -> Self:
        if [self.file, self.env, self.credential].count(None) != 2:
            raise ValueError("exactly one of: file, env, credential")
        return self


class Credentials(BaseModel, strict=True, extra="forbid", frozen=True):
    """Our own account upstream, for work that no caller asked for."""

    username: Line = Field(description="the account's name")
    password: Password = Field(description="where its password is: {file: PATH} or {env: NAME}")


class Upstream(BaseModel, strict=True, extra="forbid", frozen=True):
    """The registry behind the proxy."""

    name: Name = Field(description="what messages and metrics call it")
    prefix: str = Field(default="", description='repositories it serves; for now only "", which is all of them')
    url: Origin = Field(description="scheme, host and port of the registry")
    callers: str = Field(
        default="passthrough", description="whose credentials reach it; for now only `passthrough`, the caller's own"
    )
    realms: tuple[Origin, ...] = Field(
        default=(), description="further origins that may issue its tokens, such as https://auth.example.com"
    )
    blob_origins: tuple[Origin, ...] = Field(
        default=(), description="object storage that it redirects to, from where signatures may be read"
    )
    credentials: Credentials | None = Field(
        default=None, description="our own account, for work that no caller asked for"
    )
    ca_file: ExistingFile | None = Field(
        default=None, description="PEM file with the CAs that its certificate may come from"
    )
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
    """Where ledger, facts, key book and journal are kept."""

    url: StoreUrl = Field(
        default="sqlite:///countersign.db", repr=False, description="sqlite:///FILE or postgresql://HOST/DATABASE",
        validate_default=True,
    )  # fmt: skip


class TokenEntry(BaseModel, strict=True, extra="forbid", frozen=True):
    """One PKCS#11 token."""

    module: FilePath = Field(description="the PKCS#11 module (.so) of its vendor")
    label: Line | None = Field(default=None, description="the token's label")
    serial: Line | None = Field(
        default=None, description="the token's serial number, instead of its label or beside it"
    )
    pin: Pin = Field(description="where its PIN is: {file: PATH}, {env: NAME} or {credential: NAME}")
    sessions: int = Field(default=2, ge=1, le=256, description="child processes, each with one session")
    environment: dict[Variable, Line] = Field(default={}, description="environment variables the module needs")

    @model_validator(mode="after")
    def _selected(self) -> Self:
        if self.label is None and self.serial is None:
            raise ValueError("label or serial (slot numbers change, so they cannot be used)")
        return self


class KeyEntry(BaseModel, strict=True, extra="forbid", frozen=True):
    """One of our keys, under the name that policies use."""

    algorithm: Algorithm = Field(
        default="ecdsa-p256", description="kind of key; what the token cannot do is refused at start"
    )
    tokens: tuple[Name, ...] = Field(min_length=1, description="tokens that hold it, by name; the first one signs")
    label: Line | None = Field(default=None, description="its label on the token, when that is not its name here")
    purpose: Purpose | None = Field(
        default=None, description="image or attestation; a key named `attestation` is one, every other is for images"
    )


class TrustEntry(BaseModel, strict=True, extra="forbid", frozen=True):
    """Somebody else's key whose signatures count."""

    public_key: PublicKey = Field(description="PEM file, or the PEM text itself")
    identity: Literal["any", "repository", "exact"] = Field(
        default="any", description="what the signed identity must be: any, this repository, or exactly this reference"
    )


class ClauseEntry(BaseModel, strict=True, extra="forbid", frozen=True):
    """One requirement of a pull."""

    signed_by: tuple[Name, ...] = Field(min_length=1, description="names from `keys` and `trust`")
    at_least: int = Field(default=1, ge=1, description="how many different keys of them must have signed")


class PushEntry(BaseModel, strict=True, extra="forbid", frozen=True):
    """What happens to a push."""

    sign_with: tuple[Name, ...] = Field(default=(), description="names from `keys`; empty: pushes are not signed")
    formats: tuple[Literal["cosign-simple", "sigstore-bundle"], ...] = Field(
        default=("cosign-simple", "sigstore-bundle"),
        description="how signatures are written; both serve all cosign versions",
    )
    claims: tuple[Literal["pusher", "time"], ...] = Field(
        default=(), description="what is signed along: who pushed, and when"
    )
    immutable_tags: tuple[TagPattern, ...] = Field(
        default=(), description="tags that are never moved or deleted once pushed, * allowed"
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


class PolicyEntry(BaseModel, strict=True, extra="forbid", frozen=True):
    """What a set of repositories demands. The most specific pattern wins."""

    repositories: tuple[Pattern, ...] = Field(
        min_length=1, description="patterns: * within a segment, ** for any number of segments"
    )
    contact: Line | None = Field(default=None, description="whom a blocked person should ask")
    owner: Line | None = Field(default=None, description="who answers for this policy")
    help_url: Link | None = Field(default=None, description="a page of yours, shown to whoever is blocked")
    push: PushEntry = Field(default_factory=PushEntry, description="what happens to a push")
    pull: PullEntry = Field(default_factory=PullEntry, description="what a pull must satisfy")


class ConfigFile(BaseModel, strict=True, extra="forbid", frozen=True, title="Countersign configuration"):
    """The whole file."""

    version: Literal[1] = Field(description="the version of this format")
    server: Server = Field(description="the listener that clients talk to")
    admin: Admin = Field(default_factory=Admin, description="the listener for metrics and health")
    upstreams: tuple[Upstream, ...] = Field(description="the registry behind the proxy; for now exactly one")
    store: Store = Field(default_factory=dict, validate_default=True, description="where the record is kept")
    tokens: dict[Name, TokenEntry] = Field(default={}, description="PKCS#11 tokens by name")
    keys: dict[Name, KeyEntry] = Field(default={}, description="our keys by name")
    trust: dict[Name, TrustEntry] = Field(default={}, description="other people's keys by name")
    policies: tuple[PolicyEntry, ...] = Field(
        default=(), description="what repositories demand; a repository without a policy is closed"
    )
    limits: LimitsEntry = Field(default_factory=LimitsEntry, description="bounds")  # type: ignore[valid-type]

    @field_validator("version", mode="before")
    @classmethod
    def _whole(cls, value: object) -> object:
        if type(value) is not int:  # to Python, true and 1.0 are 1
            raise ValueError("allowed: 1")
        return value
