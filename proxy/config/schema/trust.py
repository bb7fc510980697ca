"""Settings of other people whose signatures count: a key, or whoever an authority certifies."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Discriminator, Field, Tag

from proxy.config.certificates import Certificates, ListSource, SubjectName
from proxy.config.keyless import ExactLine, TrustedRoot
from proxy.config.values import Line, PublicKey

TAG = "kind:"  # how a kind stands in the places pydantic names


class KeyTrust(BaseModel, strict=True, extra="forbid", frozen=True):
    """Somebody else's key whose signatures count."""

    kind: Literal["key"] = Field(
        default="key", description="what is trusted: `key`, a public key; `x509`, a CA; `keyless`, an issuer"
    )
    public_key: PublicKey = Field(description="PEM file, or the PEM text itself")
    identity: Literal["any", "repository", "exact"] = Field(
        default="any", description="what the signed identity must be: any, this repository, or exactly this reference"
    )


class X509Trust(BaseModel, strict=True, extra="forbid", frozen=True):
    """An authority: signatures of Notary formats count when it certifies whoever made them."""

    kind: Literal["x509"] = Field(description="what is trusted: `x509`, certificates that a CA issued")
    ca_file: Certificates = Field(description="with `kind: x509`: PEM file with the CA's certificates, or the PEM text")
    identities: tuple[SubjectName, ...] = Field(
        min_length=1,
        description="with `kind: x509`: subjects it may certify, `C=.., ST=.., O=..` each exactly, or `*` for all; "
        "with `kind: keyless`: mail addresses or URIs in the certificate, each exactly",
    )
    tsa_ca_file: Certificates | None = Field(
        default=None,
        description="with `kind: x509`: PEM file with the roots of timestamp authorities (RFC 3161), or the PEM text: "
        "a signature they prove to be from before its certificate ended still counts",
    )
    crl: tuple[ListSource, ...] = Field(
        default=(),
        max_length=16,
        description="with `kind: x509`: files and URLs of revocation lists, one for each CA below `ca_file` and itself",
    )
    crl_unavailable: Literal["deny", "allow"] = Field(
        default="deny", description="with `kind: x509`: what holds where the lists cannot say whether one is revoked"
    )


class KeylessTrust(BaseModel, strict=True, extra="forbid", frozen=True):
    """Whoever an issuer names: bundles that cosign made without a key count when they verify, offline."""

    kind: Literal["keyless"] = Field(description="what is trusted: `keyless`, certificates of sigstore's kind")
    issuer: Line = Field(description="with `kind: keyless`: the OIDC issuer in the certificate, exactly")
    identities: tuple[ExactLine, ...] = Field(
        min_length=1, description="with `kind: keyless`: mail addresses or URIs in the certificate, each exactly"
    )
    trusted_root: TrustedRoot = Field(
        description="with `kind: keyless`: file with the trusted root (`trusted_root.json`): CA and logs to believe"
    )


def _kind(value: Any) -> str:
    """Return the tag of an entry; the oldest form has no kind and is a key."""
    kind = value.get("kind", "key") if isinstance(value, dict) else getattr(value, "kind", "key")
    return f"{TAG}{kind}"


TrustEntry = Annotated[
    Annotated[KeyTrust, Tag(f"{TAG}key")]
    | Annotated[X509Trust, Tag(f"{TAG}x509")]
    | Annotated[KeylessTrust, Tag(f"{TAG}keyless")],
    Discriminator(_kind),
]
