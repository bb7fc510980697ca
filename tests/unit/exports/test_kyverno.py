"""The ClusterPolicy; Kyverno's own command line runs it in tests/interop/test_exports.py."""

from __future__ import annotations

from dataclasses import replace

import yaml

from proxy.exports.runtimes import cluster_policy
from proxy.formats.certificate import pem
from proxy.oci.reference import parse_repository
from tests.worlds.published import COUNTING, SCOPE, release


def test_one_of_the_keys_suffices_and_a_failure_blocks() -> None:
    spec = yaml.safe_load(cluster_policy(release(), SCOPE))["spec"]
    (rule,) = spec["rules"]
    (images,) = rule["verifyImages"]
    (any_of,) = images["attestors"]
    assert any_of["count"] == 1
    assert {entry["keys"]["publicKeys"] for entry in any_of["entries"]} == {pem(key.spki) for key in COUNTING}
    assert (images["failureAction"], images["required"], images["verifyDigest"]) == ("Enforce", True, True)
    assert spec["webhookConfiguration"]["failurePolicy"] == "Fail"
    assert images["imageReferences"] == ["r.example/*", "old.example:5000/*"]


def test_for_one_repository_its_tags_and_digests_are_meant() -> None:
    app = replace(SCOPE, hosts=("r.example",), repository=parse_repository("team/app"))
    (rule,) = yaml.safe_load(cluster_policy(release(), app))["spec"]["rules"]
    assert rule["verifyImages"][0]["imageReferences"] == ["r.example/team/app:*", "r.example/team/app@*"]
