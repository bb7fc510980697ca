"""TLS at three in the morning: the text names the file and the reason, before anything is reloaded."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme

from proxy.cli.config import validated
from proxy.config.schema import Tls as Entry
from proxy.config.tls_files import Unusable, certificates_in, check_pair
from proxy.oci.faults import ConfigError
from proxy.server.build import served_with

EXAMPLE = Path("config.example.yaml")


def written(folder: Path, *, expires: datetime | None = None) -> tuple[Path, Path]:
    """Write a certificate and its key; return both files."""
    issued = trustme.CA().issue_cert("reg.example", not_after=expires)
    (folder / "cert.pem").write_bytes(issued.cert_chain_pems[0].bytes())
    (folder / "key.pem").write_bytes(issued.private_key_pem.bytes())
    return folder / "cert.pem", folder / "key.pem"


def test_a_certificate_and_its_key_are_fine(tmp_path: Path) -> None:
    assert check_pair(*written(tmp_path)).not_valid_after_utc > datetime.now(UTC)


def test_garbage_is_named_with_its_file_and_never_repeats_what_may_be_a_secret(tmp_path: Path) -> None:
    cert, key = written(tmp_path)
    key.write_text("hunter2hunter2\n")
    with pytest.raises(Unusable, match=r"key.pem: no PEM private key in it") as told:
        check_pair(cert, key)
    assert "hunter2" not in str(told.value)
    cert.write_text("garbage\n")
    with pytest.raises(Unusable, match=r"cert.pem: no PEM certificate in it \(line 1 is no PEM header\)"):
        check_pair(cert, key)
    cert.write_text("")
    with pytest.raises(Unusable, match="it is empty"):
        certificates_in(cert)


def test_a_key_of_another_certificate_is_named(tmp_path: Path) -> None:
    cert, _ = written(tmp_path)
    other = tmp_path / "other"
    other.mkdir()
    _, key = written(other)
    with pytest.raises(Unusable, match=r"key.pem: this key does not belong to the certificate in .*cert.pem"):
        check_pair(cert, key)


def test_a_file_that_cannot_be_read_is_named_with_the_reason(tmp_path: Path) -> None:
    cert, _ = written(tmp_path)
    with pytest.raises(Unusable, match=r"nothing.pem: cannot be read \(No such file or directory\)"):
        check_pair(cert, tmp_path / "nothing.pem")


def test_a_listener_says_the_same(tmp_path: Path) -> None:
    cert, key = written(tmp_path)
    key.write_bytes(cert.read_bytes())
    with pytest.raises(ConfigError, match=r"server.tls: .*key.pem: no PEM private key in it"):
        served_with("server.tls", Entry(cert=cert, key=key))


def configured(folder: Path, *, expires: datetime | None = None) -> Path:
    cert, key = written(folder, expires=expires)
    file = folder / "countersign.yaml"
    file.write_text(
        f"""
version: 1
server: {{listen: "127.0.0.1:0", public_urls: ["https://reg.example"], tls: {{cert: {cert}, key: {key}}}}}
admin: {{listen: "127.0.0.1:0"}}
upstreams: [{{name: up, url: "http://127.0.0.1:5000"}}]
store: {{url: "sqlite:///countersign.db"}}
tokens: {{soft: {{module: /usr/lib/none.so, label: one, pin: {{env: PIN}}}}}}
keys: {{release: {{tokens: [soft]}}}}
policies: []
"""
    )
    return file


def test_validate_refuses_what_a_listener_could_not_serve_with(tmp_path: Path) -> None:
    file = configured(tmp_path)
    assert "is valid" in validated(file)[1]
    (tmp_path / "key.pem").write_text("garbage")
    with pytest.raises(ConfigError, match=r"countersign.yaml: server.tls: .*key.pem: no PEM private key in it"):
        validated(file)


def test_validate_refuses_an_expired_certificate_and_says_since_when(tmp_path: Path) -> None:
    file = configured(tmp_path, expires=datetime.now(UTC) - timedelta(days=3))
    with pytest.raises(ConfigError, match=r"server.tls: .*cert.pem: the certificate expired on 20.*renew it"):
        validated(file)
