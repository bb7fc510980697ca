"""The trust store and policy that `/-/trust/` publishes, given to notation as its commands say."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from deploy.layouts import image
from tests.interop.countersign import Proxy, countersign, own
from tests.interop.images import push
from tests.interop.peers import Ran, need
from tests.interop.registries import docker_registry
from tests.test_docs_pages import ROOT

pytestmark = pytest.mark.go
PAGE = ROOT / "docs" / "verify-elsewhere.md"
SUBJECT = "C=DE,ST=Berlin,O=Example,CN=images"


def with_notation(settings: dict[str, Any]) -> None:
    """What is pushed gets a signature of notation's beside the others; under `open/` nothing is signed."""
    settings["policies"][0]["push"]["formats"] = ["cosign-simple", "sigstore-bundle", "notation-jws"]
    nothing = {"repositories": ["open/**"], "push": {"sign_with": []}, "pull": {"mode": "off"}}
    settings["policies"].append(nothing)


def active(proxy: Proxy) -> str:
    ((fingerprint,),) = proxy.rows("SELECT fingerprint FROM keys WHERE profile = 'release' AND state = 'active'")
    return str(fingerprint)


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """Two images, each signed by another key with a certificate of its own."""
    need("notation")
    folder = tmp_path_factory.mktemp("exports")
    with (
        docker_registry(folder / "upstream") as upstream,
        countersign(folder / "proxy", upstream, with_notation) as started,
    ):
        for name in ("old", "new"):
            if name == "new":
                rotated = started("keys", "rotate", "release", "--reason", "it is Tuesday", "--yes")
                assert rotated.status == 0, rotated.output
            certify = ["--subject", SUBJECT, "--reason", "to try", "--yes"]
            certified = started("keys", "self-signed", active(started), *certify)
            assert certified.status == 0, certified.output
            push(image(folder / name, name), f"{started.host}/team/app:{name}")
        push(image(folder / "nobody", "nobody"), f"{started.host}/open/app:1")
        yield started


def typed(proxy: Proxy, name: str, folder: Path) -> Ran:
    """The part of the published commands for this image that is for notation, typed as it stands."""
    folder.mkdir(parents=True, exist_ok=True)
    tools = folder / "bin"
    tools.mkdir()
    (tools / "notation").symlink_to(need("notation"))
    with urlopen(f"{proxy.url}/-/trust/release/commands.txt?image={name}", timeout=20) as reply:  # noqa: S310 - loopback
        text = reply.read().decode()
    lines = re.split(r"^#.*\n", text, flags=re.MULTILINE)[-1]
    assert "notation verify" in lines, text
    here = {**os.environ, **own(folder / "home"), "PATH": f"{tools}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["/bin/bash", "-ec", lines], cwd=folder, env=here, capture_output=True, text=True, timeout=120, check=False
    )
    return Ran(done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize("name", ["old", "new"])
def test_notation_takes_what_either_key_signed(proxy: Proxy, name: str, tmp_path: Path) -> None:
    done = typed(proxy, f"team/app:{name}", tmp_path)
    assert done.status == 0, done.output
    assert "Successfully verified" in done.output


def test_the_page_says_the_same(proxy: Proxy) -> None:
    """What is published for an image is what docs/verify-elsewhere.md tells people to type."""
    with urlopen(f"{proxy.url}/-/trust/release/commands.txt?image=team/app:1", timeout=20) as reply:  # noqa: S310
        text = reply.read().decode()
    published = re.split(r"^#.*\n", text, flags=re.MULTILINE)[-1].replace(" --insecure-registry", "")
    named = published.replace(proxy.url, "https://registry.example.com").replace(proxy.host, "registry.example.com")
    assert "".join(f"    {line}\n" for line in named.splitlines()) in PAGE.read_text()


def test_notation_refuses_what_nobody_signed(proxy: Proxy, tmp_path: Path) -> None:
    done = typed(proxy, "open/app:1", tmp_path)
    assert done.status != 0
    assert "no signature" in done.output, done.output
