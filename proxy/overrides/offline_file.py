"""The file format of an exception made on a host without a server: one scope, two hours at most."""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta
from typing import Any

from proxy.oci.faults import Corrupt, Fault
from proxy.oci.reference import parse_digest, parse_repository
from proxy.oci.strict_json import loads
from proxy.trust.exception import PolicyException

PATTERN = "breakglass-*.json"  # beside the configuration
LONGEST = timedelta(hours=2)
FILE_BYTES = 4096
HOW = "root on the host"
_FIELDS = frozenset({"id", "repository", "digest", "reason", "by", "opened", "until"})
_ID = re.compile(r"[a-z0-9]{8,20}")
_SKEW = timedelta(minutes=1)  # tolerance between the opening time in the file and the time the file is written


def file_of(exception_id: str) -> str:
    """Return the file name of this exception."""
    return f"breakglass-{exception_id}.json"


def written(exception: PolicyException) -> bytes:
    """Return the content of the file; `read` returns the same exception."""
    fields = {
        "id": exception.id,
        "repository": exception.repositories,
        "digest": exception.digest,
        "reason": exception.reason,
        "by": exception.by,
        "opened": exception.opened.isoformat(),
        "until": exception.until.isoformat(),
    }
    return (json.dumps(fields, indent=1) + "\n").encode()


def read(data: bytes, made: datetime) -> PolicyException:
    """Return the exception in a file created at `made`; it ends at most two hours after `opened` and `made`.

    Raises Corrupt unless the file has exactly one scope, one reason and two times.
    """
    value = loads(data, 2)
    if not isinstance(value, dict) or value.keys() != _FIELDS:
        raise Corrupt(f"it has not exactly the fields {', '.join(sorted(_FIELDS))}")
    try:
        opened, until = _moment(value["opened"]), _moment(value["until"])
        digest = None if value["digest"] is None else parse_digest(_text(value["digest"], 200))
        if opened > made + _SKEW:
            raise ValueError("it says that it was opened after it was made")
        if not _ID.fullmatch(name := _text(value["id"], 20)):
            raise ValueError("its id is none")
        return PolicyException(
            id=name,
            repositories=parse_repository(_text(value["repository"], 255)),
            digest=digest,
            unsigned_push=False,
            reason=_text(value["reason"], 500),
            by=_text(value["by"], 200),
            how=HOW,
            opened=opened,
            until=min(until, opened + LONGEST, made + LONGEST),
            offline=True,
        )
    except (Fault, ValueError) as wrong:
        raise Corrupt(str(wrong)) from None


def _text(value: Any, longest: int) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= longest or not value.isprintable():
        raise ValueError(f"expected a line of at most {longest} characters")
    return value


def _moment(value: Any) -> datetime:
    at = datetime.fromisoformat(_text(value, 40))
    if at.tzinfo is None:
        raise ValueError("a moment without its zone")
    return at
