"""Every kind of manifest that clients push: it comes out verified, with everything it lists, and pulls again."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.layouts import docker_archive
from tests.interop.countersign import own
from tests.interop.handmade import Handmade
from tests.interop.peers import run
from tests.interop.shared import Here
from tests.interop.wire import DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST, ask, manifest

pytestmark = pytest.mark.go


def upstream_digest(here: Here, reference: str = "1") -> str:
    found = manifest(here.proxy.upstream.host, here.repository, reference)
    assert found.status == 200, found
    return found.headers["docker-content-digest"]


def two_images(here: Here) -> list[str]:
    """Two images pushed by digest's way of a tag each; these are their names."""
    for number in ("amd", "arm"):
        pushed = here.clients.push("crane", number, here.name(f":{number}"))
        assert pushed.status == 0, pushed.output
    return [here.name(":amd"), here.name(":arm")]


def test_docker_schema_2(anywhere: Here, tmp_path: Path) -> None:
    here = anywhere
    archive = docker_archive(tmp_path / "a.tar", here.name())
    pushed = here.clients.run(
        "skopeo", "copy", "--dest-tls-verify=false", f"docker-archive:{archive}", f"docker://{here.name()}"
    )
    assert pushed.status == 0, pushed.output
    found = manifest(here.proxy.host, here.repository, "1")
    assert found.headers["content-type"] == DOCKER_MANIFEST
    here.verifiers.accept(here.repository, "1", found.headers["docker-content-digest"])


@pytest.mark.parametrize("maker", ["docker", "podman", "crane", "regctl", "oras"])
def test_an_index_made_of_what_is_there(anywhere: Here, maker: str) -> None:
    here = anywhere
    first, second = two_images(here)
    top, clients = here.name(":both"), here.clients
    if maker == "docker":
        done = clients.docker("manifest", "create", "--insecure", top, first, second)
        assert done.status == 0, done.output
        done = clients.docker("manifest", "push", "--insecure", "--purge", top)
    elif maker == "podman":
        clients.podman("manifest", "create", top)
        for child in (first, second):
            done = clients.podman("manifest", "add", "--tls-verify=false", top, f"docker://{child}")
            assert done.status == 0, done.output
        done = clients.podman("manifest", "push", "--all", "--tls-verify=false", top, f"docker://{top}")
    elif maker == "crane":
        done = clients.run("crane", "index", "append", "--insecure", "-m", first, "-m", second, "-t", top)
    elif maker == "regctl":
        plain = ["--host", f"reg={here.proxy.host},tls=disabled"]
        done = clients.run("regctl", *plain, "index", "create", top, "--ref", first, "--ref", second)
    else:
        done = clients.run("oras", "manifest", "index", "create", "--plain-http", top, "amd", "arm")
    assert done.status == 0, done.output
    found = manifest(here.proxy.host, here.repository, "both")
    assert found.headers["content-type"] in {OCI_INDEX, DOCKER_LIST}
    children = [child["digest"] for child in found.json()["manifests"]]
    assert len(children) == 2
    here.verifiers.accept(here.repository, "both", found.headers["docker-content-digest"], children)
    assert clients.pull("skopeo", top).status == 0


def test_an_artifact_and_what_is_attached_to_it(anywhere: Here, tmp_path: Path) -> None:
    here = anywhere
    (tmp_path / "sbom.json").write_text('{"spdxVersion": "SPDX-2.3"}')
    (tmp_path / "model.bin").write_bytes(b"weights")
    oras = own(here.clients.home)
    common = ["--plain-http", "--disable-path-validation"]
    artifact = [*common, "--artifact-type", "application/vnd.example.model", here.name()]
    pushed = run("oras", "push", *artifact, f"{tmp_path / 'model.bin'}:application/octet-stream", environment=oras)
    assert pushed.status == 0, pushed.output
    digest = upstream_digest(here)
    here.verifiers.accept(here.repository, "1", digest, runs=False)
    kind = ["--artifact-type", "application/spdx+json", here.name()]
    attached = run(
        "oras", "attach", *common, *kind, f"{tmp_path / 'sbom.json'}:application/spdx+json", environment=oras
    )
    assert attached.status == 0, attached.output
    filtered = f"/v2/{here.repository}/referrers/{digest}?artifactType=application/spdx%2Bjson"
    [sbom] = [  # a registry with the API of its own need not filter, nor say the type right
        entry
        for entry in ask(here.proxy.host, "GET", filtered).json()["manifests"]
        if manifest(here.proxy.host, here.repository, entry["digest"]).json()["artifactType"] == "application/spdx+json"
    ]
    here.verifiers.accepted("cosign", "the SBOM", here.verifiers.cosign(f"{here.repository}@{sbom['digest']}"))
    discovered = run("oras", "discover", "--plain-http", "--format", "json", here.name(), environment=oras)
    assert sbom["digest"] in discovered.stdout
    pulled = here.clients.pull("oras", here.name(f"@{sbom['digest']}"))
    assert pulled.status == 0, pulled.output


