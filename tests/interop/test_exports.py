"""What `/-/trust/` publishes, given to the tools it is for: old images, new images, images of nobody."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

from deploy.layouts import image
from tests.interop.countersign import Proxy, countersign, own
from tests.interop.images import push
from tests.interop.peers import Ran, must, need, run
from tests.interop.registries import docker_registry
from tests.test_docs_pages import ROOT

pytestmark = pytest.mark.go
PAGE = ROOT / "docs" / "verify-elsewhere.md"


def unguarded(settings: dict[str, Any]) -> None:
    """Under `open/` nothing is signed and everything served: there the other verifiers are alone."""
    nothing = {"repositories": ["open/**"], "push": {"sign_with": []}, "pull": {"mode": "off"}}
    settings["policies"].append(nothing)


@dataclass(frozen=True)
class Turned:
    """A proxy whose key was rotated: exports from before, while the next was prepared; two images, one of each key."""

    proxy: Proxy
    folder: Path
    before: Path

    def get(self, path: str) -> bytes:
        """What is published there now."""
        with urlopen(f"{self.proxy.url}/-/trust/{path}", timeout=20) as reply:  # noqa: S310 - http on loopback
            return bytes(reply.read())

    def digest(self, name: str) -> str:
        """The digest of an image, as the proxy answers it."""
        repository, _, tag = name.partition(":")
        asked = Request(f"{self.proxy.url}/v2/{repository}/manifests/{tag}", method="HEAD", headers={"Accept": "*/*"})  # noqa: S310 - http on loopback
        with urlopen(asked, timeout=20) as reply:  # noqa: S310 - http on loopback
            return str(reply.headers["docker-content-digest"])

    def sh(self, line: str, folder: Path, cosign: str = "cosign") -> Ran:
        """What a shell did with a line of a page; its `cosign` is of that version, and nothing is logged in."""
        tools = folder / "bin"
        tools.mkdir(parents=True, exist_ok=True)
        if not (tools / "cosign").exists():
            (tools / "cosign").symlink_to(need(cosign))
        here = {**os.environ, **own(folder / "home"), "PATH": f"{tools}:{os.environ['PATH']}"}
        done = subprocess.run(
            ["/bin/bash", "-ec", line], cwd=folder, env=here, capture_output=True, text=True, timeout=120, check=False
        )
        return Ran(done.returncode, done.stdout, done.stderr)


IMAGES = {"old": "team/app:old", "new": "team/app:new"}
NOBODY = "open/app:1"


@pytest.fixture(scope="module")
def turned(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Turned]:
    folder = tmp_path_factory.mktemp("exports")
    with (
        docker_registry(folder / "upstream") as upstream,
        countersign(folder / "proxy", upstream, unguarded) as proxy,
    ):
        push(image(folder / "old", "old"), f"{proxy.host}/{IMAGES['old']}")
        push(image(folder / "nobody", "nobody"), f"{proxy.host}/{NOBODY}")
        prepared = proxy("keys", "prepare", "release", "--reason", "it is Tuesday", "--yes", "-o", "json")
        assert prepared.status == 0, prepared.output
        kept = proxy("trust", "export", "--key", proxy.key, "--to", folder / "before", "--server", proxy.url)
        assert kept.status == 0, kept.output
        keys = json.loads(proxy("keys", "list", "-o", "json").stdout)["keys"]
        (new,) = [key["fingerprint"] for key in keys if key["state"] == "prepared"]
        activated = proxy("keys", "activate", new, "--reason", "it is Tuesday", "--yes")
        assert activated.status == 0, activated.output
        push(image(folder / "new", "new"), f"{proxy.host}/{IMAGES['new']}")
        yield Turned(proxy, folder, folder / "before" / "release")


@pytest.fixture(params=["before", "after"])
def exports(request: pytest.FixtureRequest, turned: Turned, tmp_path: Path) -> Path:
    """The files of the profile as they were before the new key signed, and as they are now."""
    if request.param == "before":
        return turned.before
    for file in json.loads(turned.get("index.json"))["files"]:
        (tmp_path / file["path"]).parent.mkdir(exist_ok=True)
        (tmp_path / file["path"]).write_bytes(turned.get(file["path"]))
    return tmp_path / "release"


def containers_image(turned: Turned, exports: Path, name: str, out: Path) -> Ran:
    places = out / "registries.d"
    places.mkdir(parents=True)
    (places / "countersign.yaml").write_bytes((exports / "registries.yaml").read_bytes())
    flags: list[str | Path] = ["-policy", exports / "policy.json", "-registries-d", places]
    return run("containersimage", *flags, f"docker://{turned.proxy.host}/{name}", f"dir:{out / 'image'}")


@pytest.mark.parametrize("which", list(IMAGES))
def test_containers_image_takes_old_and_new(turned: Turned, exports: Path, which: str, tmp_path: Path) -> None:
    pulled = containers_image(turned, exports, IMAGES[which], tmp_path / "out")
    assert pulled.status == 0, pulled.output


def test_containers_image_refuses_what_nobody_signed(turned: Turned, exports: Path, tmp_path: Path) -> None:
    pulled = containers_image(turned, exports, NOBODY, tmp_path / "out")
    assert pulled.status != 0
    assert "signature" in pulled.output


def policy_tester(turned: Turned, exports: Path, name: str, home: Path) -> Ran:
    policy: list[str | Path] = ["-policy", exports / "cluster-image-policy.yaml"]
    return run("policytester", *policy, "-image", f"{turned.proxy.host}/{name}", environment=own(home))


@pytest.mark.parametrize("which", list(IMAGES))
def test_the_policy_controller_takes_old_and_new(turned: Turned, exports: Path, which: str, tmp_path: Path) -> None:
    tested = policy_tester(turned, exports, IMAGES[which], tmp_path)
    assert tested.status == 0, tested.output


def test_the_policy_controller_refuses_what_nobody_signed(turned: Turned, exports: Path, tmp_path: Path) -> None:
    tested = policy_tester(turned, exports, NOBODY, tmp_path)
    assert tested.status != 0
    assert "no signatures found" in tested.output or "no matching signatures" in tested.output, tested.output


PINNED = "kyverno-image-validating-policy.yaml"  # in a cluster, Kyverno's webhook adds the digest before it judges
KYVERNO = ["kyverno.yaml", PINNED]


def kyverno(turned: Turned, exports: Path, name: str, folder: Path, file: str) -> Ran:
    """What Kyverno's own command line, which asks the registry, says of a pod with that image."""
    if file == PINNED:
        name = f"{name}@{turned.digest(name)}"
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "app", "namespace": "default"},
        "spec": {"containers": [{"name": "app", "image": f"{turned.proxy.host}/{name}"}]},
    }
    (folder / "pod.yaml").write_text(json.dumps(pod))
    asked: list[str | Path] = [exports / file, "--resource", folder / "pod.yaml", "--registry"]
    return run("kyverno", "apply", *asked, environment=own(folder / "home"))


