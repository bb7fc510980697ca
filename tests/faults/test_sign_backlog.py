"""A registry full of unsigned images is signed by one command, by a real server that is killed in the middle of it.

Stock verifiers accept what it made, and it says for ever that it was made later.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults.caller import caller, image
from tests.faults.served import Served, served
from tests.interop.registries import docker_registry
from tests.interop.verifiers import Verifiers

pytestmark = [pytest.mark.real, pytest.mark.go]
IMAGES = 40
WHY = ("--reason", "the backlog of 2026")


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[Served]:
    with docker_registry(tmp_path / "upstream") as upstream, served(tmp_path / "proxy", upstream) as made:
        yield made


def told(proxy: Served, *words: str) -> Any:
    """What a command prints as JSON."""
    ran = proxy(*words, "-o", "json")
    assert ran.status == 0, ran.output
    return json.loads(ran.stdout)


async def test_a_backlog_is_listed_signed_across_a_kill_and_verified_elsewhere(proxy: Served, tmp_path: Path) -> None:
    proxy.start()
    async with caller(proxy.host) as client:
        behind = client.at(proxy.upstream.host)
        for repository in ("team/app", "team/other"):
            await behind.furnish(repository)
            for number in range(IMAGES // 2):
                assert (await behind.push(repository, f"t{number}", image())).status == 201
        assert (await client.pull("team/app", "t0")).status == 403
        pulled = told(proxy, "sign", "--unsigned-pulled", "--dry-run", *WHY)
        assert [(each["repository"], each["reference"]) for each in pulled["images"]] == [("team/app", "t0")]
        assert pulled["images"][0]["pulled_by"][0].startswith("anonymous (127.0.0.1")
        shown = told(proxy, "sign", "team/**", "--dry-run", *WHY)
        assert (shown["counts"], len(shown["images"])) == ({"to sign": IMAGES}, IMAGES)
        job = told(proxy, "sign", "team/**", "--yes", "--no-wait", *WHY)["id"]

        def begun() -> bool:
            return int(told(proxy, "jobs", "show", job)["done"]) > 0

        await asyncio.to_thread(proxy.until, begun, "the job does not go on", 60)
        proxy.kill()
        proxy.start()
        over = json.loads((await asyncio.to_thread(proxy, "jobs", "watch", job, "-o", "json")).stdout)
        assert (over["state"], over["done"], over["result"]["failed"]) == ("done", IMAGES, 0)
        for repository in ("team/app", "team/other"):
            for number in range(IMAGES // 2):
                assert (await client.pull(repository, f"t{number}")).status == 200
        assert told(proxy, "sign", "team/**", "--yes", *WHY)["counts"] == {"signed already": IMAGES}
    told_here = proxy("verify", "team/app:t1").stdout
    assert "signed later by operator on the host (socket): the backlog of 2026" in told_here
    assert "pusher=" not in told_here
    verifiers = Verifiers(proxy.host, proxy.key, tmp_path / "verifiers")
    later = {"signed-later-by": "operator on the host (socket)", "reason": "the backlog of 2026"}
    for version in (3, 2):  # cosign 2 does not show what a bundle claims
        verified = verifiers.cosign("team/app:t1", version=version)
        assert verified.status == 0, verified.output
        if version == 3:
            (shown,) = json.loads(verified.stdout)
            assert shown["optional"].items() >= later.items()
    simple = "--new-bundle-format=false"
    claimed = [word for name, value in later.items() for word in ("-a", f"{name}={value}")]
    assert verifiers.cosign("team/app:t1", simple, *claimed).status == 0
    assert verifiers.cosign("team/app:t1", simple, "-a", f"pusher={later['signed-later-by']}").status != 0
    made = "SELECT COUNT(*), COUNT(DISTINCT digest || format || bound || fingerprint) FROM ledger"
    ((rows, distinct),) = proxy.rows(made)
    ((signatures,),) = proxy.rows("SELECT COUNT(*) FROM journal WHERE kind = 'signature.made'")
    assert rows == distinct == signatures, "nothing twice"
    assert proxy.leave() == 0
