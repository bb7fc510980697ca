"""From what the configuration says of a token to what opens it."""

import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from proxy.formats.certificate import pem
from proxy.oci.faults import ConfigError
from proxy.server.token_plans import tokens_plan
from proxy.tokens.setup import new_secret_file, token_settings
from tests.unit.config.test_settings import SIGNING, parse


def test_token_settings_are_the_configuration_s_with_the_pin_read(tmp_path: Path) -> None:
    (tmp_path / "pin").write_text("s3cret\n")
    text = SIGNING.replace("label: prod,", "label: prod, sessions: 3, environment: {A: b},")
    settings = parse(text, str(tmp_path))
    made = token_settings(tokens_plan(settings).tokens["hsm"], queue=7)
    assert (made.module, made.label, made.serial) == ("/usr/lib/softhsm/libsofthsm2.so", "prod", None)
    assert (made.pin, made.sessions, made.queue, dict(made.environment)) == ("s3cret", 3, 7, {"A": "b"})
    assert made.pin_memory == tmp_path / "pin-refused-hsm.json"
    assert "s3cret" not in repr(made)


def test_a_pin_that_is_not_there_names_its_token(tmp_path: Path) -> None:
    settings = parse(SIGNING, str(tmp_path))
    with pytest.raises(ConfigError, match="PIN of token hsm: cannot read"):
        token_settings(tokens_plan(settings).tokens["hsm"])


def test_a_secret_file_is_private_and_kept(tmp_path: Path) -> None:
    path = new_secret_file(tmp_path / "secrets" / "pin")
    first = path.read_text()
    assert len(first) > 24
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert new_secret_file(path).read_text() == first


def test_a_secret_file_is_whole_or_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def dies(_descriptor: int) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as killed:
        killed.setattr("os.fsync", dies)
        with pytest.raises(KeyboardInterrupt):
            new_secret_file(tmp_path / "pin")
    assert not (tmp_path / "pin").exists()
    assert new_secret_file(tmp_path / "pin").read_text().strip()
    assert [path.name for path in tmp_path.iterdir()] == ["pin"]


def test_pem_of_a_public_key() -> None:
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    assert serialization.load_pem_public_key(pem(der).encode()) == key
