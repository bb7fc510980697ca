"""An OpenSSL CA takes a certificate back, and what notation signed with it is blocked once its list says so."""

from __future__ import annotations

import functools
import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from deploy.layouts import image
from proxy.formats.certificate import from_pem
from tests.interop.countersign import Proxy, initialised, serving
from tests.interop.images import push
from tests.interop.notary import SUBJECT, Notation
from tests.interop.peers import must, need
from tests.interop.registries import docker_registry
from tests.interop.wire import manifest

pytestmark = pytest.mark.go
CONFIG = """
[ req ]
distinguished_name = nothing
[ nothing ]
[ root ]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign,cRLSign
[ leaf ]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = codeSigning
[ ca ]
default_ca = here
[ here ]
database = {folder}/index.txt
new_certs_dir = {folder}
serial = {folder}/serial
certificate = {folder}/ca.pem
private_key = {folder}/ca.key
default_md = sha256
default_days = 30
default_crl_days = 7
policy = any
x509_extensions = leaf
[ any ]
countryName = supplied
stateOrProvinceName = supplied
organizationName = supplied
commonName = supplied
"""
KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
WHO = "/C=DE/ST=Berlin/O=Example/CN="


@dataclass(frozen=True)
class OpensslCa:
    """A CA as `openssl ca` keeps one; its list is `ca.crl` in `shown`."""

    folder: Path
    shown: Path

    @property
    def config(self) -> Path:
        return self.folder / "openssl.cnf"

    def _ca(self, *arguments: str | Path) -> None:
        must("openssl", "ca", "-batch", "-config", self.config, *arguments)

    def publish(self) -> None:
        """The list says what the CA knows now."""
        self._ca("-gencrl", "-out", self.shown / "ca.crl")

    def revoke(self) -> None:
        """The signer's certificate is taken back, and the list says so."""
        self._ca("-revoke", self.folder / "leaf.pem", "-crl_reason", "keyCompromise")
        self.publish()


def new(folder: Path) -> OpensslCa:
    """A new CA that has certified one signer."""
    made = OpensslCa(folder, folder / "shown")
    made.shown.mkdir(parents=True)
    made.config.write_text(CONFIG.format(folder=folder))
    (folder / "index.txt").touch()
    (folder / "serial").write_text("1001\n")
    root = ("-x509", *KEY, "-config", made.config, "-extensions", "root", "-days", "30", "-subj", WHO + "root")
    must("openssl", "req", *root, "-keyout", folder / "ca.key", "-out", folder / "ca.pem")
    wish = (*KEY, "-config", made.config, "-subj", WHO + "vendor")
    must("openssl", "req", *wish, "-keyout", folder / "leaf.key", "-out", folder / "leaf.csr")
    made._ca("-notext", "-in", folder / "leaf.csr", "-out", folder / "leaf.pem")
    made.publish()
    return made


@contextmanager
def shown(folder: Path) -> Iterator[str]:
    """The folder is served over HTTP; yields HOST:PORT."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def pulled(proxy: Proxy, digest: str) -> tuple[int, str]:
    """What pulling the vendor's image comes to: the status, and what is said."""
    found = manifest(proxy.host, "vendor/app", digest)
    return found.status, found.body.decode(errors="replace") if found.status != 200 else ""


def test_a_revoked_signer_is_blocked_and_a_list_that_cannot_be_had_is_no_clean_one(tmp_path: Path) -> None:
    need("openssl")
    ca, client = new(tmp_path / "ca"), Notation(tmp_path / "home")
    leaf, root = ((tmp_path / "ca" / name).read_text() for name in ("leaf.pem", "ca.pem"))
    key: Any = load_pem_private_key((tmp_path / "ca" / "leaf.key").read_bytes(), None)
    client.has("vendor", key, from_pem((leaf + root).encode()))
    with shown(ca.shown) as host, docker_registry(tmp_path / "upstream") as upstream:

        def change(found: dict[str, Any]) -> None:
            url = f"http://{host}/ca.crl"
            found["outbound"] = {"allow": [host]}
            found["trust"] = {"vendor": {"kind": "x509", "ca_file": root, "identities": [SUBJECT], "crl": [url]}}
            pull = {"mode": "enforce", "require": [{"signed_by": ["vendor"]}]}
            found["policies"] = [{"repositories": ["vendor/**"], "push": {"sign_with": []}, "pull": pull}]

        def lenient(found: dict[str, Any]) -> None:
            found["trust"]["vendor"]["crl_unavailable"] = "allow"

        folder = tmp_path / "proxy"
        at = initialised(folder, upstream, change)
        name = f"{upstream.host}/vendor/app"
        digest = push(image(tmp_path / "image"), f"{name}:1")
        assert client.sign(f"{name}@{digest}", "jws").status == 0
        with serving(folder, at, upstream) as proxy:
            assert pulled(proxy, digest)[0] == 200
            ca.revoke()
            proxy.edit(lambda _: None)  # a reload asks for every list again
            status, said = pulled(proxy, digest)
            assert (status, "revoked" in said) == (403, True), said
            assert "certificate_revoked" in proxy("why", f"vendor/app@{digest}").stdout
        (ca.shown / "ca.crl").rename(ca.shown / "gone")
        with serving(folder, at, upstream) as proxy:
            status, said = pulled(proxy, digest)
            assert (status, "could not verify" in said) == (403, True), said
            why = proxy("why", f"vendor/app@{digest}").stdout
            assert "is revoked could not be seen: no configured list is its issuer's" in why
            assert f"no revocation list in force from http://{host}/ca.crl" in proxy("status").stdout
            proxy.edit(lenient)
            assert pulled(proxy, digest)[0] == 200
            (ca.shown / "gone").rename(ca.shown / "ca.crl")
            proxy.edit(lambda _: None)
            assert pulled(proxy, digest)[0] == 403, "what is certain is not up to the entry"
