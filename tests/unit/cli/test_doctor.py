"""How findings are printed, and the code of what is wrong first."""

import json
from pathlib import Path

import pytest

from proxy.cli import doctor
from proxy.cli.exits import Exit
from proxy.server.doctor.checkup import DoctorFinding


def found(monkeypatch: pytest.MonkeyPatch, *findings: DoctorFinding) -> None:
    async def look(_path: Path, _write_to: str | None) -> list[DoctorFinding]:
        return [*findings]

    monkeypatch.setattr(doctor, "_look", look)


KEY = DoctorFinding("key release", "wrong", "EXTRACTABLE=True", "make another")
TOKENS = DoctorFinding("tokens", "ok", "1 configured", inner=(DoctorFinding("token hsm", "ok", "there", inner=(KEY,)),))
CLOCK = DoctorFinding("clock", "wrong", "100 s behind")


def test_nested_and_with_what_to_do(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    found(monkeypatch, DoctorFinding("configuration", "ok", "c.yaml"), TOKENS)
    assert doctor.examine(Path("c.yaml"), as_json=False) == Exit.TOKEN
    assert capsys.readouterr().out.splitlines() == [
        "[ok] configuration: c.yaml",
        "[ok] tokens: 1 configured",
        "  [ok] token hsm: there",
        "    [NO] key release: EXTRACTABLE=True",
        "         fix: make another",
    ]


def test_the_first_wrong_part_gives_the_code(monkeypatch: pytest.MonkeyPatch) -> None:
    found(monkeypatch, CLOCK, TOKENS)
    assert doctor.examine(Path("c.yaml"), as_json=True) == Exit.CLOCK


def test_warnings_are_fine(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    found(monkeypatch, DoctorFinding("upstream", "warning", "no account"))
    assert doctor.examine(Path("c.yaml"), as_json=True) == Exit.FINE
    [part] = json.loads(capsys.readouterr().out)
    assert part == {"name": "upstream", "state": "warning", "detail": "no account", "fix": "", "checks": []}


def test_a_broken_file_stops_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "countersign.yaml").write_text("version: 1\n")
    assert doctor.examine(tmp_path / "countersign.yaml", as_json=False) == Exit.CONFIG
    printed = capsys.readouterr().out
    assert printed.startswith("[NO] configuration: ")
    assert "upstreams: is missing" in printed
