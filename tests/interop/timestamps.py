"""Starts timestamp authorities (RFC 3161) on loopback: OpenSSL's, and sigstore's from the Go module proxy."""

import http.server
import re
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from proxy.formats.certificate import from_pem, parse_certificate
from tests.interop.peers import Daemon, daemon, must, need, when

CONFIG = """
[ req ]
distinguished_name = nothing
[ nothing ]
[ root ]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign,cRLSign
[ signer ]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = critical,timeStamping
[ tsa ]
serial = {folder}/serial
signer_cert = {folder}/tsa.pem
signer_key = {folder}/tsa.key
certs = {folder}/root.pem
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256, sha384, sha512
accuracy = secs:1
ess_cert_id_alg = sha256
"""


@dataclass(frozen=True)
class Authority:
    """A running timestamp authority: the URL to ask, and a PEM file with its root."""

    url: str
    ca_file: Path

    @property
    def host(self) -> str:
        """HOST:PORT."""
        return self.url.split("/")[2]

    @property
    def roots(self) -> tuple[bytes, ...]:
        """Its root, DER."""
        return from_pem(self.ca_file.read_bytes())


def make_openssl_authority(folder: Path) -> Path:
    """Root, signer and configuration are in this folder; returns the configuration."""
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "openssl.cnf"
    config.write_text(CONFIG.format(folder=folder))
    (folder / "serial").write_text("01\n")
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-config", config)
    # The notation command wants C, ST and O of everybody.
    must("openssl", "req", "-x509", *key, "-extensions", "root", "-days", "3650",
         "-subj", "/C=DE/ST=Berlin/O=TSA/CN=root", "-keyout", folder / "root.key",
         "-out", folder / "root.pem")  # fmt: skip
    must("openssl", "req", *key, "-subj", "/C=DE/ST=Berlin/O=TSA/CN=tsa", "-keyout", folder / "tsa.key",
         "-out", folder / "tsa.csr")  # fmt: skip
    make_openssl_signer(config)
    return config


def make_openssl_signer(config: Path) -> bytes:
    """The signer has a certificate as the configuration says now; returns it, DER."""
    folder = config.parent
    must("openssl", "x509", "-req", "-in", folder / "tsa.csr", "-CA", folder / "root.pem", "-CAkey",
         folder / "root.key", "-set_serial", "2", "-days", "3650", "-extfile", config, "-extensions", "signer",
         "-out", folder / "tsa.pem")  # fmt: skip
    return from_pem((folder / "tsa.pem").read_bytes())[0]


def openssl_reply(config: Path, query: bytes) -> bytes:
    """What `openssl ts` answers to this request."""
    asked, answered = config.parent / "query.tsq", config.parent / "reply.tsr"
    asked.write_bytes(query)
    must("openssl", "ts", "-reply", "-config", config, "-section", "tsa", "-queryfile", asked, "-out", answered)
    return answered.read_bytes()


@contextmanager
def openssl_authority(folder: Path) -> Iterator[Authority]:
    """`openssl ts` answers over HTTP, as the specification's section 3.4 says."""
    need("openssl")
    config = make_openssl_authority(folder)
    alone = threading.Lock()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            query = self.rfile.read(int(self.headers["Content-Length"]))
            with alone:
                reply = openssl_reply(config, query)
            self.send_response(200)
            self.send_header("Content-Type", "application/timestamp-reply")
            self.send_header("Content-Length", str(len(reply)))
            self.end_headers()
            self.wfile.write(reply)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield Authority(f"http://127.0.0.1:{server.server_address[1]}/", folder / "root.pem")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def sigstore_authority(folder: Path) -> Iterator[Authority]:
    """Sigstore's timestamp-server with a signer in memory, its whole chain in each reply."""
    command: list[str | Path] = [
        need("tsa"), "serve", "--host", "127.0.0.1", "--port", "0", "--disable-ntp-monitoring",
        "--timestamp-signer", "memory", "--include-chain-in-response",
    ]  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    with daemon(folder / "tsa.log", command) as running:
        host = when(running, lambda: _listens(running), "timestamp-server did not start")
        with urllib.request.urlopen(f"http://{host}/api/v1/timestamp/certchain", timeout=10) as reply:
            chain = from_pem(reply.read())
        root = folder / "root.pem"
        root.write_bytes(parse_certificate(chain[-1]).public_bytes(Encoding.PEM))
        yield Authority(f"http://{host}/api/v1/timestamp", root)


def _listens(running: Daemon) -> str | None:
    found = re.search(r"(127\.0\.0\.1:\d+)", running.printed())
    return found[1] if found else None


def subject_of(der: bytes) -> str:
    """The subject of a certificate as people write it."""
    return x509.load_der_x509_certificate(der).subject.rfc4514_string()
