"""What buys tokens is tested with a registry in test_client.py; here is the table of scopes."""

from __future__ import annotations

import pytest

from proxy.oci import operation as ops
from proxy.oci.operation import Operation
from proxy.oci.reference import digest_of, parse_repository, parse_tag
from proxy.upstream.service_account import scope_of

R = parse_repository("team/app")
D = digest_of(b"")


@pytest.mark.parametrize(
    ("operation", "scope"),
    [
        (ops.CheckApi(), ""),
        (ops.ListRepositories(), "registry:catalog:*"),
        (ops.PullManifest(R, parse_tag("1")), "repository:team/app:pull"),
        (ops.PullBlob(R, D), "repository:team/app:pull"),
        (ops.ListTags(R), "repository:team/app:pull"),
        (ops.ListReferrers(R, D), "repository:team/app:pull"),
        (ops.PushManifest(R, D), "repository:team/app:pull,push"),
        (ops.StartUpload(R), "repository:team/app:pull,push"),
        (ops.FinishUpload(R, "1", D), "repository:team/app:pull,push"),
        (ops.CancelUpload(R, "1"), "repository:team/app:pull,push"),
        (ops.DeleteManifest(R, D), "repository:team/app:delete,pull"),
        (ops.DeleteBlob(R, D), "repository:team/app:delete,pull"),
    ],
)
def test_the_scope_of_each_operation(operation: Operation, scope: str) -> None:
    assert scope_of(operation) == scope
