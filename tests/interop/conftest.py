"""Marks what runs real programs, and has the registries that tests start."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.interop.registries import Registry, distribution, docker_registry, with_referrers
from tests.interop.shared import anywhere, engines, here, partner, proxies

__all__ = ["anywhere", "engines", "here", "partner", "proxies"]  # fixtures
HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.real)


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    """An empty, open registry: Debian's."""
    with docker_registry(tmp_path / "registry") as started:
        yield started


@pytest.fixture(params=["docker-registry", "registry", "referrers"])
def each_registry(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Registry]:
    """An empty, open registry, of each kind in turn; only the last has the referrers API."""
    starter = {"docker-registry": docker_registry, "registry": distribution, "referrers": with_referrers}[request.param]
    with starter(tmp_path / "registry") as started:
        yield started