@pytest.mark.parametrize("file", KYVERNO)
@pytest.mark.parametrize("which", list(IMAGES))
def test_kyverno_takes_old_and_new(turned: Turned, exports: Path, which: str, file: str, tmp_path: Path) -> None:
    tested = kyverno(turned, exports, IMAGES[which], tmp_path, file)
    assert tested.status == 0, tested.output
    assert re.search(r"pass: [1-9]\d*, fail: 0, warn: 0, error: 0, skip: 0", tested.output), tested.output


@pytest.mark.parametrize("file", KYVERNO)
def test_kyverno_refuses_what_nobody_signed(turned: Turned, exports: Path, file: str, tmp_path: Path) -> None:
    tested = kyverno(turned, exports, NOBODY, tmp_path, file)
    assert tested.status != 0
    assert re.search("no signatures found|no key of this registry signed the image", tested.output), tested.output


def commands_of(text: str) -> list[str]:
    """The commands that comments part from each other."""
    parts = re.split(r"^#.*\n", text, flags=re.MULTILINE)
    return [part for part in parts if part.strip()]


@pytest.mark.parametrize("which", list(IMAGES))
def test_the_commands_for_an_image_work_as_they_stand(turned: Turned, which: str, tmp_path: Path) -> None:
    fetch, with_3, with_2 = commands_of(turned.get(f"release/commands.txt?image={IMAGES[which]}").decode())
    for cosign, lines in (("cosign", with_3), ("cosign2", with_2)):
        for line in (fetch, lines):
            done = turned.sh(line, tmp_path / cosign, cosign)
            assert done.status == 0, f"{line}\n{done.output}"


@pytest.mark.parametrize("cosign", ["cosign", "cosign2"])
def test_the_commands_refuse_an_image_of_nobody(turned: Turned, cosign: str, tmp_path: Path) -> None:
    fetch, with_3, with_2 = commands_of(turned.get(f"release/commands.txt?image={NOBODY}").decode())
    assert turned.sh(fetch, tmp_path, cosign).status == 0
    assert turned.sh(with_3 if cosign == "cosign" else with_2, tmp_path, cosign).status != 0


