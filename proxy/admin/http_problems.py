"""Failures of the admin API as problem+json (RFC 9457)."""

from __future__ import annotations

import json
from http import HTTPStatus

from proxy.admin.operation import below_root
from proxy.admin.problem_codes import code_of, type_of
from proxy.oci.faults import Fault, Unavailable, visible
from proxy.registry.request import Response
from proxy.web.call import Call
from proxy.web.replies import Failure, Refused, refuse

PROBLEM = "application/problem+json"
_LONGEST = 2000


def problem(call: Call, failure: Failure) -> Refused:
    """Return a failure under /admin/v1 as problem+json, and a failure anywhere else as the usual error."""
    usual = refuse(failure, inside=True)
    if not below_root(call.path):
        return usual
    status = usual.answer.status
    code = getattr(failure, "problem", "") or code_of(status)
    told = {
        "type": type_of(code),
        "code": code,
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": visible(_words(failure), _LONGEST),
        "request_id": call.request_id,
    }
    kept = tuple(pair for pair in usual.answer.headers if pair[0] != "content-type")
    headers = (("content-type", PROBLEM), ("cache-control", "no-store"), *kept)
    return Refused(Response(status, headers, json.dumps(told).encode()))


def _words(failure: Failure) -> str:
    if isinstance(failure, Fault):
        return failure.message
    if isinstance(failure, Unavailable):
        return f"not available just now ({failure.what}); try again"
    return f"the registry behind this proxy sent bytes that are not what they claim ({failure.what})"
