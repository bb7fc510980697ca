"""policy.json and registries.d; the library itself reads them in tests/interop/test_exports.py."""

from __future__ import annotations

import base64
import json
from dataclasses import replace

import yaml

from proxy.exports.runtimes import containers_policy, containers_registries
from proxy.formats.certificate import pem
from proxy.oci.reference import parse_repository
from tests.worlds.published import ACTIVE, COUNTING, SCOPE, release


def test_any_of_the_keys_suffices_and_what_is_not_ours_is_refused() -> None:
    said = json.loads(containers_policy(release(), SCOPE))
    assert said["default"] == [{"type": "reject"}]
    for host in SCOPE.hosts:
        (rule,) = said["transports"]["docker"][host]
        assert {base64.b64decode(one).decode() for one in rule["keyDatas"]} == {pem(key.spki) for key in COUNTING}
        assert rule["signedIdentity"] == {"type": "matchRepoDigestOrExact"}


def test_one_key_is_written_as_older_libraries_know_it() -> None:
    alone = replace(release(), keys=(ACTIVE,))
    (rule,) = json.loads(containers_policy(alone, SCOPE))["transports"]["docker"]["r.example"]
    assert base64.b64decode(rule["keyData"]).decode() == pem(ACTIVE.spki)
    assert "keyDatas" not in rule


def test_signatures_are_looked_for_under_each_name() -> None:
    app = replace(SCOPE, repository=parse_repository("team/app"))
    found = yaml.safe_load(containers_registries(release(), app))["docker"]
    assert found == {place: {"use-sigstore-attachments": True} for place in app.places}
