"""What is typed reaches the export as it was meant."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from proxy.cli import trust
from proxy.cli.app import app
from proxy.cli.trust import ExportOptions


def test_options_arrive(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[ExportOptions] = []

    def export(wish: ExportOptions) -> tuple[dict[str, str], str]:
        seen.append(wish)
        return {"what": "done"}, "done\n"

    monkeypatch.setattr(trust, "export", export)
    typed = ["trust", "export", "release/commands.txt", "--image", "a:1", "--server", "https://r.example"]
    result = CliRunner().invoke(app, typed)
    assert (result.exit_code, result.stdout) == (0, "done\n")
    assert seen == [ExportOptions("https://r.example", "release/commands.txt", image="a:1")]
