from __future__ import annotations

from pathlib import Path

import pytest

from proxy.cli import file
from proxy.oci.faults import ConfigError


def test_find_takes_what_is_given_then_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert file.find(tmp_path / "a.yaml", {"COUNTERSIGN_CONFIG": "b.yaml"}) == tmp_path / "a.yaml"
    assert file.find(tmp_path, {}) == tmp_path / "countersign.yaml"
    assert file.find(None, {"COUNTERSIGN_CONFIG": "b.yaml"}) == Path("b.yaml")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(file, "PLACES", (Path("countersign.yaml"),))
    with pytest.raises(ConfigError, match="no configuration found"):
        file.find(None, {})
    (tmp_path / "countersign.yaml").touch()
    assert file.find(None, {}) == Path("countersign.yaml")
