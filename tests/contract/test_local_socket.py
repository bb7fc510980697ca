"""The commands' side of the local socket against the server's side of it."""

import asyncio
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from proxy.admin.http_problems import problem
from proxy.cli.local import ask
from proxy.oci.faults import Fault, Unavailable
from proxy.oci.limits import Limits
from proxy.web.local import Arguments, Commands, local_app
from proxy.web.outermost import Edge, outermost
from proxy.web.server import Listener


async def answer(arguments: Arguments) -> Mapping[str, Any]:
    if arguments.get("ref") == "missing":
        raise Fault("MANIFEST_UNKNOWN", "missing is not in the registry")
    if arguments.get("ref") == "away":
        raise Unavailable("the registry did not answer")
    return {"asked": dict(arguments)}


async def over(path: Path, command: str, arguments: dict[str, str], *, post: bool = False) -> dict[str, Any]:
    """Ask as a command does, from outside the server's loop."""
    listener = Listener(outermost(local_app(Commands(*[answer] * 6)), Edge(Limits(), refuse=problem)), Limits())
    await listener.listen_unix(path)
    try:
        return await asyncio.to_thread(ask, path, command, arguments, post=post)
    finally:
        await listener.leave(0.0, 1.0)


async def test_both_ways_of_asking(tmp_path: Path) -> None:
    path = tmp_path / "c.sock"
    asked = {"ref": "team/app:1", "reason": "ä & ö = ü"}
    assert await over(path, "sign", asked, post=True) == {"asked": asked}
    assert await over(path, "why", {"q": "team/app@sha256:1&x=y"}) == {"asked": {"q": "team/app@sha256:1&x=y"}}
    assert await over(path, "status", {}) == {"asked": {}}


async def test_refusals_keep_their_words(tmp_path: Path) -> None:
    with pytest.raises(Fault, match="missing is not in the registry"):
        await over(tmp_path / "c.sock", "verify", {"ref": "missing"}, post=True)
    with pytest.raises(Fault, match="the registry did not answer"):
        await over(tmp_path / "c.sock", "verify", {"ref": "away"}, post=True)


def test_nobody_there(tmp_path: Path) -> None:
    (tmp_path / "countersign.yaml").touch()
    with pytest.raises(Unavailable, match=f"start it: countersign serve --config {tmp_path}/countersign.yaml"):
        ask(tmp_path / "countersign.sock", "status", {})


async def test_only_who_runs_the_server_may_ask(tmp_path: Path) -> None:
    path = tmp_path / "c.sock"
    listener = Listener(outermost(local_app(Commands(*[answer] * 6)), Edge(Limits(), refuse=problem)), Limits())
    await listener.listen_unix(path)
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600  # noqa: PTH116
    await listener.leave(0.0, 1.0)
