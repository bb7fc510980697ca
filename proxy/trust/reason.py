"""The reasons for a refusal: distinct, stable, each with the page that explains it (WIRE: reason codes)."""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """Why something was blocked; clients, journal, metrics and pages show the value."""

    UNSIGNED = "unsigned"
    UNTRUSTED_KEY = "untrusted_key"
    BAD_SIGNATURE = "bad_signature"
    OTHER_ALGORITHM = "other_algorithm"
    UNREAD_PAYLOAD = "unread_payload"
    WRONG_SUBJECT = "wrong_subject"
    WRONG_IDENTITY = "wrong_identity"
    KEY_RETIRED = "key_retired"
    KEY_COMPROMISED = "key_compromised"
    CERTIFICATE_EXPIRED = "certificate_expired"
    CERTIFICATE_REVOKED = "certificate_revoked"
    TOO_FEW_SIGNATURES = "too_few_signatures"
    NOT_VERIFIABLE = "not_verifiable"
    UNLISTED_BLOB = "unlisted_blob"
    TAG_IMMUTABLE = "tag_immutable"
    PUSH_NOT_ALLOWED = "push_not_allowed"
    AMBIGUOUS_MANIFEST = "ambiguous_manifest"
    NO_POLICY = "no_policy"
    NOT_JUDGED = "not_judged"
    TOO_LARGE = "too_large"
    DENIED_DIGEST = "denied_digest"
    NOT_SIGNED = "not_signed"
    TAG_RESERVED = "tag_reserved"
