"""A change of the policies at one server is in force at the other within a second, and a kill loses none."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.faults.caller import caller, image
from tests.faults.served import Served, served
from tests.interop.registries import docker_registry
from tests.worlds.postgres import MISSING, postgres_cluster, postgres_programs

pytestmark = [pytest.mark.real, pytest.mark.skipif(postgres_programs() is None, reason=MISSING)]


@pytest.fixture
def two(tmp_path: Path) -> Iterator[tuple[Served, Served]]:
    with docker_registry(tmp_path / "upstream") as upstream, postgres_cluster() as cluster:
        url = cluster.create("policies")

        def shared(settings: dict[str, Any]) -> None:
            settings["store"] = {"url": url}
            settings["policies_from"] = "api"
            settings["policies"][0]["pull"]["mode"] = "warn"

        with served(tmp_path / "one", upstream, shared) as one, served(tmp_path / "two", upstream, shared) as two:
            token = yaml.safe_load(one.config.read_text())["tokens"]["hsm"]
            token["pin"] = {"file": str(one.folder / "secrets" / "pin")}
            two.edit(lambda settings: settings["tokens"].update(hsm=token))
            one.start()
            two.start()
            yield one, two


def revision(server: Served) -> int:
    return int(json.loads(server("status", "-o", "json").stdout)["policies_number"])


async def test_the_other_server_blocks_within_a_second_and_both_after_a_kill(two: tuple[Served, Served]) -> None:
    one, other = two
    assert (revision(one), revision(other)) == (1, 1)
    file = one.folder / "policies.yaml"
    file.write_text(one("policy", "show").stdout.replace('"warn"', '"enforce"'))
    async with caller(other.host) as client:
        direct = client.at(other.upstream.host)
        await direct.furnish("team/app")
        assert (await direct.push("team/app", "1", image())).status == 201
        assert (await client.pull("team/app", "1")).status == 200
        done = one("policy", "apply", str(file), "--reason", "now", "--yes")
        assert done.status == 0, done.output
        began = time.monotonic()
        while (await client.pull("team/app", "1")).status == 200:
            assert time.monotonic() - began < 10
            await asyncio.sleep(0.05)
        assert time.monotonic() - began < 1
    late = other("policy", "apply", str(file), "--reason", "late", "--base", "1", "--yes")
    assert late.status == 0, "the very text that is in force"
    file.write_text(file.read_text() + "# mine\n")
    late = other("policy", "apply", str(file), "--reason", "late", "--base", "1", "--yes")
    assert late.status == 1
    assert "revision 2 of the policies" in late.output
    one.kill()
    other.kill()
    one.start()
    assert revision(one) == 2
