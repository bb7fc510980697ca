"""The `limits` of the configuration file: one setting for every bound, generated from `proxy.oci.limits`."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, get_type_hints

from pydantic import BaseModel, Field, create_model

from proxy.oci.limits import Limits

_SAYS = {
    "manifest_bytes": "a larger manifest is refused on push, not judged on pull",
    "manifest_hard_bytes": "a larger manifest is not served in the modes `warn` and `off` either",
    "signature_bytes": "a larger signature is not examined",
    "signatures_per_digest": "signatures examined for one image; further ones count as not examined",
    "own_layers": "our own signatures in one `.sig`; the oldest tags make room",
    "signature_layers": "signatures one `.sig` may hold after a push; `own_layers` of them are kept for ours",
    "parents_tried": "indexes tried for a child that is not signed itself",
    "referrer_pages": "pages of upstream's referrers read for one image",
    "referrers": "referrers read for one image, and listed under its fallback tag after a push",
    "index_depth": "how deep indexes may be nested",
    "index_children": "manifests one index may list",
    "layers": "layers one manifest may list",
    "json_depth": "how deep JSON may be nested",
    "json_values": "values one JSON document may hold; one with more is not read",
    "artifact_bytes": "total size of a signature's layers, up to which it needs no signature itself",
    "signatures_per_push": "signatures for one push; beyond that, children of an index are not signed for its tags",
    "request_bytes": "bytes read from upstream to judge one request, without those passed through",
    "request_values": "JSON values read to judge one request",
    "request_lookups": "requests to upstream to judge one request",
    "request_signatures": "signatures examined to judge one request",
    "request_cpu_s": "processor time to judge one request",
    "exhausted_s": "pause before data that exceeded one request's budget is examined again",
    "list_entries": "entries of one page of tags or repositories",
    "tags_listed": "tags of one repository; a longer list is refused, never shown incomplete",
    "tag_pages": "pages of upstream's read for one list of tags",
    "tag_list_bytes": "size of all pages of one list of tags; at most eight lists are read at once",
    "tag_list_s": "how long reading them may take",
    "header_timeout_s": "how long a client may take for its headers",
    "body_idle_s": "how long a transfer may stall",
    "gather_deadline_s": "how long the search for signatures may take; after that the image could not be verified",
    "sign_queue": "signatures that may wait for a token; beyond that a push is refused at once",
    "signatures_at_once": "signatures of one push that wait for a token at once; the others follow",
    "sign_deadline_s": "how long one signature may take, its time in the queue included",
    "denial_cache_s": "how long a denial is reused for the same evidence",
    "decision_bucket_s": "how long a decision is reused",
    "right_to_read_s": "maximum age of upstream's permission for a caller to read, at most 60",
    "tag_age_s": "maximum age of a cached tag",
    "tag_wait_s": "how long a push waits for a tag that another server is moving",
    "tags_looked_at": "immutable tags that one deletion looks up upstream; beyond that it is refused",
    "repair_check_s": "interval between two checks that a signature of ours is still upstream",
    "rows_each": "journal rows per hour about one caller's refusals; further refusals are only counted",
    "connections": "simultaneous connections of clients; under pressure one address gets an eighth of them",
    "upstream_connections": "simultaneous transfers of layers from and to upstream, one connection each",
    "upstream_questions": "simultaneous connections to upstream for everything but layers",
    "push_probes": "simultaneous uploads begun upstream to learn whether the caller of a blocked image may push",
    "transfer_wait_s": "how long a layer waits for its turn; then 429",
    "transfer_patience_s": "under pressure, a transfer that moves less than 64 KiB in this time gives way to others",
    "crl_bytes": "a larger revocation list is not read",
    "policy_checks": "checks of policies (lint, test, plan, diff) that run or wait, of all callers",
    "policy_check_s": "how long reading, comparing or linting a text of policies may take",
    "policy_check_bytes": "memory of the process that does so",
    "outbound_deadline_s": "how long a timestamp authority or the source of a revocation list may take to answer",
    "drain_s": "how long transfers may go on after SIGTERM",
    "books_sign_s": "maximum age of denials and keys read from a shared store; with older ones nothing is signed",
    "books_pull_s": "their maximum age for pulls, which then could not be verified; longer than a database failover",
    "exception_s": "longest exception that an operator may open",
    "exception_long_s": "longest exception that a policy-admin may open",
    "memory_cache_bytes": "manifests and decisions kept in memory",
    "let_in_s": "how long upstream's permission to start an upload admits a caller's manifests",
    "kept_bytes": "bodies kept in memory by all requests together (manifests on their way in, forms, admin calls)",
    "kept_rate": "how fast a body kept in memory must arrive, in bytes per second, besides `kept_grace_s`",
    "kept_grace_s": "extra time for such a body, and how long it may wait for its turn",
    "denials": "denials of repositories in force; scoped tokens may use half; denials of a digest do not count",
    "denials_each": "of these, by one scoped token",
    "exceptions": "exceptions without a review; scoped tokens may use half",
    "exceptions_each": "of these, by one scoped token",
    "jobs": "waiting jobs; scoped tokens may use half",
    "jobs_each": "of these, by one scoped token",
    "approvals": "calls that wait for a second person; one person may use half",
    "admin_tokens": "valid admin tokens; one maker may have made half",
    "header_bytes": "all headers of one request, with its request line; longer ones get 431",
    "authorization_bytes": "the Authorization header of a request",
    "accept_bytes": "the Accept headers of a request",
    "waiting_bytes": "incomplete headers and queued requests, on all connections of a listener",
}
_MAY_BE_ZERO = {
    "denial_cache_s",
    "exhausted_s",
    "right_to_read_s",
    "tag_age_s",
    "memory_cache_bytes",
    "transfer_wait_s",
}  # zero: remember nothing
_HARD = {
    "signature_bytes": 32 * 1024 * 1024,
    "own_layers": 1000,
    "signature_layers": 1000,  # cosign does not read more
    "right_to_read_s": 60,
    "json_depth": 200,
    "books_sign_s": 60,
    "books_pull_s": 3600,
    "exception_s": 30 * 86400,
    "exception_long_s": 366 * 86400,
}


def _limit_fields() -> dict[str, Any]:
    kinds = get_type_hints(Limits)
    return {
        f.name: (
            kinds[f.name],
            Field(
                f.default,
                ge=0 if f.name in _MAY_BE_ZERO else None,
                gt=None if f.name in _MAY_BE_ZERO else 0,
                le=_HARD.get(f.name, 10**10),
                description=_SAYS.get(f.name),
            ),
        )
        for f in fields(Limits)
    }


LimitsEntry: type[BaseModel] = create_model(
    "LimitsEntry",
    __config__={"strict": True, "extra": "forbid", "frozen": True},
    __doc__="Bounds, each with its unit in its name.",
    **_limit_fields(),
)
