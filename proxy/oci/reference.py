"""Names of the distribution specification, parsed once into strings that are always valid.

A `Repository`, `Tag` or `Digest` is only ever made by its parse function; the type checker enforces this.
"""

from __future__ import annotations

import hashlib
from typing import NewType

from proxy.oci.faults import Fault

Repository = NewType("Repository", str)
Tag = NewType("Tag", str)
Digest = NewType("Digest", str)
Reference = Tag | Digest

_LOWER = frozenset("abcdefghijklmnopqrstuvwxyz0123456789")
_WORD = _LOWER | frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ_")
_HEX = frozenset("0123456789abcdef")
_DIGEST_LENGTH = {"sha256": 64, "sha512": 128}
REPOSITORY_LENGTH = 255
TAG_LENGTH = 128


def parse_repository(text: str) -> Repository:
    """Return the name, proven to be a repository name (distribution-spec 1.1 "Pulling manifests").

    A hand-written scan: the specification's expression is linear only in engines without backtracking. Raises Fault
    NAME_INVALID.
    """
    if 0 < len(text) <= REPOSITORY_LENGTH and all(_is_component(part) for part in text.split("/")):
        return Repository(text)
    long = f" ({len(text)} characters, at most {REPOSITORY_LENGTH})" if len(text) > REPOSITORY_LENGTH else ""
    raise Fault("NAME_INVALID", f"repository name not valid{long}: {text[:80]!a}")


def _is_component(part: str) -> bool:
    """True for lower-case alphanumerics joined by '.', '_', '__' or any number of '-'."""
    if not part or part[0] not in _LOWER or part[-1] not in _LOWER:
        return False
    at = 0
    while at < len(part):
        if part[at] in _LOWER:
            at += 1
            continue
        end = at
        while part[end] == part[at]:  # the last character is alphanumeric, so this ends
            end += 1
        length = end - at
        if not (
            (part[at] == "-" or (part[at] == "." and length == 1) or (part[at] == "_" and length <= 2))
            and part[end] in _LOWER
        ):
            return False
        at = end
    return True


def parse_tag(text: str) -> Tag:
    """Return the tag, proven valid: a word character, then at most 127 of [A-Za-z0-9._-]. Raises Fault."""
    if 0 < len(text) <= TAG_LENGTH and text[0] in _WORD and all(c in _WORD or c in ".-" for c in text):
        return Tag(text)
    long = f" ({len(text)} characters, at most {TAG_LENGTH})" if len(text) > TAG_LENGTH else ""
    raise Fault("MANIFEST_INVALID", f"tag not valid{long}: {text[:80]!a}")


def parse_digest(text: str) -> Digest:
    """Return the digest, proven to be lower-case sha256 or sha512 of the right length. Raises Fault DIGEST_INVALID."""
    algorithm, colon, value = text.partition(":")
    if colon and len(value) == _DIGEST_LENGTH.get(algorithm, -1) and all(c in _HEX for c in value):
        return Digest(text)
    raise Fault("DIGEST_INVALID", f"digest not valid (sha256 or sha512 in lower-case hex): {text[:80]!a}")


def parse_reference(text: str) -> Reference:
    """Return a digest if the text has a colon (no tag has one), else a tag. Raises Fault."""
    return parse_digest(text) if ":" in text else parse_tag(text)


NOT_SHA256 = "manifests are known by their sha256 digest here: name it by that, or by a tag, in place of {algorithm}"


def parse_manifest_reference(text: str) -> Reference:
    """Return a tag, or the digest of a manifest. Raises Fault, also for algorithms that manifests do not use here."""
    reference = parse_reference(text)
    if is_digest(reference):
        require_sha256(Digest(reference))
    return reference


def require_sha256(digest: Digest, where: str = "") -> None:
    """Return if manifests are judged, signed, listed and deleted by this kind of digest; `where` is in the error.

    Raises Fault UNSUPPORTED with reason `not_judged`, in the same words for every operation (ADR 0041).
    """
    algorithm = digest.partition(":")[0]
    if algorithm != "sha256":
        text = NOT_SHA256.format(algorithm=algorithm)
        where = f"{where}: " if where else ""
        raise Fault("UNSUPPORTED", where + text, status=403, reason="not_judged", phrase=text)


def is_digest(reference: Reference) -> bool:
    """True for a digest, False for a tag."""
    return ":" in reference


def digest_of(data: bytes, algorithm: str = "sha256") -> Digest:
    """Return the digest computed here from these bytes."""
    return Digest(f"{algorithm}:{hashlib.new(algorithm, data).hexdigest()}")


def matches(digest: Digest, data: bytes) -> bool:
    """True when these bytes have this digest."""
    return digest_of(data, digest.partition(":")[0]) == digest


def signature_tag(digest: Digest) -> Tag:
    """Return the tag under which cosign stores simple signatures of this digest."""
    return Tag(digest.replace(":", "-") + ".sig")


def fallback_tag(digest: Digest) -> Tag:
    """Return the tag of the referrers index used without the API (spec 1.1 "Referrers Tag Schema").

    The specification cuts the value at 64 characters; otherwise a sha512 would be longer than a tag may be.
    """
    algorithm, _, value = digest.partition(":")
    return Tag(f"{algorithm}-{value[:64]}")


def subject_of_list(tag: Tag) -> Digest | None:
    """Return the digest whose referrers clients list under this tag, None for any other tag."""
    about = subject_of_tag(tag)
    return about if about is not None and tag == fallback_tag(about) else None


def names_a_digest(tag: Tag) -> bool:
    """True for tags where tools store data about a digest: `sha256-<hex>`, with `.sig`, `.att` or more."""
    return subject_of_tag(Tag(tag.partition(".")[0])) is not None


def holds_signatures(tag: str) -> bool:
    """True for names of tools' lists about a digest, with any suffix, also of a sha512 that was cut."""
    algorithm, _, rest = tag.partition("-")
    length = _DIGEST_LENGTH["sha256"]  # the specification cuts longer values to that
    return algorithm in _DIGEST_LENGTH and len(rest) >= length and all(c in _HEX for c in rest[:length])


def subject_of_tag(tag: Tag) -> Digest | None:
    """Return the digest that a `.sig` or fallback tag is about, or None for any other tag.

    The digest of a cut sha512 cannot be recovered: such a tag counts as any other tag.
    """
    text = tag.removesuffix(".sig")
    algorithm, dash, value = text.partition("-")
    if dash and len(value) == _DIGEST_LENGTH.get(algorithm, -1) and all(c in _HEX for c in value):
        return Digest(f"{algorithm}:{value}")
    return None
