"""The codes of problems: what a program reads instead of the text, stable from the first release on. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

PAGE = "docs/reference/problems.md"


class ProblemCode(NamedTuple):
    """One code: its status, what it means, and whether it stands for every other failure of that status."""

    status: int
    says: str
    usual: bool = True


CODES: Mapping[str, ProblemCode] = MappingProxyType(
    {
        "invalid_request": ProblemCode(400, "The body, the query or one of their fields has a wrong value."),
        "invalid_cursor": ProblemCode(400, "The cursor is of no list, or of one with other filters.", usual=False),
        "unauthorized": ProblemCode(401, "The call has no valid token and no known client certificate."),
        "forbidden": ProblemCode(403, "The caller's role or repositories do not allow the call."),
        "not_found": ProblemCode(404, "What the call names does not exist."),
        "no_such_call": ProblemCode(404, "The path is none of the API's.", usual=False),
        "invalid_path": ProblemCode(404, "A part of the path has a form that no such name has.", usual=False),
        "method_not_allowed": ProblemCode(405, "The path takes other methods; `Allow` has them."),
        "conflict": ProblemCode(409, "The call does not fit the present state, or a limit is reached."),
        "too_large": ProblemCode(413, "The body is larger than the call takes."),
        "too_many_requests": ProblemCode(429, "The caller calls too often; `Retry-After` says when to go on."),
        "internal_error": ProblemCode(500, "A defect of Countersign; the log has the request's id."),
        "registry_invalid": ProblemCode(502, "The registry behind the proxy sent bytes that are not what they claim."),
        "unavailable": ProblemCode(503, "Store, token or registry do not answer; repeat the call."),
    }
)
_USUAL = {each.status: code for code, each in CODES.items() if each.usual}


def code_of(status: int) -> str:
    """Return the code of a failure with this status that has none of its own."""
    return _USUAL.get(status) or ("invalid_request" if status < 500 else "internal_error")


def type_of(code: str) -> str:
    """Return the URI reference of this code: a place in the documents."""
    return f"{PAGE}#{code}"
