"""`countersign tokens` and its client against the real API, over both ways in."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

import pytest

from proxy.admin.http_problems import problem
from proxy.admin.token_operations import create_token, list_tokens, revoke_token
from proxy.cli import admin as cli_admin
from proxy.cli.admin import Endpoint, call
from proxy.cli.exits import Exit, OutputFormat
from proxy.cli.operations import carry_out
from proxy.oci.faults import ConfigError, Fault, Unavailable
from proxy.oci.limits import Limits
from proxy.trust.roles import Role
from proxy.web.outermost import Edge, outermost
from proxy.web.server import Address, Listener
from tests.worlds.admin import Admin, admin, nothing_else

T = TypeVar("T")


@asynccontextmanager
async def served(directory: Path, *, dual: bool = False) -> AsyncIterator[tuple[Admin, str, Path]]:
    async with admin(dual=dual) as a:
        edge = Edge(Limits(), refuse=problem)
        network = Listener(outermost(a.api.over_network(nothing_else), edge), Limits())
        socket = Listener(outermost(a.api.over_socket(), edge), Limits())
        at = await network.listen(Address("127.0.0.1", 0))
        await socket.listen_unix(directory / "c.sock")
        try:
            yield a, f"http://127.0.0.1:{at.port}", directory / "c.sock"
        finally:
            await network.leave(0.0, 1.0)
            await socket.leave(0.0, 1.0)


def show(place: Endpoint, form: OutputFormat) -> Exit:
    return carry_out(list_tokens, place, {"output": form})


def create(
    place: Endpoint, name: str, roles: list[str], days: int, form: OutputFormat, *, fingerprint: str | None = None,
    dry_run: bool = False,
) -> Exit:  # fmt: skip
    typed = {"name": name, "roles": roles, "repositories": [], "valid_days": days, "fingerprint": fingerprint}
    return carry_out(create_token, place, {**typed, "dry_run": dry_run, "output": form})


def revoke(place: Endpoint, token_id: str, form: OutputFormat) -> Exit:
    return carry_out(revoke_token, place, {"id": token_id, "output": form})


async def away(work: Callable[[], T]) -> T:
    return await asyncio.to_thread(work)


async def test_a_token_made_on_the_host_works_from_afar(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with served(tmp_path) as (a, url, socket):
        local = Endpoint(socket=socket)
        assert await away(lambda: show(local, OutputFormat.TEXT)) is Exit.FINE
        assert "no admin tokens" in capsys.readouterr().out
        await away(lambda: create(local, "erika", ["key-admin", "viewer"], 7, OutputFormat.TEXT))
        printed = capsys.readouterr()
        text = printed.out.strip()
        assert text not in printed.err
        far = Endpoint(server=url, token=text)
        await away(lambda: show(far, OutputFormat.TEXT))
        listed = capsys.readouterr().out
        assert "erika" in listed
        assert "key-admin,viewer" in listed
        assert text not in listed
        before = a.active()
        turned = await away(lambda: call(far, "POST", "keys/release/rotate", {"reason": "tuesday"}))
        assert turned["old"]["fingerprint"] == before
        assert turned["new"]["fingerprint"] == a.active() != before
        (token_id,) = a.world.store.admin_tokens.rows
        await away(lambda: revoke(far, token_id, OutputFormat.JSON))
        assert json.loads(capsys.readouterr().out)["valid"] is False
        with pytest.raises(Fault, match="was revoked at"):
            await away(lambda: show(far, OutputFormat.TEXT))


async def test_every_page_is_listed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli_admin, "PAGE", 2)
    async with served(tmp_path) as (a, _, socket):
        for number in range(5):
            await a.token(Role.VIEWER, name=f"number {number}")
        await away(lambda: show(Endpoint(socket=socket), OutputFormat.JSON))
        names = [token["name"] for token in json.loads(capsys.readouterr().out)["items"]]
        assert names == [f"number {number}" for number in range(5)]


async def test_refusals_keep_their_words(tmp_path: Path) -> None:
    async with served(tmp_path) as (a, url, _):
        viewer = await a.token(Role.VIEWER)
        with pytest.raises(Fault, match="needs one of: policy-admin, key-admin"):
            await away(lambda: create(Endpoint(server=url, token=viewer), "x", ["viewer"], 1, OutputFormat.TEXT))
        with pytest.raises(Fault, match="not an admin token of this proxy"):
            await away(lambda: show(Endpoint(server=url, token="guess"), OutputFormat.TEXT))


@pytest.mark.parametrize(
    "server", ["127.0.0.1:5001", "ftp://h:1", "http://", "http://h:x", "http://h/path", "http://u@h"]
)
def test_what_is_no_server(server: str) -> None:
    with pytest.raises(ConfigError, match="--server: found"):
        call(Endpoint(server=server, token="x"), "GET", "status")


@pytest.mark.parametrize("token", ["", "a b", "a\nb", "ä"])
def test_what_cannot_be_a_token_is_never_sent(token: str) -> None:
    with pytest.raises(ConfigError, match="COUNTERSIGN_TOKEN") as refused:
        call(Endpoint(server="http://127.0.0.1:9", token=token), "GET", "status")
    assert not token or token not in str(refused.value)


def test_nobody_there(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match=r"no server answers at http://127\.0\.0\.1:9 .*is countersign serve running"):
        call(Endpoint(server="http://127.0.0.1:9", token="x"), "GET", "status")
    with pytest.raises(Unavailable, match="start it: countersign serve"):
        call(Endpoint(socket=tmp_path / "none"), "GET", "status")
