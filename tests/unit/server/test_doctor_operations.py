"""How findings are printed, and the code of what is wrong first."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from proxy.cli import admin as client
from proxy.cli.app import _with
from proxy.cli.exits import Exit
from proxy.server.doctor.checkup import DoctorFinding
from proxy.server.doctor_operations import found
from tests.worlds.admin import admin

KEY = DoctorFinding("key release", "wrong", "EXTRACTABLE=True", "make another")
TOKENS = DoctorFinding("tokens", "ok", "1 configured", inner=(DoctorFinding("token hsm", "ok", "there", inner=(KEY,)),))
CLOCK = DoctorFinding("clock", "wrong", "100 s behind")


def examined(monkeypatch: pytest.MonkeyPatch, *findings: DoctorFinding, options: tuple[str, ...] = ()) -> Any:
    """What `countersign doctor` does where the server has found this."""
    monkeypatch.setattr(client, "call", lambda *_: found(findings).model_dump(mode="json"))
    return CliRunner().invoke(_with(["doctor"]), ["doctor", "-c", "countersign.yaml", *options])


def test_nested_and_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    done = examined(monkeypatch, DoctorFinding("configuration", "ok", "c.yaml"), TOKENS)
    assert done.exit_code == Exit.TOKEN
    assert done.stdout.splitlines() == [
        "[ok] configuration: c.yaml",
        "[ok] tokens: 1 configured",
        "  [ok] token hsm: there",
        "    [NO] key release: EXTRACTABLE=True",
        "         fix: make another",
    ]


def test_the_first_wrong_part_gives_the_code(monkeypatch: pytest.MonkeyPatch) -> None:
    assert examined(monkeypatch, CLOCK, TOKENS).exit_code == Exit.CLOCK
    for name, code in (
        ("configuration", Exit.CONFIG), ("tokens", Exit.TOKEN), ("upstream", Exit.UPSTREAM), ("store", Exit.STORE),
        ("policies", Exit.CONFIG), ("clock", Exit.CLOCK), ("certificates", Exit.CONFIG), ("admin token", Exit.CONFIG),
        ("server", Exit.NO),
    ):  # fmt: skip
        assert examined(monkeypatch, DoctorFinding(name, "wrong", "")).exit_code == code


def test_warnings_are_fine(monkeypatch: pytest.MonkeyPatch) -> None:
    done = examined(monkeypatch, DoctorFinding("upstream", "warning", "no account"), options=("-o", "json"))
    assert done.exit_code == Exit.FINE
    [part] = json.loads(done.stdout)
    assert part == {"name": "upstream", "state": "warning", "detail": "no account", "fix": "", "checks": []}


def test_without_a_server_the_command_looks_itself_and_a_broken_file_stops_there(tmp_path: Path) -> None:
    (tmp_path / "countersign.yaml").write_text("version: 1\n")
    done = CliRunner().invoke(_with(["doctor"]), ["doctor", "-c", str(tmp_path)])
    assert done.exit_code == Exit.CONFIG
    assert done.stdout.startswith("[NO] configuration: ")
    assert "upstreams: is missing" in done.stdout
    assert "[--] server: no server answers at " in done.stdout
    assert "; this command made the checks" in done.stdout


def test_where_a_tag_may_be_written_is_named_as_a_repository_is(tmp_path: Path) -> None:
    done = CliRunner().invoke(_with(["doctor"]), ["doctor", "-c", str(tmp_path), "--write-to", "No/Name"])
    assert "--write-to No/Name: write the name of one repository" in str(done.exception)


async def test_the_server_says_that_it_looked_and_what_is_wrong_now() -> None:
    async with admin() as a:
        (server,) = (await a.call("POST", "/admin/v1/doctor", {}, socket=True)).value["checks"]
        assert server["detail"].endswith("; it made the checks")
        assert [each["detail"] for each in server["checks"]] == ["w; it stops s"]
        assert server["checks"][0]["state"] == "wrong"
