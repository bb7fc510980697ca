"""Settings of keyless signers: the trusted root is read and understood when the file is, or refused there."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, PlainSerializer, ValidationInfo, WithJsonSchema

from proxy.config.values import Line, base_of, in_base64

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
        raise ValueError("allowed: whole identities, each exactly; * is no wildcard here")
    return value


TrustedRoot = Annotated[
    bytes, BeforeValidator(_trusted_root), PlainSerializer(in_base64), WithJsonSchema({"type": "string"})
]
ExactLine = Annotated[Line, AfterValidator(_exact)]
