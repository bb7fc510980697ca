"""Starts registries on loopback: Debian's 2.8 and distribution 3.1; open, with passwords, or behind a token server."""

import datetime
import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.interop.peers import Daemon, daemon, must, need, when

TOKEN_SERVER = Path(__file__).with_name("token_server.py")


@dataclass(frozen=True)
class Registry:
    """A running registry: `host` is HOST:PORT, `url` its http address, `storage` the folder with its blobs."""

    host: str
    url: str
    storage: Path
    daemon: Daemon


@dataclass(frozen=True)
class TokenServer:
    """A running token server: its realm, the service it speaks for, and the certificate its tokens are signed with."""

    realm: str
    service: str
    certificate: Path
    daemon: Daemon

    def requests(self) -> list[dict[str, str]]:
        """Every token asked for so far: method, account (empty for nobody), scope, and the status it answered."""
        lines = [line for line in self.daemon.printed().splitlines() if line.startswith("{")]
        return [json.loads(line) for line in lines]


def _listens(running: Daemon) -> str | None:
    """HOST:PORT, once the program has said where it listens."""
    found = re.search(r"listening on (127\.0\.0\.1:\d+)", running.printed())
    return found[1] if found else None


@contextmanager
def _registry(
    program: Path,
    folder: Path,
    port: int,
    auth: Mapping[str, object] | None,
    extra: Mapping[str, object] | None,
) -> Iterator[Registry]:
    storage = folder / "storage"
    storage.mkdir(parents=True, exist_ok=True)
    settings: dict[str, object] = {
        "version": 0.1,
        "log": {"level": "info", "accesslog": {"disabled": False}},
        "storage": {"filesystem": {"rootdirectory": str(storage)}, "delete": {"enabled": True}},
        "http": {"addr": f"127.0.0.1:{port}"},
    }
    if auth:
        settings["auth"] = auth
    settings.update(extra or {})
    config = folder / "registry.yml"
    config.write_text(yaml.safe_dump(settings))
    # Both registries would otherwise try to send traces to a collector that nobody runs.
    quiet = {"OTEL_TRACES_EXPORTER": "none"}
    with daemon(folder / "registry.log", [program, "serve", config], quiet) as running:
        host = when(running, lambda: _listens(running), f"{program.name} did not start")
        yield Registry(host, f"http://{host}", storage, running)


@contextmanager
def docker_registry(
    folder: Path,
    *,
    port: int = 0,
    auth: Mapping[str, object] | None = None,
    extra: Mapping[str, object] | None = None,
) -> Iterator[Registry]:
    """Debian's docker-registry (2.8) runs with its storage in `folder`; starting again there finds what was stored."""
    with _registry(need("docker-registry"), folder, port, auth, extra) as registry:
        yield registry


@contextmanager
def distribution(
    folder: Path,
    *,
    port: int = 0,
    auth: Mapping[str, object] | None = None,
    extra: Mapping[str, object] | None = None,
) -> Iterator[Registry]:
    """distribution 3.1 (built from Go) runs with its storage in `folder`."""
    with _registry(need("registry"), folder, port, auth, extra) as registry:
        yield registry


@contextmanager
def with_referrers(folder: Path, *, port: int = 0) -> Iterator[Registry]:
    """A registry with the referrers API (built from Go) runs; what it stores is gone when it ends.

    As some real ones do, it lists a manifest's config type as its artifactType, and sends no OCI-Subject.
    """
    program = need("referrers")
    with daemon(folder / "registry.log", [program, f"127.0.0.1:{port}"]) as running:
        host = when(running, lambda: _listens(running), "the registry with referrers did not start")
        yield Registry(host, f"http://{host}", folder, running)


def passwords(folder: Path, users: Mapping[str, str]) -> dict[str, object]:
    """The `auth` setting for a registry that admits just these users by name and password."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = [must("htpasswd", "-nbB", name, password).strip() for name, password in users.items()]
    path = folder / "htpasswd"
    path.write_text("\n".join(lines) + "\n")
    return {"htpasswd": {"realm": "test registry", "path": str(path)}}


def behind(server: TokenServer) -> dict[str, object]:
    """The `auth` setting for a registry that admits whoever brings a token of that server."""
    return {
        "token": {
            "realm": server.realm,
            "service": server.service,
            "issuer": "countersign-tests",
            "rootcertbundle": str(server.certificate),
        }
    }


@contextmanager
def token_server(
    folder: Path,
    *,
    users: Mapping[str, str],
    grants: Mapping[str, Sequence[tuple[str, str]]],
    life: int = 300,
    port: int = 0,
) -> Iterator[TokenServer]:
    """A token server runs, for a registry that trusts it.

    `grants` says per account (the empty name is everyone) which repository pattern gets which actions, e.g.
    {"alice": [("team/**", "pull,push,delete")], "": [("public/*", "pull")]}. `life` is in seconds; the registries
    forgive 60 s after the end, so a life of -55 is a token good for 5 s.
    """
    folder.mkdir(parents=True, exist_ok=True)
    key, certificate = _signer(folder)
    settings = folder / "token_server.json"
    settings.write_text(
        json.dumps(
            {
                "key": str(key),
                "certificate": str(certificate),
                "users": dict(users),
                "grants": {name: [list(grant) for grant in several] for name, several in grants.items()},
                "life": life,
                "port": port,
            }
        )
    )
    with daemon(folder / "token_server.log", [sys.executable, TOKEN_SERVER, settings]) as running:
        port = int(when(running, lambda: _listens(running), "the token server did not start").rpartition(":")[2])
        # By name: crane refuses a realm whose host is a private address, unless it is the registry's own.
        yield TokenServer(f"http://localhost:{port}/token", "test-registry", certificate, running)


def _signer(folder: Path) -> tuple[Path, Path]:
    """A key and its self-signed certificate, which a registry takes as the root for tokens."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "countersign test tokens")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=30))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    key_file, certificate_file = folder / "token.key", folder / "token.crt"
    key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    certificate_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return key_file, certificate_file
