"""The line that ails does so on demand, and heals."""

import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.interop.registries import Registry
from tests.interop.toxics import network


def seconds(host: str) -> float:
    began = time.monotonic()
    with urllib.request.urlopen(f"http://{host}/v2/", timeout=10):
        return time.monotonic() - began


@pytest.mark.go
def test_a_line_is_slow_then_cut_then_well(registry: Registry, tmp_path: Path) -> None:
    with network(tmp_path, registry.host) as line:
        assert seconds(line.host) < 0.3
        line.ails("latency", latency=400)
        assert seconds(line.host) >= 0.4
        line.cut()
        with pytest.raises(urllib.error.URLError):
            seconds(line.host)
        line.heal()
        assert seconds(line.host) < 0.3
