"""What docs/operations-certificates.md tells people to type, typed as written, at a real token."""

from __future__ import annotations

import json
import os
import re
import subprocess
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from proxy.formats.certificate import from_pem
from proxy.formats.chain import problems
from proxy.store.clock import SystemClock
from tests.faults.served import Served, served
from tests.interop.countersign import PROGRAM
from tests.interop.peers import must, need
from tests.interop.registries import docker_registry
from tests.test_docs_pages import ROOT, blocks, code
from tests.worlds.certificates import chain_of, issued, pem, trio

pytestmark = pytest.mark.real
PAGE = ROOT / "docs" / "operations-certificates.md"
CA = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384", "-nodes", "-keyout", "ca.key", "-out", "ca.pem")


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[Served]:
    with docker_registry(tmp_path / "upstream") as upstream, served(tmp_path / "proxy", upstream) as made:
        made.start()
        yield made
        assert made.leave() == 0


def section(heading: str) -> str:
    (found,) = re.findall(rf"^## {heading}\n(.*?)(?=^## |\Z)", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    return str(found)


def typed(proxy: Served, heading: str, key: str, folder: Path) -> list[str]:
    """What the commands of the section printed, typed into a shell in `folder`; people would say yes."""
    printed = []
    for line in code(section(heading)):
        if not line.startswith(("countersign", "openssl", "cat")):
            continue
        said = re.sub(r"\bKEY\b", key, line)
        if "--reason" in said and "--dry-run" not in said:
            said += " --yes"
        done = subprocess.run(
            ["sh", "-c", said.replace("countersign", str(PROGRAM), 1)],
            env={**os.environ, "COUNTERSIGN_CONFIG": str(proxy.config)},
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, f"{said}: {done.stdout}{done.stderr}"
        printed.append(done.stdout + done.stderr)
    return printed


def active(proxy: Served) -> str:
    keys = json.loads(proxy("keys", "list", "-o", "json").stdout)["keys"]
    (found,) = [k["fingerprint"] for k in keys if k["profile"] == "release" and k["state"] == "active"]
    return str(found)


def chain(proxy: Served, key: str) -> tuple[bytes, ...]:
    shown = json.loads(proxy("keys", "chain", "show", key, "-o", "json").stdout)
    return from_pem(shown["chain"].encode()) if shown["chain"] else ()


def test_each_section_does_what_it_says(proxy: Served, tmp_path: Path) -> None:
    need("openssl")
    key, folder = active(proxy), tmp_path / "ca"
    folder.mkdir()
    assert proxy("keys", "chain", "show", key).status == 1
    root = ["-subj", "/C=DE/ST=Berlin/O=Example/CN=root", "-days", "900"]
    usage = ["-addext", "keyUsage=critical,keyCertSign,cRLSign"]
    subprocess.run(["openssl", "req", "-x509", *CA, *root, *usage], cwd=folder, check=True, capture_output=True)
    (folder / "leaf.cnf").write_text(blocks(PAGE, "")[0])

    typed(proxy, "Request a certificate", key[:8], folder)
    must("openssl", "req", "-in", folder / "release.csr", "-noout", "-verify")
    planned, _, shown = typed(proxy, "Set the chain", key[:8], folder)[1:]
    assert "verifiers must trust the root CN=root,O=Example" in planned
    assert "CN=release,O=Example,ST=Berlin,C=DE" in shown
    assert problems(chain(proxy, key), SystemClock().now()) == ()
    assert [row[0] for row in proxy.rows("SELECT count(*) FROM journal WHERE kind = 'key.chain'")] == [1]

    dry, made = typed(proxy, "A self-signed chain for tests", key[:8], folder)
    assert "for development only" in dry
    assert "warning: use a self-signed certificate for development only" in made
    assert len(chain(proxy, key)) == 1
    proxy.leave()
    proxy.start()
    assert len(chain(proxy, key)) == 1, "it is there after a restart"


def test_what_is_wrong_with_a_chain_is_said_and_nothing_is_kept(proxy: Served, tmp_path: Path) -> None:
    need("openssl")
    key = active(proxy)
    subprocess.run(
        ["openssl", "req", "-x509", *CA, "-subj", "/CN=other"], cwd=tmp_path, check=True, capture_output=True
    )
    refused = proxy("keys", "chain", "set", key, str(tmp_path / "ca.pem"), "--reason", "r", "--yes")
    assert refused.status == 2
    assert f"(1) the first certificate is not for key {key[:12]}; request one for it" in refused.stderr
    assert "is a CA itself; sign with a certificate whose basic constraints say CA false" in refused.stderr
    private = proxy("keys", "chain", "set", key, str(tmp_path / "ca.key"), "--reason", "r", "--yes")
    assert private.status == 2
    assert "it contains a private key" in private.stderr
    missing = proxy("keys", "chain", "set", key, str(tmp_path / "none.pem"), "--reason", "r", "--yes")
    assert (missing.status, "there is no such file" in missing.stderr) == (2, True)
    assert chain(proxy, key) == ()


def test_what_ends_before_long_is_said_everywhere(proxy: Served, tmp_path: Path) -> None:
    key, now = active(proxy), SystemClock().now().replace(microsecond=0)
    csr = x509.load_pem_x509_csr(proxy("keys", "csr", key, "--subject", "O=Example,CN=release").stdout.encode())
    public = csr.public_key()
    assert isinstance(public, ec.EllipticCurvePublicKey)
    begun, ends = now - timedelta(days=100), now + timedelta(days=20)
    leaf, middle, root = (replace(holder, first=begun, last=ends) for holder in trio())
    (tmp_path / "chain.pem").write_text(pem((issued(leaf, middle, public), *chain_of(middle, root))))
    done = proxy("keys", "chain", "set", key, str(tmp_path / "chain.pem"), "--reason", "r", "--yes")
    assert done.status == 0, done.output
    says = f"key chain release {key[:12]} ends in 19 days"
    proxy.until(lambda: says in proxy("status").stdout, "status does not warn", 30)
    assert proxy.problems() == []
    assert says in proxy("doctor").stdout
    assert says in proxy.daemon.printed()
    with urllib.request.urlopen(f"http://{proxy.admin}/metrics", timeout=5) as reply:
        (days,) = re.findall(r'^countersign_days_until_expiry{kind="key chain"} (\S+)$', reply.read().decode(), re.M)
    assert 19 < float(days) < 20
