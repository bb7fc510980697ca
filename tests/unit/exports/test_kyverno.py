"""The ClusterPolicy and what takes its place; Kyverno's own command line runs both in tests/interop/test_exports.py."""

from __future__ import annotations

from dataclasses import replace

import yaml

from proxy.exports.runtimes import cluster_policy, image_validating_policy
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


def test_the_newer_kind_asks_for_the_same() -> None:
    """Before: only the ClusterPolicy was there, which Kyverno itself says to migrate from."""
    policy = yaml.safe_load(image_validating_policy(release(), SCOPE))
    spec = policy["spec"]
    assert (policy["apiVersion"], policy["kind"]) == ("policies.kyverno.io/v1", "ImageValidatingPolicy")
    assert {each["cosign"]["key"]["data"] for each in spec["attestors"]} == {pem(key.spki) for key in COUNTING}
    assert (spec["failurePolicy"], spec["validationActions"]) == ("Fail", ["Deny"])
    assert spec["validationConfigurations"] == {"mutateDigest": True, "verifyDigest": True, "required": True}
    assert [each["glob"] for each in spec["matchImageReferences"]] == ["r.example/*", "old.example:5000/*"]
    (validation,) = spec["validations"]
    assert all(f"attestors.{each['name']}" in validation["expression"] for each in spec["attestors"])
    app = replace(SCOPE, hosts=("r.example",), repository=parse_repository("team/app"))
    one = yaml.safe_load(image_validating_policy(release(), app))["spec"]["matchImageReferences"]
    assert [each["glob"] for each in one] == ["r.example/team/app:*", "r.example/team/app@*"]
