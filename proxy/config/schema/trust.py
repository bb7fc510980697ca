"""Settings of other signers whose signatures count: a key, or the identities that an authority certifies.

The trusted root of keyless signers is parsed when the file is loaded; an invalid one is refused then.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Discriminator,
    Field,
    PlainSerializer,
    Tag,
    ValidationInfo,
    WithJsonSchema,
)

from proxy.config.certificates import Certificates, ListSource, SubjectName
from proxy.config.values import Line, PublicKey, base_of, in_base64

TAG = "kind:"  # prefix of a kind in the locations of pydantic errors
ROOT_BYTES = 4 << 20
EXTRA = 'the sigstore library is not installed; install the extra: pip install "countersign[keyless]"'


def _trusted_root(value: object, info: ValidationInfo) -> object:
    if not isinstance(value, str):
        return value
    file = base_of(info) / value
    try:
        with file.open("rb") as opened:
            root = opened.read(ROOT_BYTES + 1)
    except (OSError, ValueError):
        raise ValueError(f"allowed: a trusted_root.json that can be read ({file} cannot)") from None
    if len(root) > ROOT_BYTES:
        raise ValueError(f"allowed: a trusted_root.json of at most {ROOT_BYTES >> 20} MiB")
    from proxy.keyless.examiner import check_root

    try:
        check_root(root)
    except ImportError:
        raise ValueError(f"allowed: `kind: keyless` once it can be verified here; {EXTRA}") from None
    except ValueError as error:
        raise ValueError(f"allowed: a trusted root with a CA and logs ({file}: {error})") from None
    return root


def _exact(value: str) -> str:
    if "*" in value:
        raise ValueError("allowed: complete identities; * is not a wildcard here")
    return value


TrustedRoot = Annotated[
    bytes, BeforeValidator(_trusted_root), PlainSerializer(in_base64), WithJsonSchema({"type": "string"})
]
ExactLine = Annotated[Line, AfterValidator(_exact)]


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
    """An authority: Notary signatures count when it certifies their signer."""

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
        "a signature that they date before its certificate expired still counts",
    )
    crl: tuple[ListSource, ...] = Field(
        default=(),
        max_length=16,
        description="with `kind: x509`: files and URLs of revocation lists, one for `ca_file` and for each CA below it",
    )
    crl_unavailable: Literal["deny", "allow"] = Field(
        default="deny",
        description="with `kind: x509`: what applies if the lists do not tell whether a certificate is revoked",
    )


class KeylessTrust(BaseModel, strict=True, extra="forbid", frozen=True):
    """Keyless signers of an OIDC issuer: cosign's keyless bundles count when they verify, offline."""

    kind: Literal["keyless"] = Field(description="what is trusted: `keyless`, certificates of sigstore's kind")
    issuer: Line = Field(description="with `kind: keyless`: the OIDC issuer in the certificate, exactly")
    identities: tuple[ExactLine, ...] = Field(
        min_length=1, description="with `kind: keyless`: mail addresses or URIs in the certificate, each exactly"
    )
    trusted_root: TrustedRoot = Field(
        description="with `kind: keyless`: file with the trusted root (`trusted_root.json`): the CA and logs to trust"
    )


def _kind(value: Any) -> str:
    """Return the tag of an entry; an entry in the oldest form has no kind and is a key."""
    kind = value.get("kind", "key") if isinstance(value, dict) else getattr(value, "kind", "key")
    return f"{TAG}{kind}"


TrustEntry = Annotated[
    Annotated[KeyTrust, Tag(f"{TAG}key")]
    | Annotated[X509Trust, Tag(f"{TAG}x509")]
    | Annotated[KeylessTrust, Tag(f"{TAG}keyless")],
    Discriminator(_kind),
]
