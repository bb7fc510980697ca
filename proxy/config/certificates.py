"""Setting types for certificates and subjects: PEM is parsed to DER and names are checked at load."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, PlainSerializer, ValidationInfo, WithJsonSchema

from proxy.config.values import base_of, check_link, in_base64


def _certificates(value: object, info: ValidationInfo) -> object:
    """Return the DER of each certificate in PEM text, given inline or as a file."""
    from proxy.formats.certificate import from_pem, parse_certificate

    if not isinstance(value, str):
        return value
    where = "the text" if "-----BEGIN" in value else str(base_of(info) / value)
    try:
        pem = value.encode() if "-----BEGIN" in value else (base_of(info) / value).read_bytes()
    except (OSError, ValueError):
        raise ValueError(f"allowed: PEM text, or a PEM file that can be read ({where} cannot)") from None
    try:
        found = from_pem(pem)
        for der in found:
            parse_certificate(der)
    except ValueError as error:
        raise ValueError(f"allowed: certificates of a CA in PEM ({where}: {error})") from None
    return found


def _subject(value: str) -> str:
    from proxy.formats.identity import parse_subject

    return parse_subject(value).text


def _source(value: object, info: ValidationInfo) -> object:
    """Return the URL, or the path of a file relative to the directory of the configuration."""
    if not isinstance(value, str) or not value.isprintable() or not value.strip():
        return value if not isinstance(value, str) else _refused(value)
    if "://" not in value:
        return str(base_of(info) / value)
    return check_link(value)


def _refused(_value: str) -> str:
    raise ValueError("allowed: the path of a file, or an http:// or https:// URL")


def _listed(value: tuple[bytes, ...]) -> list[str]:
    return [in_base64(der) for der in value]


Certificates = Annotated[
    tuple[bytes, ...], BeforeValidator(_certificates), PlainSerializer(_listed), WithJsonSchema({"type": "string"})
]
ListSource = Annotated[str, BeforeValidator(_source), WithJsonSchema({"type": "string"})]
SubjectName = Annotated[str, AfterValidator(_subject)]
