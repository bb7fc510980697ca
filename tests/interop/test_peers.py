"""The starters start, and what they start behaves as the other interop tests take for granted."""

import json
import urllib.request
from pathlib import Path

import pytest

from tests.interop.engines import containerd, docker, podman
from tests.interop.images import docker_archive, image, index, push
from tests.interop.peers import must, need, run
from tests.interop.registries import Registry, behind, docker_registry, passwords, token_server, with_referrers

ACCEPT = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json"


def manifest(url: str) -> bytes:
    request = urllib.request.Request(url, headers={"Accept": ACCEPT})  # noqa: S310 - http on loopback
    with urllib.request.urlopen(request) as reply:  # noqa: S310 - http on loopback
        content: bytes = reply.read()
        return content


def test_images_arrive_byte_for_byte(each_registry: Registry, tmp_path: Path) -> None:
    single, several = image(tmp_path / "single"), index(tmp_path / "several")
    push(single, f"{each_registry.host}/app:1")
    push(several, f"{each_registry.host}/multi:1")
    top = json.loads(manifest(f"{each_registry.url}/v2/multi/manifests/{several.digest}"))
    assert [child["digest"] for child in top["manifests"]] == list(several.children)
    assert must("skopeo", "inspect", "--tls-verify=false", "--format", "{{.Digest}}", at(each_registry, "app:1")) == (
        f"{single.digest}\n"
    )


@pytest.mark.go
def test_one_registry_knows_referrers(tmp_path: Path) -> None:
    with with_referrers(tmp_path / "r") as registry:
        digest = push(image(tmp_path / "i"), f"{registry.host}/app:1")
        own = {"HOME": str(tmp_path), "DOCKER_CONFIG": str(tmp_path)}
        (tmp_path / "note").write_text("hello")
        subject = f"{registry.host}/app@{digest}"
        attach = ["attach", "--plain-http", "--artifact-type", "test/note", "--disable-path-validation"]
        must("oras", *attach, subject, tmp_path / "note", environment=own)
        listed = json.loads(manifest(f"{registry.url}/v2/app/referrers/{digest}"))
        # It names the config's type, not the manifest's own artifactType: real registries do that, so it may stay.
        assert [entry["artifactType"] for entry in listed["manifests"]] == ["application/vnd.oci.empty.v1+json"]


def at(registry: Registry, name: str) -> str:
    return f"docker://{registry.host}/{name}"


def test_the_same_content_is_the_same_digest(tmp_path: Path) -> None:
    assert image(tmp_path / "a", "x").digest == image(tmp_path / "b", "x").digest
    assert image(tmp_path / "c", "y").digest != image(tmp_path / "d", "x").digest


def test_a_registry_started_again_keeps_what_it_had(tmp_path: Path) -> None:
    with docker_registry(tmp_path / "r") as first:
        digest = push(image(tmp_path / "i"), f"{first.host}/app:1")
        port = int(first.host.rpartition(":")[2])
    with docker_registry(tmp_path / "r", port=port) as second:
        assert second.host == first.host
        assert manifest(f"{second.url}/v2/app/manifests/{digest}")


def test_passwords(tmp_path: Path) -> None:
    with docker_registry(tmp_path / "r", auth=passwords(tmp_path, {"alice": "secret"})) as registry:
        layout = image(tmp_path / "i")
        push(layout, f"{registry.host}/app:1", credentials="alice:secret")
        wrong = run("skopeo", "inspect", "--tls-verify=false", "--creds", "alice:guess", at(registry, "app:1"))
        assert "unauthorized" in wrong.output or "authentication required" in wrong.output


@pytest.mark.parametrize("client", ["skopeo", "crane"])
def test_tokens(tmp_path: Path, client: str) -> None:
    need(client)
    users, grants = {"alice": "secret"}, {"alice": [("team/*", "pull,push")], "": [("public/*", "pull")]}
    with (
        token_server(tmp_path / "t", users=users, grants=grants) as tokens,
        docker_registry(tmp_path / "r", auth=behind(tokens)) as registry,
    ):
        layout = image(tmp_path / "i")
        push(layout, f"{registry.host}/team/app:1", credentials="alice:secret")
        if client == "skopeo":
            nobody = run("skopeo", "inspect", "--tls-verify=false", "--no-creds", at(registry, "team/app:1"))
        else:
            empty = {"DOCKER_CONFIG": str(tmp_path)}
            nobody = run("crane", "digest", "--insecure", f"{registry.host}/team/app:1", environment=empty)
        assert nobody.status != 0
        asked = tokens.requests()
        assert any(one["account"] == "alice" and "repository:team/app" in one["scope"] for one in asked)
        assert any(one["account"] == "" and "repository:team/app:pull" in one["scope"] for one in asked)


