"""The parts of `make run` that need no process: its ports and what it shows."""

import json
from pathlib import Path

import pytest

from deploy import layouts, next_steps, run


def taken(*ports: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "is_free", lambda port: port not in ports)
    monkeypatch.setattr(run, "any_free_port", lambda: 41000)


def test_the_first_run_takes_the_usual_ports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    taken(monkeypatch=monkeypatch)
    assert run.choose_ports(tmp_path) == {"proxy": 5000, "admin": 5001, "registry": 5002}


def test_a_taken_port_is_replaced_and_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    taken(5000, monkeypatch=monkeypatch)
    assert run.choose_ports(tmp_path)["proxy"] == 41000
    assert "port 5000 is taken; the proxy gets 41000" in capsys.readouterr().out


def test_the_second_run_keeps_the_ports_of_the_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    taken(5000, monkeypatch=monkeypatch)
    first = run.choose_ports(tmp_path)
    taken(monkeypatch=monkeypatch)
    assert run.choose_ports(tmp_path) == first


def test_signed_names_do_not_move_to_another_port(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    taken(monkeypatch=monkeypatch)
    run.choose_ports(tmp_path)
    taken(5000, monkeypatch=monkeypatch)
    with pytest.raises(run.Stopped, match=r"port 5000.*rm -r "):
        run.choose_ports(tmp_path)


def test_the_registry_behind_may_move(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    taken(monkeypatch=monkeypatch)
    run.choose_ports(tmp_path)
    config = tmp_path / "countersign.yaml"
    config.write_text('listen: "127.0.0.1:5000"\nurl: "http://127.0.0.1:5002"  # ours\n')
    taken(5002, monkeypatch=monkeypatch)
    assert run.choose_ports(tmp_path) == {"proxy": 5000, "admin": 5001, "registry": 41000}
    assert config.read_text() == 'listen: "127.0.0.1:5000"\nurl: "http://127.0.0.1:41000"  # ours\n'


def test_samples_are_made_once(tmp_path: Path) -> None:
    run.samples(tmp_path)
    before = (tmp_path / "images" / "hello" / "index.json").stat().st_mtime_ns
    run.samples(tmp_path)
    assert (tmp_path / "images" / "hello" / "index.json").stat().st_mtime_ns == before


def test_what_is_shown_has_this_runs_addresses_and_key(tmp_path: Path) -> None:
    shown = next_steps.text({"proxy": 5100, "registry": 5101, "admin": 5102}, tmp_path / ".run", 1.5)
    assert "docker://127.0.0.1:5100/demo/hello:1" in shown
    assert "docker://127.0.0.1:5101/demo/stranger:1" in shown
    assert "keys/release.pub" in shown
    assert "{" not in shown


def test_a_layout_is_whole(tmp_path: Path) -> None:
    layout = layouts.index(tmp_path / "i")
    top = json.loads((tmp_path / "i" / "index.json").read_text())["manifests"][0]
    assert top["digest"] == layout.digest
    blobs = {"sha256:" + path.name: path.read_bytes() for path in (tmp_path / "i" / "blobs" / "sha256").iterdir()}
    assert all(layouts.digest_of(content) == digest for digest, content in blobs.items())
    for child in layout.children:
        manifest = json.loads(blobs[child])
        assert {manifest["config"]["digest"], *(layer["digest"] for layer in manifest["layers"])} <= set(blobs)
