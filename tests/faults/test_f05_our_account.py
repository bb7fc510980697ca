"""The registry refuses our own account: status says so; another password, or a reload, is tried at once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from proxy.journal.problem import ProblemId
from tests.interop.countersign import Proxy, countersign
from tests.interop.peers import when
from tests.interop.registries import docker_registry, passwords
from tests.interop.wire import ask


def problems(proxy: Proxy) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(proxy("status", "-o", "json").stdout)["problems"]
    return [each for each in found if each["id"] == ProblemId.ACCOUNT.value]


def test_an_account_that_is_refused_is_a_problem_and_no_reason_to_try_again(tmp_path: Path) -> None:
    def account(settings: dict[str, Any]) -> None:
        (tmp_path / "password").write_text("old")
        known = {"username": "proxy", "password": {"file": str(tmp_path / "password")}}
        settings["upstreams"][0]["credentials"] = known

    auth = passwords(tmp_path, {"proxy": "new"})
    with (
        docker_registry(tmp_path / "upstream", auth=auth) as upstream,
        countersign(tmp_path / "proxy", upstream, account) as proxy,
    ):
        when(proxy.daemon, lambda: problems(proxy) or None, "status does not say so")
        (problem,) = problems(proxy)
        assert "refuses our account" in problem["what"]
        assert "upstreams[0].credentials" in problem["what"]
        for command in (("sign", "team/app:1", "--reason", "it is ours"), ("verify", "team/app:1")):
            said = proxy(*command)
            assert said.status != 0
            assert "upstreams[0].credentials" in said.output
            assert "try again" not in said.output
        assert ask(proxy.host, "GET", "/v2/").status == 401, "callers are told nothing of it"
        (tmp_path / "password").write_text("new")
        when(proxy.daemon, lambda: problems(proxy) == [] or None, "the new password was not taken")
        passwords(tmp_path, {"proxy": "other"})
        assert proxy("verify", "team/app:1").status != 0
        when(proxy.daemon, lambda: problems(proxy) or None, "status does not say that it is refused again")
        passwords(tmp_path, {"proxy": "new"})
        assert proxy("reload").status == 0
        when(proxy.daemon, lambda: problems(proxy) == [] or None, "a reload does not try it again")
