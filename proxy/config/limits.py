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
    "signatures_per_digest": "signatures examined for one image; what is beyond counts as not examined",
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
    "artifact_bytes": "what all layers of a signature may have together, to be exempt from being signed itself",
    "signatures_per_push": "signatures one push asks for; beyond that children of an index are not bound to its tags",
    "request_bytes": "what is read from upstream to judge one request; what is passed through is not counted",
    "request_values": "JSON values read to judge one request",
    "request_lookups": "questions to upstream to judge one request",
    "request_signatures": "signatures examined to judge one request",
    "request_cpu_s": "processor time to judge one request",
    "exhausted_s": "how long what one request could not afford to look at is not looked at again",
    "list_entries": "most entries of one page of tags or repositories",
    "tags_listed": "tags of one repository; a list of more is refused, and nobody is shown a part of it as the whole",
    "tag_pages": "pages of upstream's that are read for one list of tags",
    "tag_list_bytes": "all pages of one list of tags together; eight lists of that size are put together at once",
    "tag_list_s": "how long reading them may take",
    "header_timeout_s": "how long a client may take for its headers",
    "body_idle_s": "how long a transfer may stand still",
    "gather_deadline_s": "how long looking for signatures may take, then: could not verify",
    "sign_queue": "signatures that may wait for a token; beyond that a push is refused at once",
    "signatures_at_once": "signatures of one push that wait for a token at once; the rest of them waits its turn",
    "sign_deadline_s": "how long one signature may take, its time in the queue included",
    "denial_cache_s": "how long a denial holds against the same evidence",
    "decision_bucket_s": "how long a decision is reused",
    "right_to_read_s": "how old upstream's word that a caller may read can be, at most 60",
    "tag_age_s": "how old what we know of a tag can be",
    "tag_wait_s": "how long a push waits for a tag that another server moves",
    "tags_looked_at": "immutable tags that one deletion looks up upstream; beyond that it is refused",
    "repair_check_s": "how often a signature of ours is looked for upstream again",
    "rows_each": "rows about refusals one caller has in the journal an hour; beyond that they are counted together",
    "connections": "connections of clients at once; under pressure one address has an eighth of them",
    "upstream_connections": "layers on their way from and to upstream at once, each on a connection of its own",
    "upstream_questions": "connections to upstream at once for everything that is not a layer on its way",
    "push_probes": "uploads begun upstream at once to find out whether who asks for a blocked image may push",
    "transfer_wait_s": "how long a layer waits for its turn; then 429",
    "transfer_patience_s": "under pressure, what moves less than 64 KiB in this time gives way to others",
    "crl_bytes": "a larger revocation list is not read",
    "policy_checks": "checks of policies (lint, test, plan, diff) that are under way or wait, of all who ask",
    "policy_check_s": "how long reading, comparing or looking through a text of policies may take",
    "policy_check_bytes": "memory of a process that does it",
    "outbound_deadline_s": "how long a timestamp authority or the source of a revocation list may take to answer",
    "drain_s": "how long transfers may go on after SIGTERM",
    "books_sign_s": "how old denials and keys read from a shared store may be; by older ones nothing is signed",
    "books_pull_s": "how old they may be, then pulls could not be verified; longer than a failover of the database",
    "exception_s": "how long an exception may be open that an operator opens",
    "exception_long_s": "how long an exception may be open that a policy-admin opens",
    "memory_cache_bytes": "manifests and decisions kept in memory",
    "let_in_s": "how long a manifest is read from who could start an upload there, before upstream is asked again",
    "kept_bytes": "bodies kept in memory by all requests together (manifests on their way in, forms, admin calls)",
    "kept_rate": "how fast a body that is kept must arrive, in bytes a second, besides `kept_grace_s`",
    "kept_grace_s": "how much longer than that it may take, and how long it may wait for its turn",
    "denials": "denials of repositories in force; scoped tokens fill half of it at most, those of one digest count not",
    "denials_each": "of these, by one token for some repositories",
    "exceptions": "exceptions that wait for their review; scoped tokens fill half of it at most",
    "exceptions_each": "of these, by one token for some repositories",
    "jobs": "jobs that wait; scoped tokens fill half of it at most",
    "jobs_each": "of these, by one token for some repositories",
    "approvals": "calls that wait for a second person; one person fills half of it at most",
    "admin_tokens": "valid admin tokens; one maker has made half of them at most",
    "header_bytes": "all headers of one request, with its request line; more is answered with 431",
    "authorization_bytes": "the Authorization header of a request",
    "accept_bytes": "the Accept headers of a request",
    "waiting_bytes": "headers that are not complete, and requests behind another one, on all connections of a listener",
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
