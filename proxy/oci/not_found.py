"""What a 404 of a registry is about (distribution spec, error codes): said in its body, and nowhere else."""

from __future__ import annotations

from enum import Enum, auto

from proxy.oci.faults import Corrupt
from proxy.oci.limits import Limits
from proxy.oci.strict_json import loads

ERROR_BYTES = 64 * 1024  # of a body that says so
_REPOSITORY = "NAME_UNKNOWN"


class NotFound(Enum):
    """What is not there. Only `THIS` is a registry's word on what was asked for."""

    SILENT = auto()  # it says nothing
    REPOSITORY = auto()  # it knows no such repository, or shows this account none
    THIS = auto()
    FOREIGN = auto()  # it is no registry's error: no such route, or something in between answered


def not_found(body: bytes) -> NotFound:
    """Return what the 404 with this body is about."""
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
