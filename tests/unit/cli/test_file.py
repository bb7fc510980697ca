from __future__ import annotations

from pathlib import Path

import pytest

from proxy.cli import options
from proxy.oci.faults import ConfigError


def test_find_takes_what_is_given_then_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert options.find(tmp_path / "a.yaml", {"COUNTERSIGN_CONFIG": "b.yaml"}) == tmp_path / "a.yaml"
    assert options.find(tmp_path, {}) == tmp_path / "countersign.yaml"
    assert options.find(None, {"COUNTERSIGN_CONFIG": "b.yaml"}) == Path("b.yaml")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(options, "PLACES", (Path("countersign.yaml"),))
    with pytest.raises(ConfigError, match="no configuration found"):
        options.find(None, {})
    (tmp_path / "countersign.yaml").touch()
    assert options.find(None, {}) == Path("countersign.yaml")
