"""The token is lost without a backup: pulls never stop, the record is kept, and one command leads out of it."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from proxy.tokens.setup import make_softhsm
from tests.faults.caller import Caller, caller, image
from tests.faults.served import Served, served
from tests.faults.typed import filled, lines
from tests.interop.countersign import PROGRAM
from tests.interop.peers import run
from tests.interop.registries import docker_registry

pytestmark = pytest.mark.real
REPOSITORY = "team/app"
PAGE = "operations-keys.md"
KNOWN = image("known")


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[Served]:
    with docker_registry(tmp_path / "up") as upstream, served(tmp_path / "proxy", upstream) as made:
        yield made
        made.close()


async def with_an_image(proxy: Served) -> str:
    """It has served, an image is signed, and it has stopped; returned is the key that signed."""
    proxy.start()
    async with caller(proxy.host) as client:
        await client.at(proxy.upstream.host).furnish(REPOSITORY)
        assert (await client.push(REPOSITORY, "known", KNOWN)).status == 201
    (key,) = keys(proxy, "active")
    assert proxy.leave() == 0
    return key


def keys(proxy: Served, state: str) -> list[str]:
    found = json.loads(proxy("keys", "list", "-o", "json").stdout)["keys"]
    return [k["fingerprint"] for k in found if k["profile"] == "release" and k["state"] == state]


def blank(proxy: Served) -> None:
    """The token has been replaced by a new one of the same label and PIN."""
    shutil.rmtree(proxy.folder / "token")
    secrets = proxy.folder / "secrets"
    made = make_softhsm(proxy.folder / "token", "countersign", secrets / "pin", secrets / "so-pin")
    assert made.created


def other_label(proxy: Served) -> None:
    """The token is there, under a label that is not the configured one."""
    proxy.edit(lambda settings: settings["tokens"]["hsm"].update(label="nobody"))


def no_module(proxy: Served) -> None:
    """The module is not there."""
    proxy.edit(lambda settings: settings["tokens"]["hsm"].update(module="/nowhere/p11.so"))


def other_token(proxy: Served) -> None:
    """A token of that label and PIN holds other keys of the same labels."""
    blank(proxy)
    for public in (proxy.folder / "keys").glob("*.pub"):
        public.rename(public.with_suffix(".was"))
    done = run(PROGRAM, "init", proxy.folder, "--upstream", proxy.upstream.url)
    assert done.status == 0, done.output


async def pushes_are_refused_and_pulls_go_on(proxy: Served, client: Caller) -> dict[str, Any]:
    assert (await client.pull(REPOSITORY, "known")).body == KNOWN
    refused = await client.push(REPOSITORY, "new", image())
    assert refused.status == 403
    assert "the signing device is unavailable" in refused.message
    assert proxy.metric("countersign_signing_healthy") == 0
    found = [p for p in proxy.problems() if p["severity"] == "error"]
    assert found
    assert all(p["stops"] == "pushes that must be signed; pulls go on" for p in found)
    return found[0]


@pytest.mark.parametrize("wrong", [blank, other_token, other_label, no_module])
async def test_it_serves_pulls_whatever_is_wrong_with_the_token(proxy: Served, wrong: Any) -> None:
    key = await with_an_image(proxy)
    wrong(proxy)
    proxy.start()
    async with caller(proxy.host) as client:
        problem = await pushes_are_refused_and_pulls_go_on(proxy, client)
    if wrong in (blank, other_token):
        assert f"countersign keys lost {key[:12]} " in " ".join(p["next"] for p in proxy.problems())
    else:
        assert problem["next"].startswith("countersign doctor ")
    assert proxy.leave() == 0


async def test_a_lost_key_is_replaced_while_pulls_go_on(proxy: Served) -> None:
    key = await with_an_image(proxy)
    blank(proxy)
    proxy.start()
    for line in lines(PAGE, "Losing it"):
        said = filled(line, {"KEY": key[:12], "HSM": "HSM"}).replace('"the HSM burnt"', "burnt").split()[1:]
        done = proxy(*said, *([] if "--dry-run" in said else ["--yes"]))
        assert done.status == 0, done.output
    assert "BEGIN PUBLIC KEY" in done.stdout
    assert keys(proxy, "trusted") == [key]
    assert len(keys(proxy, "active")) == 1
    (told,) = proxy.rows("SELECT detail FROM journal WHERE kind = 'key.lost'")
    assert json.loads(told[0])["new"] == keys(proxy, "active")[0]
    async with caller(proxy.host) as client:
        assert (await client.pull(REPOSITORY, "known")).status == 200
        assert (await client.push(REPOSITORY, "new", image())).status == 201
    again = proxy("keys", "lost", key, "--reason", "again", "--yes")
    assert "signs nothing" in again.output
    assert again.status != 0
    assert proxy.leave() == 0


async def test_where_others_may_have_it_what_it_signed_is_blocked(proxy: Served) -> None:
    key = await with_an_image(proxy)
    blank(proxy)
    proxy.start()
    done = proxy("keys", "lost", key, "--compromised", "--reason", "stolen", "--yes")
    assert done.status == 0, done.output
    assert "signs beside" not in done.stdout
    assert keys(proxy, "compromised") == [key]
    async with caller(proxy.host) as client:
        assert (await client.pull(REPOSITORY, "known")).status == 403
        assert (await client.push(REPOSITORY, "new", image())).status == 201
    assert proxy.leave() == 0


async def test_it_is_said_offline_and_refused_while_a_server_runs(proxy: Served) -> None:
    key = await with_an_image(proxy)
    blank(proxy)
    done = proxy("keys", "lost", key, "--offline", "--reason", "burnt", "--yes")
    assert done.status == 0, done.output
    assert f"key {key} of release is trusted" in done.stdout
    proxy.start()
    assert keys(proxy, "trusted") == [key]
    refused = proxy("keys", "lost", keys(proxy, "active")[0], "--offline", "--reason", "again", "--yes")
    assert refused.status != 0
    assert "is already writing" in refused.output
    async with caller(proxy.host) as client:
        assert (await client.pull(REPOSITORY, "known")).status == 200
        assert (await client.push(REPOSITORY, "new", image())).status == 201
    assert proxy.leave() == 0


async def test_init_and_serve_do_not_send_to_each_other(proxy: Served) -> None:
    key = await with_an_image(proxy)
    blank(proxy)
    said = run(PROGRAM, "init", proxy.folder, "--upstream", proxy.upstream.url)
    assert said.status == 3
    (command,) = re.findall(r"countersign (keys lost \S+)", said.output)
    assert command == f"keys lost {key[:12]}"
    unasked = proxy(*command.split(), "--offline", "--reason", "as init says")
    assert (unasked.status, "nothing was done" in unasked.output) == (1, True)
    done = proxy(*command.split(), "--offline", "--reason", "as init says", "--yes")
    assert done.status == 0, done.output


async def test_without_any_token_nothing_is_changed_and_it_says_what_to_do(proxy: Served) -> None:
    key = await with_an_image(proxy)
    no_module(proxy)
    proxy.start()
    refused = proxy("keys", "lost", key, "--reason", "burnt", "--yes")
    assert refused.status != 0
    assert "nothing was changed" in refused.output
    assert keys(proxy, "active") == [key]
    assert proxy.leave() == 0