def page(heading: str, proxy: Proxy) -> list[str]:
    """The commands of that section, with this proxy's address in them."""
    (section,) = re.findall(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    lines = re.findall(r"^    (.*)$", section, re.MULTILINE)
    assert lines
    address = [line.replace("https://registry.example.com", proxy.url) for line in lines]
    return [line.replace("registry.example.com", proxy.host) for line in address]


def test_the_announcement_is_checked_as_the_page_says(turned: Turned, tmp_path: Path) -> None:
    """With openssl, cosign and our own command, by somebody who has the key that signs now."""
    keys = json.loads(turned.proxy("keys", "list", "-o", "json").stdout)["keys"]
    (active,) = [key["public_key"] for key in keys if key["profile"] == "release" and key["state"] == "active"]
    (tmp_path / "release.pub").write_text(active)
    *typed, ours = page("Trust the first key", turned.proxy)
    done = turned.sh("\n".join(typed), tmp_path)
    assert done.status == 0, done.output
    assert "Verified OK" in done.output
    kept = turned.sh(f"{Path(sys.executable).with_name('countersign')}{ours.removeprefix('countersign')}", tmp_path)
    assert kept.status == 0, kept.output
    assert (tmp_path / "trust" / "release" / "policy.json").exists()
    forged = (tmp_path / "index.json").read_bytes().replace(b'"active"', b'"Active"')
    (tmp_path / "index.json").write_bytes(forged)
    for line in typed[-2:]:
        assert turned.sh(line, tmp_path).status != 0, line


def test_the_old_key_announced_the_new_one(turned: Turned) -> None:
    """What was kept before the new key signed: its announcement, by the only key that was known then."""
    index = turned.folder / "before" / "index.json"
    (signature,) = (turned.folder / "before").glob("index.*.sig")
    must("openssl", "dgst", "-sha256", "-verify", turned.proxy.key, "-signature", signature, index)
    said = json.loads(index.read_bytes())
    assert sorted(k["state"] for k in said["keys"] if k["profile"] == "release") == ["active", "prepared"]


def test_an_announcement_is_no_signature_of_an_image(turned: Turned, tmp_path: Path) -> None:
    """cosign is given the index as the payload of a signature, with the true signature of it."""
    index = turned.folder / "before" / "index.json"
    (signature,) = (turned.folder / "before").glob("index.*.sig")
    name = f"{turned.proxy.upstream.host}/open/app:1"
    encoded = tmp_path / "signature"
    encoded.write_bytes(base64.b64encode(signature.read_bytes()))
    attach: list[str | Path] = ["--payload", index, "--signature", encoded]
    must("cosign", "attach", "signature", *attach, name, environment=own(tmp_path / "home"))
    known: list[str | Path] = ["--key", turned.proxy.key, "--insecure-ignore-tlog", "--new-bundle-format=false"]
    verified = run("cosign", "verify", *known, name, environment=own(tmp_path / "home"))
    assert verified.status != 0
    assert "unmarshal" in verified.output or "digest" in verified.output, verified.output


def test_cosign_s_commands_of_the_page(turned: Turned, tmp_path: Path) -> None:
    push(image(tmp_path / "one", "one"), f"{turned.proxy.host}/team/app:1")
    keys = json.loads(turned.proxy("keys", "list", "-o", "json").stdout)["keys"]
    (active,) = [key["public_key"] for key in keys if key["profile"] == "release" and key["state"] == "active"]
    (tmp_path / "release.pub").write_text(active)
    fetch, with_3, root, with_2 = page("cosign", turned.proxy)
    assert "cosign verify --key" in turned.sh(fetch, tmp_path).stdout
    assert turned.sh(with_3, tmp_path).status == 0
    (tmp_path / "two").mkdir()
    (tmp_path / "two" / "release.pub").write_text(active)
    done = turned.sh(f"{root}\n{with_2}", tmp_path / "two", "cosign2")
    assert done.status == 0, done.output


def test_containers_files_are_fetched_as_the_page_says(turned: Turned, tmp_path: Path) -> None:
    (tmp_path / "registries.d").mkdir()
    for line in page("podman, skopeo, buildah, CRI-O (containers/image)", turned.proxy):
        done = turned.sh(line, tmp_path)
        assert done.status == 0, done.output
    assert (tmp_path / "policy.json").read_bytes() == turned.get("release/policy.json")
