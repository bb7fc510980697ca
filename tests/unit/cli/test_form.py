from __future__ import annotations

from pathlib import Path

import pytest

from proxy.cli.exits import socket_beside
from tests.unit.config.test_settings import MINIMAL, parse


def test_a_command_looks_where_the_server_listens() -> None:
    assert socket_beside(Path("/etc/countersign/countersign.yaml")) == parse(MINIMAL).socket


def test_a_path_with_detours_is_as_short_as_it_can_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert socket_beside(Path("a/../b/./c.yaml")) == tmp_path / "b" / "countersign.sock"
    assert socket_beside(Path("c.yaml")) == tmp_path / "countersign.sock"
