"""The registry stops and comes back: an outage reads as an outage everywhere, never as a blocked image."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from proxy.journal.problem import ProblemId
from tests.interop.countersign import Proxy, countersign
from tests.interop.handmade import Handmade
from tests.interop.peers import free_port, run, when
from tests.interop.registries import docker_registry
from tests.interop.wire import ask, manifest

NAME = "team/app"


def problems(proxy: Proxy) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(proxy("status", "-o", "json").stdout)["problems"]
    return [each for each in found if each["id"] == ProblemId.UPSTREAM.value]


def test_a_registry_that_stops_is_an_outage_and_no_denial_and_nobody_has_to_help(tmp_path: Path) -> None:
    port = free_port()
    with (
        docker_registry(tmp_path / "upstream", port=port) as upstream,
        countersign(tmp_path / "proxy", upstream) as proxy,
    ):
        Handmade(proxy.host, NAME).image("an image", "1")
        layer = manifest(upstream.host, NAME, "1").json()["layers"][0]["digest"]
        assert problems(proxy) == []
        upstream.daemon.process.terminate()
        upstream.daemon.process.wait(30)
        for method in ("GET", "HEAD", "GET"):
            heard = manifest(proxy.host, NAME, "1", method)
            assert (heard.status, heard.reason) == (503, "registry behind this proxy does not answer")
            assert heard.headers["retry-after"]
            assert heard.headers["content-type"] == "application/json"
            assert "127.0.0.1" not in heard.body.decode()
        assert "the registry behind this proxy does not answer" in heard.json()["errors"][0]["message"]
        assert ask(proxy.host, "POST", f"/v2/{NAME}/blobs/uploads/", b"").status == 503
        for method in ("GET", "HEAD"):
            assert ask(proxy.host, method, f"/v2/{NAME}/blobs/{layer}").status == 503
        assert ask(proxy.host, "GET", f"/v2/{NAME}/tags/list").status == 503
        pulled = run("skopeo", "inspect", "--tls-verify=false", f"docker://{proxy.host}/{NAME}:1")
        assert pulled.status != 0
        assert "blocked by" not in pulled.output
        assert proxy.rows("SELECT count(*) FROM journal WHERE kind LIKE '%.denied'") == [(0,)]
        ((count, detail),) = proxy.rows("SELECT count, detail FROM journal WHERE kind = 'upstream.unavailable'")
        assert count >= 6
        assert str(port) in detail
        (problem,) = problems(proxy)
        assert str(port) in problem["what"], "operators read where"
        with docker_registry(tmp_path / "upstream", port=port):
            when(proxy.daemon, lambda: problems(proxy) == [] or None, "the problem did not go away")
            assert manifest(proxy.host, NAME, "1").status == 200
