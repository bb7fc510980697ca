"""The version is said wherever somebody looks for it, and it is the one of pyproject.toml."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

import pytest

from proxy import version
from proxy.admin.openapi import document
from proxy.cli.app import run
from proxy.formats.key_evidence import document_of
from proxy.keys.evidence import evidence
from proxy.server.doctor.examine import offline
from proxy.trust.keys import fingerprint
from proxy.web.metrics import Metrics
from tests.worlds.admin import admin
from tests.worlds.conversation import world
from tests.worlds.softtokens import SoftTokens, held

WRITTEN = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]["version"]


def test_the_version_is_written_in_one_place() -> None:
    assert version() == WRITTEN


def test_the_command_says_it(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["countersign", "--version"])
    with pytest.raises(SystemExit) as left:
        run()
    assert (left.value.code, capsys.readouterr().out) == (0, f"countersign {WRITTEN}\n")


async def test_status_and_doctor_say_it() -> None:
    async with admin() as a:
        assert (await a.call("GET", "/admin/v1/status", socket=True)).value["version"] == WRITTEN
        (server,) = (await a.call("POST", "/admin/v1/doctor", {}, socket=True)).value["checks"]
        assert server["detail"].startswith(f"countersign {WRITTEN} serves ")


def test_the_doctor_that_makes_the_checks_itself_says_its_own(tmp_path: Path) -> None:
    (tmp_path / "countersign.yaml").write_text("version: 2\n")
    server = offline(tmp_path / "countersign.yaml", {"write_to": None}, "no server answers")["checks"][-1]
    assert server["detail"] == f"no server answers; this command made the checks (countersign {WRITTEN})"


def test_metrics_and_the_api_say_it() -> None:
    assert f'\ncountersign_build_info{{version="{WRITTEN}"}} 1.0\n' in Metrics().text().decode()
    assert document([])["info"]["version"] == WRITTEN


async def test_evidence_of_a_key_says_which_program_made_it() -> None:
    w = await world()
    (key,) = w.store.keybook.ring().ours
    made = await evidence(fingerprint(key.spki), w.ports, SoftTokens(w.signer, held(key)))
    assert document_of(made.text)["by"] == f"countersign {WRITTEN}"
