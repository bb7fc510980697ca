from pathlib import Path

import pytest

from hsm.child import environment


def test_a_child_sees_what_it_needs_and_none_of_our_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COUNTERSIGN_PIN", "canary")
    monkeypatch.setenv("SOFTHSM2_CONF", "/somebody/elses")
    monkeypatch.setenv("TZ", "UTC")
    seen = environment({"SOFTHSM2_CONF": "/ours"})
    assert "canary" not in seen.values()
    assert seen["SOFTHSM2_CONF"] == "/ours"
    assert seen["TZ"] == "UTC"
    assert (Path(seen["PYTHONPATH"]) / "hsm" / "worker.py").exists()
