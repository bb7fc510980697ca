"""Keys are rotated under a load of real pushes and pulls, and the server is killed at each step of a rotation."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from proxy.cli.admin import Endpoint, call
from proxy.config import load
from proxy.oci.faults import Unavailable
from proxy.server.token_plans import tokens_plan
from proxy.tokens.setup import WantedKey, make_keys, token_settings
from tests.faults.caller import Caller, caller, digest_of, image
from tests.faults.served import Served, alive, served
from tests.interop.peers import Ran, peer
from tests.interop.registries import docker_registry
from tests.interop.verifiers import Verifiers

pytestmark = pytest.mark.real
ROTATIONS, PUSHERS, PULLERS = 4, 4, 2
KILLS = 8
REPOSITORY = "load/app"
Key = dict[str, Any]


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("rotation")
    with docker_registry(folder / "upstream") as upstream, served(folder / "proxy", upstream) as made:
        yield made


def listed(proxy: Served) -> dict[str, Any]:
    """What `keys list` answers."""
    answer: dict[str, Any] = json.loads(proxy("keys", "list", "-o", "json").stdout)
    return answer


def signing(proxy: Served) -> Key:
    """The key that signs images now. There is always exactly one."""
    (key,) = [k for k in listed(proxy)["keys"] if k["profile"] == "release" and k["state"] == "active"]
    return dict(key)


def rotated(proxy: Served) -> Ran:
    """What `keys rotate` did."""
    return proxy("keys", "rotate", "release", "--reason", "Tuesday", "--yes")


class Load:
    """Pushers and pullers that do not stop, and every answer that was not the expected one."""

    def __init__(self, client: Caller) -> None:
        self.client = client
        self.pushed: dict[str, str] = {}
        self.pulls = 0
        self.failed: list[str] = []
        self.over = False

    async def push(self, name: str) -> None:
        number = 0
        while not self.over:
            number += 1
            tag, body = f"{name}-{number}", image()
            reply = await self.client.push(REPOSITORY, tag, body)
            if reply.status == 201:
                self.pushed[tag] = digest_of(body)
            else:
                self.failed.append(f"push {tag}: {reply.status} {reply.body[:300]!r}")

    async def more(self) -> None:
        """Wait until more has been pushed than was under way, and something pulled."""
        pushed, pulled = len(self.pushed) + 2 * PUSHERS, self.pulls
        async with asyncio.timeout(60):
            while (len(self.pushed) <= pushed or self.pulls == pulled) and not self.failed:  # noqa: ASYNC110  counted by others
                await asyncio.sleep(0.02)

    async def pull(self) -> None:
        while not self.over:
            for tag in list(self.pushed)[-3:] + list(self.pushed)[:3]:
                reply = await self.client.pull(REPOSITORY, tag)
                self.pulls += 1
                if reply.status != 200:
                    self.failed.append(f"pull {tag}: {reply.status} {reply.body[:300]!r}")
            await asyncio.sleep(0.005)


async def test_rotations_under_load_fail_nothing_and_leave_nothing_unsigned(proxy: Served, tmp_path: Path) -> None:
    proxy.start()
    keys = [signing(proxy)]
    async with caller(proxy.host) as client:
        behind = client.at(proxy.upstream.host)
        await behind.furnish(REPOSITORY)
        load = Load(client)
        workers = [asyncio.create_task(load.push(f"w{n}")) for n in range(PUSHERS)]
        workers += [asyncio.create_task(load.pull()) for _ in range(PULLERS)]
        until: dict[str, int] = {}  # how many were pushed before a key stopped signing
        for _ in range(ROTATIONS):
            await load.more()
            until[keys[-1]["fingerprint"]] = len(load.pushed)
            done = await asyncio.to_thread(rotated, proxy)
            assert done.status == 0, done.output
            keys.append(await asyncio.to_thread(signing, proxy))
        after = set(load.pushed)
        await load.more()
        load.over = True
        await asyncio.gather(*workers)
        assert load.failed == []
        assert load.pulls
        assert len({key["fingerprint"] for key in keys}) == ROTATIONS + 1
        signers = await _signers(behind, proxy, load.pushed)
        assert set(signers.values()) == {key["fingerprint"] for key in keys}, "every key has signed something"
        late = [tag for tag in load.pushed if tag not in after][PUSHERS:]  # but for those that were under way
        assert late
        assert {signers[tag] for tag in late} == {keys[-1]["fingerprint"]}
        for tag in load.pushed:
            assert (await client.pull(REPOSITORY, tag)).status == 200
    if peer("cosign") is not None:
        await asyncio.to_thread(_cosign_agrees, proxy, keys, signers, tmp_path)
    assert proxy.leave() == 0


async def _signers(behind: Caller, proxy: Served, pushed: dict[str, str]) -> dict[str, str]:
    """The key that signed each tag: every one has its signatures upstream, by a single key."""
    rows = proxy.rows("SELECT digest, bound, fingerprint, stage FROM ledger WHERE format = 'cosign-simple'")
    assert {stage for *_, stage in rows} == {"attached"}
    by = {(digest, bound): key for digest, bound, key, _ in rows}
    found = {}
    for tag, digest in pushed.items():
        bounds = {bound for bound, _ in await behind.signatures(REPOSITORY, digest)}
        name = f"{proxy.host}/{REPOSITORY}"
        assert bounds == {name, f"{name}:{tag}"}, f"{tag} is not signed as it should be"
        assert len(await behind.bundles(REPOSITORY, digest)) == 1
        (found[tag],) = {by[(digest, bound)] for bound in bounds}
    return found


async def test_a_reload_makes_the_next_key_of_another_kind_and_a_restart_finds_it(proxy: Served) -> None:
    proxy.start()
    before, first, later = signing(proxy), image(), image()
    async with caller(proxy.host) as client:
        await client.at(proxy.upstream.host).furnish(REPOSITORY)
        assert (await client.push(REPOSITORY, "first", first)).status == 201
        proxy.edit(lambda settings: settings["keys"]["release"].update(algorithm="ecdsa-p384"))
        proxy.signal(signal.SIGHUP)
        loaded = "SELECT count(*) FROM journal WHERE kind IN ('config.loaded', 'config.refused')"
        proxy.until(lambda: proxy.rows(loaded)[0][0] >= 2, "it was not read again")
        assert proxy.problems() == []
        assert signing(proxy) == before, "the key that signs is what it was"
        done = rotated(proxy)
        assert done.status == 0, done.output
        assert signing(proxy)["algorithm"] == "ecdsa-p384"
        assert (await client.push(REPOSITORY, "later", later)).status == 201
        assert proxy.leave() == 0
        proxy.start()
        for tag in ("first", "later"):
            assert (await client.pull(REPOSITORY, tag)).status == 200
    assert "signs with ECDSA" in proxy("doctor").stdout
    proxy.edit(lambda settings: settings["keys"]["release"].update(algorithm="ecdsa-p256"))
    assert proxy.leave() == 0


async def test_killed_at_any_moment_of_a_rotation_one_key_is_active(proxy: Served) -> None:
    proxy.start()
    wanted = {"reason": "killed at it"}
    async with caller(proxy.host) as client:
        await client.at(proxy.upstream.host).furnish(REPOSITORY)
        for number in range(KILLS):
            before = signing(proxy)
            asked = asyncio.create_task(asyncio.to_thread(_ask_and_shrug, proxy, wanted))
            await asyncio.sleep(0.02 * number)  # a whole rotation takes about 0.1 s
            left = proxy.kill()
            answered = await asked
            proxy.start()
            proxy.until(partial(_gone, left), "processes that hold the token stay")
            proxy.until(lambda: proxy.metric("countersign_signing_healthy") == 1, "its token does not open")
            now = signing(proxy)
            assert not answered or now["fingerprint"] != before["fingerprint"], "what was answered holds"
            body = image()
            assert (await client.push(REPOSITORY, f"kill-{number}", body)).status == 201
            assert (await client.pull(REPOSITORY, f"kill-{number}")).body == body
            signers = proxy.rows("SELECT DISTINCT fingerprint FROM ledger WHERE digest = ?", digest_of(body))
            assert signers == [(now["fingerprint"],)]
            for key in listed(proxy)["keys"]:
                if key["state"] == "prepared":
                    assert "prepared key already" in rotated(proxy).output
                    done = proxy("keys", "activate", key["fingerprint"], "--reason", "go on", "--yes")
                    assert done.status == 0, done.output
        assert rotated(proxy).status == 0
    assert proxy.leave() == 0


def _gone(pids: list[int]) -> bool:
    return not any(map(alive, pids))


def _ask_and_shrug(proxy: Served, wanted: dict[str, str]) -> bool:
    """Whether the server lived to answer."""
    try:
        return "new" in call(Endpoint(socket=proxy.folder / "countersign.sock"), "POST", "keys/release/rotate", wanted)
    except Unavailable:
        return False


def test_a_key_that_was_created_and_not_recorded_is_reported_and_signs_nothing(proxy: Served) -> None:
    plan = tokens_plan(load(proxy.config))
    lost = WantedKey("release-20260102-abcdef", "ecdsa-p256", True)
    asyncio.run(make_keys(token_settings(plan.tokens["hsm"]), [lost]))
    proxy.start()
    answer, shown = listed(proxy), proxy("keys", "list")
    assert lost.label in {key["label"] for key in answer["unrecorded"]}
    assert lost.label not in {key["label"] for key in answer["keys"]}
    assert shown.status == 1
    (said,) = [line for line in shown.stdout.splitlines() if f"'{lost.label}'" in line]
    assert "on token hsm" in said
    assert "signs nothing" in said
    assert proxy.leave() == 0


def _cosign_agrees(proxy: Served, keys: list[Key], signers: dict[str, str], folder: Path) -> None:
    """An image of the first key verifies with that one only, an image of the last with that one only."""
    for mine, other in ((keys[0], keys[-1]), (keys[-1], keys[0])):
        tag = next(tag for tag, key in signers.items() if key == mine["fingerprint"])
        for key, well in ((mine, True), (other, False)):
            file = folder / f"{key['fingerprint'][:12]}.pub"
            file.write_text(key["public_key"])
            ran = Verifiers(proxy.host, file, folder / file.stem).cosign(f"{REPOSITORY}:{tag}")
            assert (ran.status == 0) is well, ran.output
