"""Every bound in one place, each with its unit; settings override them, code never repeats a number."""

from __future__ import annotations

from dataclasses import dataclass

KIB = 1024
MIB = 1024 * KIB


@dataclass(frozen=True)
class Limits:
    """The maximum cost of one request, one judgement and one process."""

    manifest_bytes: int = 4 * MIB
    manifest_hard_bytes: int = 32 * MIB
    signature_bytes: int = 1 * MIB
    signatures_per_digest: int = 100
    own_layers: int = 32
    signature_layers: int = 1000
    parents_tried: int = 8
    referrer_pages: int = 10
    referrers: int = 1000
    index_depth: int = 3
    index_children: int = 256
    layers: int = 1000  # of an image, and entries of an index that are not manifests
    json_depth: int = 32
    json_values: int = 20_000  # of one document; an image of 1,000 layers has about 8,000
    artifact_bytes: int = 4 * MIB
    signatures_per_push: int = 512
    request_bytes: int = 32 * MIB
    request_values: int = 200_000
    request_lookups: int = 1500
    request_signatures: int = 1000
    request_cpu_s: float = 2.0
    exhausted_s: float = 10.0
    list_entries: int = 10_000
    tags_listed: int = 100_000
    tag_pages: int = 1_000
    tag_list_bytes: int = 8 * MIB
    tag_list_s: float = 30.0
    header_timeout_s: float = 10.0
    body_idle_s: float = 30.0
    gather_deadline_s: float = 5.0
    sign_queue: int = 256
    signatures_at_once: int = 4
    sign_deadline_s: float = 10.0
    denial_cache_s: float = 5.0
    decision_bucket_s: int = 60
    right_to_read_s: float = 60.0
    tag_age_s: float = 1.0
    tag_wait_s: float = 30.0
    tags_looked_at: int = 256
    repair_check_s: float = 600.0
    rows_each: int = 1_000
    connections: int = 4096
    upstream_connections: int = 2048  # for layers in transit: 500 nodes that pull three at a time stay below 3/4 of it
    upstream_questions: int = 512  # for all other requests, so that layers never delay them
    push_probes: int = 32
    transfer_wait_s: float = 2.0
    transfer_patience_s: float = 5.0
    crl_bytes: int = 10 * MIB
    policy_checks: int = 16
    policy_check_s: float = 30.0
    policy_check_bytes: int = 256 * MIB
    outbound_deadline_s: float = 5.0
    drain_s: float = 30.0
    books_sign_s: float = 5.0  # maximum age of other servers' denials and keys for signing
    books_pull_s: float = 60.0  # and for serving
    exception_s: float = 4 * 3600.0  # longest exception an operator may open
    exception_long_s: float = 7 * 86400.0  # and a policy-admin
    memory_cache_bytes: int = 64 * MIB
    let_in_s: float = 3600.0
    kept_bytes: int = 128 * MIB
    kept_rate: int = 64 * KIB  # bytes a second
    kept_grace_s: float = 10.0
    denials: int = 10_000  # of repositories; denials of a digest are unbounded for holders who may deny it everywhere
    denials_each: int = 50
    exceptions: int = 1_000
    exceptions_each: int = 50
    jobs: int = 200
    jobs_each: int = 10
    approvals: int = 100
    admin_tokens: int = 10_000
    header_bytes: int = 96 * KIB
    authorization_bytes: int = 64 * KIB
    accept_bytes: int = 4 * KIB
    waiting_bytes: int = 16 * MIB
