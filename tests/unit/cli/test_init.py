"""What `init` checks and writes before any token is touched; with a real one it is tested in tests/contract."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer import BadParameter

from proxy.cli.init import _draft, _token, _write, initialise
from proxy.cli.init_texts import Draft, InitOptions
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
    draft = _draft(replace(WISH, listen=listen, public_url=given))
    assert draft == Draft("http://127.0.0.1:5999", url, listen)


@pytest.mark.parametrize("listen", ["0.0.0.0:5000", "[::]:5000", ":5000", "*:5000"])
def test_every_address_is_no_name(listen: str) -> None:
    with pytest.raises(ConfigError, match="--public-url"):
        _draft(replace(WISH, listen=listen))


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


def written(directory: Path) -> Path:
    path = directory / "countersign.yaml"
    path.write_text(MINIMAL)
    return path


def completed(options: InitOptions) -> str:
    return initialise(options, lambda settings: [f"[ok] upstream: {settings.upstream.url}"])


def test_a_second_run_without_options_reads_the_file_that_is_there_and_changes_nothing(tmp_path: Path) -> None:
    path = written(tmp_path)
    printed = completed(InitOptions(tmp_path))
    assert "was not changed" in printed
    assert "Nothing had to be made." in printed
    assert completed(InitOptions(tmp_path, upstream="http://127.0.0.1:5999/", listen="127.0.0.1:5000")) == printed
    assert path.read_text() == MINIMAL
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize(
    ("option", "given", "said"),
    [
        (
            "upstream",
            "http://other.test:5000",
            "upstreams[0].url: --upstream says http://other.test:5000, the file says ",
        ),
        ("listen", "127.0.0.1:1", "server.listen: --listen says 127.0.0.1:1, the file says 127.0.0.1:5000"),
        ("admin_listen", "127.0.0.1:1", "admin.listen: --admin-listen says 127.0.0.1:1, the file says 127.0.0.1:5001"),
        ("public_url", "https://r.test", "server.public_urls[0]: --public-url says https://r.test, the file says "),
        ("repositories", "team/**", "policies[0].repositories: --repositories says team/**, the file says nothing"),
        ("adopt", True, "policies[0].pull.mode: --adopt says warn, the file says nothing"),
        ("contact", "#help", "policies[0].contact: --contact says #help, the file says nothing"),
        ("module", Path("/m.so"), "tokens.hsm.module: --module says /m.so, the file says nothing"),
        ("token_label", "theirs", "tokens.hsm.label: --token-label says theirs, the file says nothing"),
        ("pin_file", Path("/pin"), "tokens.hsm.pin: --pin-file says /pin, the file says nothing"),
    ],
)
def test_an_option_that_contradicts_the_file_is_not_ignored(
    option: str, given: object, said: str, tmp_path: Path
) -> None:
    path = written(tmp_path)
    with pytest.raises(ConfigError) as refused:
        completed(replace(InitOptions(tmp_path), **{option: given}))  # type: ignore[arg-type]
    (line,) = [line for line in str(refused.value).splitlines() if line.startswith("  ")]
    assert line.startswith(f"  {path}:")
    assert said in line
    assert f"countersign config validate --config {path}" in str(refused.value)
    assert path.read_text() == MINIMAL


def test_a_new_configuration_needs_a_registry(tmp_path: Path) -> None:
    with pytest.raises(BadParameter, match="needed for a new configuration"):
        initialise(InitOptions(tmp_path / "new"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("/proc/x", "init cannot write /proc/x (No such file or directory); give it a directory on a disk"),
        ("file", "file is not a directory; give init another one"),
        ("file/below", "file/below is not a directory; give init another one"),
    ],
)
def test_a_place_where_nothing_can_be_made_is_a_text_and_no_traceback(place: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError) as refused:
        initialise(InitOptions(tmp_path / place, "http://127.0.0.1:5999"))
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("owner", "said"),
    [
        ("me", "sudo install -d -o me -m 0750 /srv/c"),
        ("root", "sudo install -d -o me -m 0750 /srv/c"),
        ("countersign", "Run it as that user: sudo -u countersign countersign init /srv/c --upstream"),
    ],
)
def test_a_directory_of_somebody_else_names_the_user_who_may_write(
    owner: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(_directory: Path, **_how: object) -> None:
        raise PermissionError(13, "Permission denied", "/srv/c")

    monkeypatch.setattr(Path, "mkdir", refused)
    monkeypatch.setattr(Path, "owner", lambda _: owner)
    monkeypatch.setattr("os.access", lambda *_: True)
    monkeypatch.setattr("pwd.getpwuid", lambda _: SimpleNamespace(pw_name="me"))
    with pytest.raises(ConfigError) as found:
        initialise(WISH)
    assert "init cannot write /srv/c (Permission denied)" in str(found.value)
    assert said in str(found.value)
