"""What `init` checks and writes before any token is touched; with a real one it is tested in tests/contract."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from proxy.cli.init import _checked, _token, _write, initialise
from proxy.cli.init_texts import InitOptions
from proxy.oci.faults import ConfigError
from tests.unit.config.test_settings import MINIMAL

WISH = InitOptions(Path("/srv/c"), "http://127.0.0.1:5999/")


@pytest.mark.parametrize(
    ("listen", "given", "url"),
    [
        ("127.0.0.1:5000", None, "http://127.0.0.1:5000"),
        ("[::1]:5000", None, "http://[::1]:5000"),
        ("0.0.0.0:5000", "https://r.example/", "https://r.example"),
    ],
)
def test_clients_use_the_listening_address_unless_told_another(listen: str, given: str | None, url: str) -> None:
    checked = _checked(replace(WISH, listen=listen, public_url=given))
    assert (checked.public_url, checked.upstream) == (url, "http://127.0.0.1:5999")
    assert checked == replace(WISH, listen=listen, public_url=url, upstream=checked.upstream)


@pytest.mark.parametrize("listen", ["0.0.0.0:5000", "[::]:5000", ":5000", "*:5000"])
def test_every_address_is_no_name(listen: str) -> None:
    with pytest.raises(ConfigError, match="--public-url"):
        _checked(replace(WISH, listen=listen))


@pytest.mark.parametrize(("module", "kept"), [("libsofthsm2.so", True), ("libvendor.so", False)])
def test_where_softhsm_finds_its_tokens_is_written_down(
    module: str, kept: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOFTHSM2_CONF", "/somewhere/softhsm2.conf")
    made: list[str] = []
    wish = replace(WISH, module=Path("/lib") / module, token_label="theirs", pin_file=Path("/secret/pin"))
    token = _token(wish, tmp_path, made)
    assert (token.module, token.label, token.pin_file) == (f"/lib/{module}", "theirs", "/secret/pin")
    assert token.environment == ({"SOFTHSM2_CONF": "/somewhere/softhsm2.conf"} if kept else {})
    assert made == []
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_whole_or_not_there_and_never_overwritten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def dies(_descriptor: int) -> None:
        raise KeyboardInterrupt

    path = tmp_path / "countersign.yaml"
    with monkeypatch.context() as killed:
        killed.setattr(os, "fsync", dies)
        with pytest.raises(KeyboardInterrupt):
            _write(path, "half")
    assert not path.exists()
    _write(path, "whole")
    _write(path, "another")
    assert path.read_text() == "whole"
    assert list(tmp_path.iterdir()) == [path]


def test_a_second_run_reads_the_file_that_is_there_and_checks_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "countersign.yaml").write_text(MINIMAL)
    assert "was not changed" in initialise(InitOptions(tmp_path, "no URL at all"))
    assert (tmp_path / "countersign.yaml").read_text() == MINIMAL
    assert len(list(tmp_path.iterdir())) == 1
