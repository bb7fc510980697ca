"""The ClusterImagePolicy; the controller's own tester runs it in tests/interop/test_exports.py."""

from __future__ import annotations

from dataclasses import replace

import pytest
import yaml

from proxy.exports.runtimes import cluster_image_policy, object_name
from proxy.formats.certificate import pem
from proxy.oci.reference import parse_repository
from tests.worlds.published import COUNTING, SCOPE, release


def test_one_authority_for_each_key_and_none_asks_a_log() -> None:
    spec = yaml.safe_load(cluster_image_policy(release(), SCOPE))["spec"]
    assert {one["key"]["data"] for one in spec["authorities"]} == {pem(key.spki) for key in COUNTING}
    assert all(one.keys() == {"name", "signatureFormat", "key"} for one in spec["authorities"])
    assert spec["images"] == [{"glob": "r.example/**"}, {"glob": "old.example:5000/**"}]


def test_for_one_repository_only_its_images_are_meant() -> None:
    app = replace(SCOPE, repository=parse_repository("team/app"))
    spec = yaml.safe_load(cluster_image_policy(release(), app))["spec"]
    assert [one["glob"] for one in spec["images"]] == list(app.places)


@pytest.mark.parametrize(
    ("profile", "name"),
    [("release", "countersign-release"), ("Team_A..x.", "countersign-team-a.-x"), ("a-", "countersign-a")],
)
def test_names_are_what_kubernetes_takes(profile: str, name: str) -> None:
    assert object_name(replace(release(), name=profile)) == name
