"""The settings of the configuration file. Their descriptions are the documentation."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field, field_validator

from proxy.config.limits import LimitsEntry
from proxy.config.schema.keys import Algorithm, KeyEntry, Purpose, TokenEntry
from proxy.config.schema.listeners import Admin, ClientCertificate, Server, Tls
from proxy.config.schema.policies import ClauseEntry, PoliciesFrom, PolicyEntry, PolicyPart, PullEntry, PushEntry
from proxy.config.schema.trust import KeylessTrust, KeyTrust, TrustEntry, X509Trust
from proxy.config.schema.world import Credentials, Outbound, Password, Pin, Store, Timestamps, Upstream
from proxy.config.values import Name

__all__ = [
    "Admin",
    "Algorithm",
    "ClauseEntry",
    "ClientCertificate",
    "ConfigFile",
    "Credentials",
    "KeyEntry",
    "KeyTrust",
    "KeylessTrust",
    "Outbound",
    "Password",
    "Pin",
    "PoliciesFrom",
    "PolicyEntry",
    "PolicyPart",
    "PullEntry",
    "Purpose",
    "PushEntry",
    "Server",
    "Store",
    "Timestamps",
    "Tls",
    "TokenEntry",
    "TrustEntry",
    "Upstream",
    "X509Trust",
]


class ConfigFile(BaseModel, strict=True, extra="forbid", frozen=True, title="Countersign configuration"):
    """The whole file."""

    version: Literal[1] = Field(description="the version of this format")
    server: Server = Field(description="the listener that clients talk to")
    admin: Admin = Field(default_factory=Admin, description="the listener for metrics and health")
    upstreams: tuple[Upstream, ...] = Field(description="the registry behind the proxy; for now exactly one")
    store: Store = Field(default_factory=dict, validate_default=True, description="the database")
    tokens: dict[Name, TokenEntry] = Field(default={}, description="PKCS#11 tokens by name")
    keys: dict[Name, KeyEntry] = Field(default={}, description="our keys by name")
    trust: dict[Name, TrustEntry] = Field(
        default={}, description="other people's keys, and CAs that certify others, by name"
    )
    policies_from: PoliciesFrom = Field(
        default="file",
        description="where policies are changed: `file`: in this file; `api`: by revisions (`policies` is the first)",
    )
    policies: tuple[PolicyEntry, ...] = Field(
        default=(), description="the requirements of repositories; a repository without a policy is closed"
    )
    outbound: Outbound = Field(
        default_factory=Outbound, description="rules for requests to servers besides the registry"
    )
    timestamps: Timestamps | None = Field(
        default=None, description="the authority that countersigns our Notary signatures on push"
    )
    limits: LimitsEntry = Field(default_factory=LimitsEntry, description="bounds")  # type: ignore[valid-type]

    @field_validator("version", mode="before")
    @classmethod
    def _whole(cls, value: object) -> object:
        if type(value) is not int:  # in Python, true and 1.0 equal 1
            raise ValueError("allowed: 1")
        return value
