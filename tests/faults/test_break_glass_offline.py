"""Database stopped, HSM gone, admin API dumb: root breaks the glass as the page says, and the record follows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from deploy.layouts import digest_of
from tests.faults.caller import LAYER, caller, image
from tests.faults.pkcs11_fault.faulty import ALWAYS
from tests.faults.served import Served, served
from tests.faults.test_break_glass_page import REPOSITORY, typed, within_a_second, written
from tests.interop.registries import docker_registry
from tests.worlds.postgres import MISSING, Cluster, postgres_cluster, postgres_programs

pytestmark = [pytest.mark.real, pytest.mark.skipif(postgres_programs() is None, reason=MISSING)]


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with postgres_cluster() as running:
        yield running


@pytest.fixture
def proxy(tmp_path: Path, cluster: Cluster) -> Iterator[Served]:
    url = cluster.create("countersign")

    def change(settings: dict[str, Any]) -> None:
        settings["store"] = {"url": url}

    with (
        docker_registry(tmp_path / "upstream") as upstream,
        served(tmp_path / "proxy", upstream, change, faulty=True) as made,
    ):
        made.start()
        yield made


def rows(cluster: Cluster, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(cluster.url("countersign")) as connection:
        return connection.execute(query.encode()).fetchall()


async def test_an_image_gets_through_and_the_record_follows(proxy: Served, cluster: Cluster) -> None:
    dry, now = written("When nothing answers")[:2]
    body, other = image("unsigned"), image("other")
    async with caller(proxy.host) as client:
        upstream = client.at(proxy.upstream.host)
        for repository in (REPOSITORY, "other/app"):
            await upstream.furnish(repository)
            assert (await upstream.push(repository, "1", body)).status == 201
        assert (await upstream.push(REPOSITORY, "bad", other)).status == 201
        assert proxy("deny", "add", digest_of(other), "--reason", "bad", "--yes").status == 0

        proxy.token.inject("gone", times=ALWAYS)
        cluster.stop()
        assert (await client.pull(REPOSITORY, "1")).status == 403
        online = ["exceptions", "open", "--repository", REPOSITORY, "--reason", "r", "--for", "1h", "--yes"]
        assert proxy(*online).status != 0, "the API does nothing that it cannot put on record"
        typed(proxy, dry)
        assert (await client.pull(REPOSITORY, "1")).status == 403
        typed(proxy, now)
        heard = await within_a_second(client, "1", 200)
        assert heard.body == body
        assert "made on the host" in heard.headers["warning"]
        blob = await client.ask("GET", f"/v2/{REPOSITORY}/blobs/{digest_of(LAYER)}")
        assert (blob.status, blob.body) == (200, LAYER)
        assert (await client.ask("GET", "/v2/other/app/manifests/1")).status == 403, "one scope"
        assert (await client.pull(REPOSITORY, "bad")).status == 403, "denials stay in force"

        cluster.start()
        asked = "SELECT kind, detail FROM journal WHERE kind LIKE '%except%' ORDER BY position"
        proxy.until(lambda: len(rows(cluster, asked)) >= 2, "the record does not follow", 20)
        found = {kind: json.loads(detail) for kind, detail in rows(cluster, asked)}
        assert found["exception.opened"]["offline"] is True
        assert found["exception.opened"]["reason"] == "database down, node restarted"
        assert found["pull.excepted"]["exception"] == found["exception.opened"]["exception"]
        assert any("open until" in problem["what"] for problem in proxy.problems())
        (end,) = written("When nothing answers")[2:]
        typed(proxy, end)
        await within_a_second(client, "1", 403)
        proxy.until(lambda: len(rows(cluster, asked)) >= 3, "its end is not on record", 20)
        listed = proxy("exceptions", "list")
        assert "NOT REVIEWED" in listed.stdout
    proxy.until(lambda: not list(proxy.folder.glob("breakglass-*.json")), "the file stays", 20)