def test_a_token_may_be_short(tmp_path: Path) -> None:
    users, grants = {"alice": "secret"}, {"alice": [("**", "pull,push")]}
    with (
        token_server(tmp_path / "t", users=users, grants=grants, life=-70) as tokens,
        docker_registry(tmp_path / "r", auth=behind(tokens)) as registry,
    ):
        layout = image(tmp_path / "i")
        refused = run(
            "skopeo", "copy", "--dest-tls-verify=false", "--dest-creds=alice:secret", layout.source, at(registry, "a:1")
        )
        assert refused.status != 0


def test_docker(registry: Registry, tmp_path: Path) -> None:
    name = f"{registry.host}/app:1"
    archive = docker_archive(tmp_path / "app.tar", name)
    with docker(tmp_path / "docker") as client:
        client.must("load", "--input", archive)
        assert "digest: sha256:" in client.must("push", name)
        client.must("rmi", name)
        assert "Downloaded newer image" in client.must("pull", name)
        pid = client.daemon.process.pid
    assert not Path(f"/proc/{pid}").exists()


def test_containerd(registry: Registry, tmp_path: Path) -> None:
    name = f"{registry.host}/app:1"
    push(image(tmp_path / "i"), name)
    with containerd(tmp_path / "containerd") as client:
        client.host(registry.host, f'server = "{registry.url}"\n')
        pulled = client.pull(name)
        assert pulled.status == 0, pulled.output
        missing = client.pull(f"{registry.host}/app:none")
        assert "not found" in missing.output
        again = client.push(f"{registry.host}/copy:1", name)
        assert again.status == 0, again.output


def test_podman(registry: Registry, tmp_path: Path) -> None:
    name = f"{registry.host}/app:1"
    push(image(tmp_path / "i"), name)
    with podman() as client:
        pulled = client("pull", "--tls-verify=false", name)
        assert pulled.status == 0, pulled.output


@pytest.mark.go
@pytest.mark.parametrize("name", ["cosign", "cosign2"])
def test_cosign_signs_and_verifies(registry: Registry, tmp_path: Path, name: str) -> None:
    digest = push(image(tmp_path / "i"), f"{registry.host}/app:1")
    own = {"COSIGN_PASSWORD": "", "HOME": str(tmp_path), "DOCKER_CONFIG": str(tmp_path)}
    must(name, "generate-key-pair", "--output-key-prefix", tmp_path / "key", environment=own)
    reference = f"{registry.host}/app@{digest}"
    quiet = ["--use-signing-config=false"] if name == "cosign" else []
    must(
        name, "sign", *quiet, "--tlog-upload=false", "--yes", "--key", tmp_path / "key.key", reference, environment=own
    )
    flags = ["--insecure-ignore-tlog", "--key", str(tmp_path / "key.pub")]
    must(name, "verify", *flags, reference, environment=own)
    unsigned = push(image(tmp_path / "j", "other"), f"{registry.host}/app:2")
    assert run(name, "verify", *flags, f"{registry.host}/app@{unsigned}", environment=own).status != 0


@pytest.mark.go
@pytest.mark.parametrize("client", ["crane", "regctl", "oras"])
def test_small_clients(each_registry: Registry, tmp_path: Path, client: str) -> None:
    name = f"{each_registry.host}/app:1"
    digest = push(image(tmp_path / "i"), name)
    words: dict[str, list[str | Path]] = {
        "crane": ["digest", "--insecure", name],
        "regctl": ["--host", f"reg={each_registry.host},tls=disabled", "image", "digest", name],
        "oras": ["resolve", "--plain-http", name],
    }
    own = {"HOME": str(tmp_path), "DOCKER_CONFIG": str(tmp_path)}
    assert must(client, *words[client], environment=own).strip() == digest


@pytest.mark.go
def test_containers_image_asks_the_policy(registry: Registry, tmp_path: Path) -> None:
    name = f"docker://{registry.host}/app:1"
    push(image(tmp_path / "i"), f"{registry.host}/app:1")
    policies = {"open": "insecureAcceptAnything", "closed": "reject"}
    ended = {}
    for word, kind in policies.items():
        policy = tmp_path / f"{word}.json"
        policy.write_text(json.dumps({"default": [{"type": kind}]}))
        arguments = ["-policy", str(policy), "-registries-d", str(tmp_path), name, f"dir:{tmp_path / word}"]
        ended[word] = run("containersimage", *arguments)
    assert ended["open"].status == 0, ended["open"].output
    assert ended["closed"].status == 1
    assert "rejected by policy" in ended["closed"].output
