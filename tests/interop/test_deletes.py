"""Deleting with real clients in front of real registries: what we signed stayed behind as tags that nobody had made."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.interop.countersign import countersign
from tests.interop.handmade import Handmade
from tests.interop.manners import mannered
from tests.interop.notary import Notation, leaf, new_ca
from tests.interop.registries import docker_registry
from tests.interop.shared import Here, Partner
from tests.interop.test_clients_cosign import sign
from tests.interop.wire import ask, manifest
from tests.worlds.softkey import MAKERS

pytestmark = pytest.mark.go

CLIENTS: dict[str, Callable[[Here, str], list[str]]] = {
    "crane": lambda here, digest: ["delete", "--insecure", here.name(f"@{digest}")],
    "skopeo": lambda here, _: ["delete", "--tls-verify=false", f"docker://{here.name()}"],
    "oras": lambda here, digest: ["manifest", "delete", "--plain-http", "--force", here.name(f"@{digest}")],
    "regctl": lambda here, _: ["manifest", "delete", "--force-tag-dereference", here.name()],
}


def tags(host: str, repository: str) -> list[str]:
    """What the list there has; a registry that knows no such repository any more has nothing in it."""
    listed = ask(host, "GET", f"/v2/{repository}/tags/list")
    return [] if listed.status == 404 else listed.json()["tags"] or []


def referrers(here: Here, digest: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = ask(here.proxy.host, "GET", f"/v2/{here.repository}/referrers/{digest}").json()[
        "manifests"
    ]
    return found


@pytest.mark.parametrize("client", list(CLIENTS))
def test_an_image_that_a_client_deletes_leaves_nothing_of_ours(anywhere: Here, client: str) -> None:
    here = anywhere
    stays = Handmade(here.proxy.host, here.repository).image("stays", "stays")["digest"]
    before = tags(here.proxy.upstream.host, here.repository)
    digest = Handmade(here.proxy.host, here.repository).image("goes", "1")["digest"]
    assert Handmade(here.proxy.host, here.repository).image("goes", "2")["digest"] == digest
    if client == "regctl":
        here.clients.run("regctl", "registry", "set", "--tls", "disabled", here.proxy.host)
    gone = here.clients.run(client, *CLIENTS[client](here, digest))
    assert gone.status == 0, gone.output
    for host in (here.proxy.host, here.proxy.upstream.host):
        assert sorted(tags(host, here.repository)) == sorted(before)
        assert manifest(host, here.repository, digest).status == 404
        assert manifest(host, here.repository, stays).status == 200
    assert referrers(here, digest) == []
    assert referrers(here, stays)
    assert [of for of, _, _ in here.proxy.signatures(here.repository) if of == digest] == []


def test_regctl_deletes_a_tag_and_leaves_no_others(anywhere: Here) -> None:
    """Where upstream deletes no tags, regctl puts a dummy there and deletes that (regclient 258)."""
    here = anywhere
    digest = Handmade(here.proxy.host, here.repository).image("kept", "1")["digest"]
    Handmade(here.proxy.host, here.repository).image("kept", "1.1")
    before = tags(here.proxy.host, here.repository)
    here.clients.run("regctl", "registry", "set", "--tls", "disabled", here.proxy.host)
    gone = here.clients.run("regctl", "tag", "delete", here.name(":1.1"))
    assert gone.status == 0, gone.output
    assert set(tags(here.proxy.host, here.repository)) == set(before) - {"1.1"}
    bound = [bound.rpartition("/")[2] for of, _, bound in here.proxy.signatures(here.repository) if of == digest]
    assert "app:1" in bound
    assert "app:1.1" not in bound
    here.verifiers.accept(here.repository, "1", digest)


@pytest.mark.parametrize("way", ["2", "3"])
def test_what_cosign_signed_beside_ours_stays(anywhere: Here, partner: Partner, way: str) -> None:
    here = anywhere
    digest = Handmade(here.proxy.host, here.repository).image("theirs", "1")["digest"]
    assert sign(partner, way, here.name(f"@{digest}"), here.clients.home).status == 0
    ours = {artifact["digest"] for artifact in referrers(here, digest)}
    sig = manifest(here.proxy.host, here.repository, digest.replace(":", "-") + ".sig").json()["layers"]
    assert (len(sig), len(ours)) == ((3, 1) if way == "2" else (2, 2))
    assert ask(here.proxy.host, "DELETE", f"/v2/{here.repository}/manifests/{digest}").status == 202
    left = manifest(here.proxy.upstream.host, here.repository, digest.replace(":", "-") + ".sig")
    still = {artifact["digest"] for artifact in referrers(here, digest)}
    if way == "2":
        assert [layer["digest"] for layer in left.json()["layers"]] == [sig[-1]["digest"]]
        assert still == set()
    else:
        assert left.status == 404
        assert len(still & ours) == 1
        assert all(manifest(here.proxy.upstream.host, here.repository, each).status == 200 for each in still)


def test_what_notation_signed_beside_ours_stays(anywhere: Here, tmp_path: Path) -> None:
    here, ca = anywhere, new_ca()
    digest = Handmade(here.proxy.host, here.repository).image("theirs", "1")["digest"]
    key = MAKERS["p256"]()
    notation = Notation(tmp_path / "notation-home")
    notation.has("vendor", key, ca.chain(leaf(key)))
    signed = notation.sign(here.name(f"@{digest}"), "jws")
    assert signed.status == 0, signed.output
    assert len(referrers(here, digest)) == 2
    assert ask(here.proxy.host, "DELETE", f"/v2/{here.repository}/manifests/{digest}").status == 202
    (left,) = referrers(here, digest)
    assert left["artifactType"] == "application/vnd.cncf.notary.signature"
    assert manifest(here.proxy.upstream.host, here.repository, left["digest"]).status == 200
    assert manifest(here.proxy.host, here.repository, digest.replace(":", "-") + ".sig").status == 404


def test_an_index_that_is_deleted_leaves_its_children_and_their_signatures(anywhere: Here) -> None:
    here = anywhere
    pushes = Handmade(here.proxy.host, here.repository)
    children = [pushes.image(content) for content in ("amd64", "arm64")]
    index = pushes.index(children, "1")["digest"]
    assert ask(here.proxy.host, "DELETE", f"/v2/{here.repository}/manifests/{index}").status == 202
    assert sorted(tags(here.proxy.upstream.host, here.repository)) == sorted(
        each["digest"].replace(":", "-") + ".sig" for each in children
    )
    for child in children:
        assert manifest(here.proxy.host, here.repository, child["digest"]).status == 200
        bound = [bound for of, _, bound in here.proxy.signatures(here.repository) if of == child["digest"]]
        assert [each.rpartition("/")[2] for each in bound] == ["app"]


def test_where_upstream_deletes_nothing_nothing_goes(tmp_path: Path) -> None:
    off = {"storage": {"filesystem": {"rootdirectory": str(tmp_path / "up" / "storage")}, "delete": {"enabled": False}}}
    with docker_registry(tmp_path / "up", extra=off) as upstream, countersign(tmp_path / "proxy", upstream) as proxy:
        digest = Handmade(proxy.host, "team/app").image("stays", "1")["digest"]
        before = tags(proxy.host, "team/app"), proxy.signatures("team/app")
        for reference in (digest, "1"):
            assert ask(proxy.host, "DELETE", f"/v2/team/app/manifests/{reference}").status in (400, 405)
        assert (tags(proxy.host, "team/app"), proxy.signatures("team/app")) == before
        assert proxy.events("team/app", "signature.re%") == []
        assert manifest(proxy.host, "team/app", "1").status == 200


@pytest.mark.parametrize("manner", ["dash-is-digest", "no-head", "no-digest-header", "tags-unsorted"])
def test_deletions_where_registries_have_other_manners(tmp_path: Path, manner: str) -> None:
    with (
        docker_registry(tmp_path / "plain") as plain,
        mannered(tmp_path, plain, manner) as upstream,
        countersign(tmp_path / "proxy", upstream) as proxy,
    ):
        digest = Handmade(proxy.host, "team/app").image("goes", "1")["digest"]
        gone = ask(proxy.host, "DELETE", f"/v2/team/app/manifests/{digest}")
        assert gone.status == 202
        assert "warning" not in gone.headers
        assert tags(plain.host, "team/app") == []
