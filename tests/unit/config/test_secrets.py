"""Secrets: read from one place, named in errors, never shown."""

import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from proxy.config.secrets import exposed, read_secret
from proxy.oci.faults import ConfigError


@dataclass(frozen=True)
class Here:
    """Where a secret is."""

    file: Path | None = None
    env: str | None = None
    credential: str | None = None


def test_from_a_file_without_its_line_end(tmp_path: Path) -> None:
    (tmp_path / "pin").write_text("s3cret with space \n")
    secret = read_secret(Here(file=tmp_path / "pin"), "PIN")
    assert secret.value == "s3cret with space "
    assert "s3cret" not in repr(secret)


def test_the_identity_changes_with_the_file_and_says_nothing(tmp_path: Path) -> None:
    path = tmp_path / "pin"
    path.write_text("1234")
    before = read_secret(Here(file=path), "PIN").identity
    path.unlink()
    path.write_text("12345")
    assert read_secret(Here(file=path), "PIN").identity != before
    assert "1234" not in before.split(":")


def test_from_the_environment() -> None:
    assert read_secret(Here(env="PIN"), "PIN", {"PIN": "x"}).value == "x"
    with pytest.raises(ConfigError, match="PIN of hsm: the environment variable PIN is not set"):
        read_secret(Here(env="PIN"), "PIN of hsm", {})


def test_from_a_systemd_credential(tmp_path: Path) -> None:
    (tmp_path / "pin").write_text("x")
    assert read_secret(Here(credential="pin"), "PIN", {"CREDENTIALS_DIRECTORY": str(tmp_path)}).value == "x"
    with pytest.raises(ConfigError, match="LoadCredential"):
        read_secret(Here(credential="pin"), "PIN", {})


@pytest.mark.parametrize("content", [b"", b"\n", b"a\nb", b"a\0b", b"\xff\xfe", b"x" * 5000])
def test_what_is_not_one_line_of_text_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "pin").write_bytes(content)
    with pytest.raises(ConfigError, match="one line of text"):
        read_secret(Here(file=tmp_path / "pin"), "PIN")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        read_secret(Here(file=tmp_path / "pin"), "PIN")


def test_a_file_others_can_read_is_warned_about(tmp_path: Path) -> None:
    path = tmp_path / "pin"
    path.write_text("x")
    path.chmod(0o644)
    assert "chmod 600" in (exposed(Here(file=path), "PIN") or "")
    path.chmod(0o600)
    assert exposed(Here(file=path), "PIN") is None
    assert exposed(Here(env="PIN"), "PIN") is None


def test_a_secret_replaced_while_it_is_read_keeps_the_identity_of_what_was_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, fresh = tmp_path / "pin", tmp_path / "fresh"
    path.write_text("old")
    before = read_secret(Here(file=path), "PIN").identity
    real = os.fstat

    def replaced(descriptor: int) -> os.stat_result:
        fresh.write_text("new")
        fresh.replace(path)
        return real(descriptor)

    with monkeypatch.context() as racing:
        racing.setattr("proxy.config.secrets.os.fstat", replaced)
        raced = read_secret(Here(file=path), "PIN")
    assert (raced.value, raced.identity) == ("old", before)
    assert read_secret(Here(file=path), "PIN").identity != before
