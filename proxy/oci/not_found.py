"""What a registry's 404 means (distribution spec, error codes): only its body tells."""

from __future__ import annotations

from enum import Enum, auto

from proxy.oci.faults import Corrupt
from proxy.oci.limits import Limits
from proxy.oci.strict_json import loads

ERROR_BYTES = 64 * 1024  # of the body of a 404
_REPOSITORY = "NAME_UNKNOWN"


class NotFound(Enum):
    """The missing object. Only `THIS` is a registry's statement about the requested object."""

    SILENT = auto()  # the body is empty
    REPOSITORY = auto()  # the registry knows no such repository, or hides it from this account
    THIS = auto()
    FOREIGN = auto()  # not a registry's error: no such route, or a gateway in between answered


def not_found(body: bytes) -> NotFound:
    """Return what the 404 with this body means."""
    if not body.strip():
        return NotFound.SILENT
    codes = _codes(body)
    if _REPOSITORY in codes or (not codes and _REPOSITORY.encode() in body):
        return NotFound.REPOSITORY
    return NotFound.THIS if codes else NotFound.FOREIGN


def _codes(body: bytes) -> set[str]:
    try:
        said = loads(body, Limits.json_depth)
    except Corrupt:
        return set()
    errors = said.get("errors") if isinstance(said, dict) else None
    each = (error.get("code") for error in errors if isinstance(error, dict)) if isinstance(errors, list) else ()
    return {code for code in each if isinstance(code, str)}
