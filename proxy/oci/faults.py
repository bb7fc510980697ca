"""The four ways a request or a start can fail, and the kinds of `Fault` that admin operations raise."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

# distribution-spec 1.1 "Error Codes", each with the default status.
STATUS: Mapping[str, int] = {
    "BLOB_UNKNOWN": 404,
    "BLOB_UPLOAD_INVALID": 400,
    "BLOB_UPLOAD_UNKNOWN": 404,
    "DENIED": 403,
    "DIGEST_INVALID": 400,
    "MANIFEST_BLOB_UNKNOWN": 404,
    "MANIFEST_INVALID": 400,
    "MANIFEST_UNKNOWN": 404,
    "NAME_INVALID": 400,
    "NAME_UNKNOWN": 404,
    "SIZE_INVALID": 400,
    "TOOMANYREQUESTS": 429,
    "UNAUTHORIZED": 401,
    "UNKNOWN": 500,
    "UNSUPPORTED": 405,
}


class Told(StrEnum):
    """Everything callers are told about internal failures: fixed texts, whatever a library or a module said.

    The full text, with addresses, paths and token names, is for log, journal and operators.
    """

    REGISTRY = "the registry behind this proxy does not answer"
    HEADERS = "the registry behind this proxy sends headers that are longer than the 64 KiB that are read of each"
    PLACE = "the registry behind this proxy wants an upload to go on at an address longer than the 4096 bytes that fit"
    BYTES = "the registry behind this proxy sent what is not what it claims"
    RECORD = "the record of what was signed and denied does not answer"
    SIGNING = "no signature could be made"
    DEVICE = "the signing device does not answer"
    IMMUTABLE = "upstream's tags are immutable: leave sha256-* out of that rule, or let the policy make bundles alone"
    TIMESTAMP = "signed, but not timestamped, which this registry requires"
    MUCH = "finding out costs more than one request may"
    LATE = "there was no answer in time"
    TAG = "another server has taken over this tag"
    UPLOADS = (
        "the registry behind this proxy wants uploads to go on at another address than it is configured with: its "
        "operators find with `countersign doctor` which url to set"
    )
    PARENTS = "what lists it could not be judged"
    NOTHING = "something that is needed gave no usable answer"


class ConfigError(Exception):
    """Start-up fails: the text gives the location (file:line:column), the value found and the allowed values."""


class Fault(Exception):
    """Ends one request with an OCI error body.

    `code` is a distribution-spec error code, `reason` one of ours (see trust.decision.Reason) if policy refused.
    `inside` is the text for the log, if it says more than callers are told. `problem` is the code of a failure of the
    admin API (admin/problem_codes.py); empty: that of its status.
    """

    problem: str = ""

    def __init__(
        self,
        code: str,
        message: str,
        *,
        status: int | None = None,
        reason: str | None = None,
        detail: str | None = None,
        phrase: str | None = None,
        headers: Mapping[str, str] | None = None,
        inside: str | None = None,
    ) -> None:
        super().__init__(message if inside is None else inside)
        self.code = code
        self.message = message
        self.status = STATUS[code] if status is None else status
        self.reason = reason
        self.detail = detail
        self.phrase = phrase  # HTTP reason phrase: the only text that containerd and kubelet show
        self.headers = dict(headers or {})


class NotFound(Fault):
    """What the caller of an admin operation names does not exist (404)."""

    def __init__(self, message: str, problem: str = "") -> None:
        super().__init__("NAME_UNKNOWN", message)
        self.problem = problem


class Conflict(Fault):
    """What an admin operation would do does not fit the present state, or a limit is reached (409)."""

    def __init__(self, message: str) -> None:
        super().__init__("DENIED", message, status=409)


class Invalid(Fault):
    """An admin operation cannot take this value (400)."""

    def __init__(self, message: str, problem: str = "") -> None:
        super().__init__("UNSUPPORTED", message, status=400)
        self.problem = problem


class Forbidden(Fault):
    """The caller of an admin operation may not do this (403)."""

    def __init__(self, message: str) -> None:
        super().__init__("DENIED", message)


class Unavailable(Exception):
    """An external system did not answer. Retryable, and never to be read as absence.

    `what` tells operators who, what and why; `told` is the text for callers.
    """

    def __init__(self, what: str, *, told: Told = Told.NOTHING, retry_after: int = 5) -> None:
        super().__init__(what)
        self.what = what
        self.told = told
        self.retry_after = retry_after


class Corrupt(Exception):
    """False claims: a claimed digest, length or shape differs from the computed one. `what` is for operators."""

    def __init__(self, what: str, *, told: Told = Told.BYTES) -> None:
        super().__init__(what)
        self.what = what
        self.told = told


# Characters that take no room or look like nothing, beside those that `isprintable` excludes: controls, formats (bidi,
# zero width), separators, surrogates.
_UNSEEN = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0")
_UNSEEN |= frozenset(map(chr, (*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))))  # variation selectors


def inert(text: str) -> str:
    """Return the text with letters of any script, and each character that is not seen, or obeyed, as `\\u202e`."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(c if c.isprintable() and c not in _UNSEEN else ascii(c)[1:-1] for c in text)


def visible(text: str, limit: int) -> str:
    """Return inert text of at most `limit` characters for people."""
    seen = inert(text[: limit + 1])
    return seen if len(seen) <= limit else seen[: limit - 3] + "..."


def quoted(text: str) -> str:
    """Return a name as error texts quote it."""
    return f"'{visible(text, 80)}'"


def plain(text: str, limit: int) -> str:
    """Return printable ASCII of at most `limit` characters, safe for terminals, logs and status lines."""
    safe = "".join(c if " " <= c <= "~" else "?" for c in text)
    return safe if len(safe) <= limit else safe[: limit - 3] + "..."
