"""Listeners are tested where there are sockets (tests/faults, tests/attacks); here: certificates."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from proxy.config.tls_files import Unusable, check_pair
from proxy.web.server import Tls


def written(folder: Path, passphrase: bytes | None = None) -> tuple[Path, Path]:
    issued = trustme.CA().issue_cert("reg.example")
    key = issued.private_key_pem.bytes()
    if passphrase is not None:
        closed = BestAvailableEncryption(passphrase)
        key = load_pem_private_key(key, None).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, closed)
    (folder / "cert.pem").write_bytes(issued.cert_chain_pems[0].bytes())
    (folder / "key.pem").write_bytes(key)
    return folder / "cert.pem", folder / "key.pem"


def test_a_key_with_a_passphrase_is_refused_and_nobody_is_asked_at_a_terminal(tmp_path: Path) -> None:
    with pytest.raises(ssl.SSLError, match="has a passphrase"):
        Tls(*written(tmp_path, b"secret"))


def test_a_key_that_became_unusable_changes_nothing(tmp_path: Path) -> None:
    tls = Tls(*written(tmp_path))
    written(tmp_path, b"secret")
    with pytest.raises(Unusable, match="has a passphrase"):
        check_pair(tmp_path / "cert.pem", tmp_path / "key.pem")
    with pytest.raises(ssl.SSLError, match="has a passphrase"):
        tls.reload()
    assert tls.context.minimum_version is ssl.TLSVersion.TLSv1_2
    written(tmp_path)
    check_pair(tmp_path / "cert.pem", tmp_path / "key.pem")
    tls.reload()