def test_a_referrer_that_was_deleted_behind_the_proxy_stops_none_after_it(anywhere: Here) -> None:
    """distribution takes no index that lists a manifest it does not have, and the list has its entry for ever."""
    here = anywhere
    assert here.clients.push("crane", "hello", here.name()).status == 0
    digest, pushes = upstream_digest(here), Handmade(here.proxy.host, here.repository)
    body = manifest(here.proxy.host, here.repository, "1").body
    about = {"mediaType": OCI_MANIFEST, "digest": digest, "size": len(body)}

    def attach(text: str) -> str:
        layer = pushes.blob(text.encode(), "text/plain")
        config = pushes.blob(b"{}", "application/vnd.oci.empty.v1+json")
        note = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "artifactType": "text/plain"}
        refers = {**note, "config": config, "layers": [layer], "subject": about}
        return str(pushes.manifest(refers, OCI_MANIFEST)["digest"])

    gone = attach("first")
    assert ask(here.proxy.upstream.host, "DELETE", f"/v2/{here.repository}/manifests/{gone}").status == 202
    there = attach("second")
    listed = ask(here.proxy.host, "GET", f"/v2/{here.repository}/referrers/{digest}").json()["manifests"]
    assert there in {entry["digest"] for entry in listed}
    assert len(listed) == 2, "ours and theirs"
    here.verifiers.accept(here.repository, "1", digest)


def test_a_helm_chart(anywhere: Here, tmp_path: Path) -> None:
    """As `helm push` writes it: a config of its own type and one layer."""
    here = anywhere
    (tmp_path / "config.json").write_text('{"name": "app", "version": "0.1.0", "apiVersion": "v2"}')
    (tmp_path / "app-0.1.0.tgz").write_bytes(b"\x1f\x8bchart")
    config = f"{tmp_path / 'config.json'}:application/vnd.cncf.helm.config.v1+json"
    layer = f"{tmp_path / 'app-0.1.0.tgz'}:application/vnd.cncf.helm.chart.content.v1.tar+gzip"
    common = ["--plain-http", "--disable-path-validation", "--image-spec", "v1.0"]
    pushed = here.clients.run("oras", "push", *common, "--config", config, here.name(":0.1.0"), layer)
    assert pushed.status == 0, pushed.output
    here.verifiers.accept(here.repository, "0.1.0", upstream_digest(here, "0.1.0"), runs=False)
    pulled = here.clients.pull("oras", here.name(":0.1.0"))
    assert pulled.status == 0, pulled.output


def test_an_image_with_build_attestations(anywhere: Here) -> None:
    here = anywhere
    top, [image, attestation] = Handmade(here.proxy.host, here.repository).buildx("hello", "1")
    here.verifiers.accept(here.repository, "1", top["digest"], [image["digest"]])
    about = f"{here.repository}@{attestation['digest']}"
    for version in (3, 2):
        here.verifiers.accepted("cosign", about, here.verifiers.cosign(about, version=version))
    assert manifest(here.proxy.host, here.repository, attestation["digest"]).status == 200


def test_an_old_build_cache(anywhere: Here) -> None:
    """distribution 3.1 no longer takes these; the others do, and then the index is signed and its blobs are served."""
    here = anywhere
    by_hand = Handmade(here.proxy.host, here.repository)
    if here.upstream == "registry":
        with pytest.raises(AssertionError, match="MANIFEST_BLOB_UNKNOWN"):
            by_hand.build_cache("hello", "cache")
        assert not here.proxy.signatures(here.repository)
        return
    top, entries = by_hand.build_cache("hello", "cache")
    here.verifiers.accept(here.repository, "cache", top["digest"], runs=False)
    assert manifest(here.proxy.host, here.repository, "cache").headers["content-type"] == OCI_INDEX
    assert {digest for digest, _, _ in here.proxy.signatures(here.repository)} == {top["digest"]}
    for entry in entries:
        assert ask(here.proxy.host, "GET", f"/v2/{here.repository}/blobs/{entry['digest']}").status == 200


def test_a_nested_index_by_hand(anywhere: Here) -> None:
    here = anywhere
    by_hand = Handmade(here.proxy.host, here.repository)
    image = by_hand.image("hello")
    inner = by_hand.index([{**image, "platform": {"architecture": "amd64", "os": "linux"}}])
    top = by_hand.index([inner], "1")
    for one in (inner, top):
        here.verifiers.accepted("cosign", "index", here.verifiers.cosign(f"{here.repository}@{one['digest']}"))
    here.verifiers.accept(here.repository, "1", top["digest"], [inner["digest"], image["digest"]], runs=False)
    bound = {
        bound.rpartition("/")[2]
        for digest, _, bound in here.proxy.signatures(here.repository)
        if digest == image["digest"]
    }
    assert bound == {"app", "app:1"}
