"""Fault 7: the first token of a profile goes, hangs, breaks and comes back; the one that stands by signs meanwhile."""

from __future__ import annotations

import asyncio
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.faults.caller import Caller, caller, digest_of, image
from tests.faults.pkcs11_fault.faulty import ALWAYS, DEVICE_REMOVED
from tests.faults.served import Served, served
from tests.faults.typed import lines
from tests.interop.countersign import PROGRAM
from tests.interop.peers import SYSTEM_PATH, must, peer
from tests.interop.registries import docker_registry
from tests.interop.verifiers import Verifiers
from tests.test_docs_pages import ROOT

pytestmark = pytest.mark.real
REPOSITORY = "team/app"
PAGE = "operations-standby.md"
DEADLINE_S = 2.0


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("standby")
    with docker_registry(folder / "upstream") as upstream, served(folder / "proxy", upstream, faulty=True) as made:
        stands_by(made)
        yield made


def stands_by(made: Served) -> None:
    """A second token is made and configured as the operators' page says, and what it says to type has made its key."""
    text = (ROOT / "docs" / PAGE).read_text().replace("/var/lib/countersign", str(made.folder))
    (written,) = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    page = yaml.safe_load(written)
    *token, make, look, _ = lines(PAGE, "Set it up")

    def change(settings: dict[str, Any]) -> None:
        faulty = settings["tokens"]["hsm"]
        assert page["tokens"]["hsm"]["environment"].items() <= faulty["environment"].items()
        settings["tokens"] = page["tokens"] | {"hsm": page["tokens"]["hsm"] | faulty}
        settings["keys"]["release"] |= page["keys"]["release"]
        settings["limits"] = {"sign_deadline_s": DEADLINE_S}

    people = {"PATH": f"{PROGRAM.parent}:{SYSTEM_PATH}"}  # in a shell with the environment that they have
    in_folder = f"set -e\ncd {shlex.quote(str(made.folder))}\n"
    must("sh", "-c", in_folder + "\n".join(token), environment=people)
    made.edit(change)
    assert "key 'release' on token 'spare'" in must("sh", "-c", in_folder + make, environment=people)
    assert (made.folder / "keys" / "release-spare.pub").exists()
    assert "token spare: 'spare'" in must("sh", "-c", in_folder + look, environment=people)


@pytest.fixture
def proxy(made: Served) -> Iterator[Served]:
    for fault in ("gone", "sign", "hang"):
        made.token.heal(fault)
    made.start()
    made.until(lambda: made.metric("countersign_standby_profiles") == 0, "the first token does not sign", 40)
    yield made
    made.close()


def by_token(proxy: Served) -> dict[str, str]:
    """The fingerprint of the active key on each token."""
    keys = json.loads(proxy("keys", "list", "-o", "json").stdout)["keys"]
    return {k["token"]: k["fingerprint"] for k in keys if k["profile"] == "release" and k["state"] == "active"}


def signers(proxy: Served, body: bytes) -> set[str]:
    return {str(key) for (key,) in proxy.rows("SELECT fingerprint FROM ledger WHERE digest = ?", digest_of(body))}


async def pushed(client: Caller, tag: str, body: bytes) -> str:
    """It was taken; returned is the warning that came with it."""
    reply = await client.push(REPOSITORY, tag, body)
    assert reply.status == 201, reply
    return reply.headers.get("warning", "")


async def furnished(client: Caller, proxy: Served) -> None:
    await client.at(proxy.upstream.host).furnish(REPOSITORY)


def last_told(proxy: Served) -> dict[str, Any]:
    rows = proxy.rows("SELECT detail FROM journal WHERE kind = 'key.standby' ORDER BY position DESC LIMIT 1")
    return dict(json.loads(rows[0][0])) if rows else {}


async def test_the_standby_signs_loudly_and_the_first_takes_over_again_by_itself(proxy: Served, tmp_path: Path) -> None:
    keys = by_token(proxy)
    assert set(keys) == {"hsm", "spare"}
    async with caller(proxy.host) as client:
        await furnished(client, proxy)
        before, meanwhile, after = image(), image(), image()
        assert await pushed(client, "before", before) == ""
        assert signers(proxy, before) == {keys["hsm"]}

        proxy.token.inject("sign", DEVICE_REMOVED, ALWAYS)
        try:
            warning = await pushed(client, "meanwhile", meanwhile)
            assert "signed for release by a standby of its token" in warning
            made = {json.loads(d)["standby"] for (d,) in proxy.rows(SIGNED, digest_of(meanwhile))}
            assert made == {"spare"}
            assert {row for row in signers(proxy, meanwhile) if signature_of(proxy, meanwhile, row)} == {keys["spare"]}
            proxy.until(lambda: proxy.metric("countersign_standby_profiles") == 1, "the metric does not say so")
            (line,) = lines(PAGE, "When the standby signs")
            assert "release: token hsm does not sign" in proxy(*line.split()[1:]).stdout
            (problem,) = [p for p in proxy.problems() if p["id"] == "standby"]
            assert "release: token hsm does not sign" in problem["what"]
            assert problem["since"]
            assert (last_told(proxy)["token"], last_told(proxy)["first"]) == ("spare", "hsm")
            assert (await client.pull(REPOSITORY, "meanwhile")).status == 200
        finally:
            proxy.token.heal("sign")

        proxy.until(lambda: proxy.metric("countersign_standby_profiles") == 0, "the first does not come back", 20)
        assert await pushed(client, "after", after) == ""
        assert signers(proxy, after) == {keys["hsm"]}
        assert last_told(proxy)["token"] == "hsm"
        assert not [p for p in proxy.problems() if p["id"] == "standby"]
        for tag in ("before", "meanwhile", "after"):
            assert (await client.pull(REPOSITORY, tag)).status == 200
    if peer("cosign") is not None:
        for name, tag in (("release", "before"), ("release-spare", "meanwhile")):
            key = proxy.folder / "keys" / f"{name}.pub"
            judge = Verifiers(proxy.host, key, tmp_path / name)
            judge.accepted("cosign", tag, await asyncio.to_thread(judge.cosign, f"{REPOSITORY}:{tag}"))
    assert proxy.leave() == 0


SIGNED = "SELECT detail FROM journal WHERE kind = 'signature.made' AND digest = ?"


def signature_of(proxy: Served, body: bytes, key: str) -> bool:
    """Whether that key has signed it: an intent of the first token's key may be left without a signature."""
    query = "SELECT signature IS NOT NULL FROM ledger WHERE digest = ? AND fingerprint = ?"
    return any(signed for (signed,) in proxy.rows(query, digest_of(body), key))


async def test_a_token_that_hangs_costs_one_push_its_deadline_and_the_next_ones_nothing(proxy: Served) -> None:
    keys = by_token(proxy)
    async with caller(proxy.host) as client:
        await furnished(client, proxy)
        proxy.token.inject("hang", 30, ALWAYS)
        try:
            loop = asyncio.get_running_loop()
            began = loop.time()
            first = image()
            await pushed(client, "hung", first)
            assert loop.time() - began < 2 * DEADLINE_S + 3
            assert signature_of(proxy, first, keys["spare"])
            began = loop.time()
            for number in range(3):
                assert "standby" in await pushed(client, f"hung-{number}", image())
            assert loop.time() - began < DEADLINE_S, "the token that hangs is not asked again by a push"
        finally:
            proxy.token.heal("hang")
        proxy.until(lambda: proxy.metric("countersign_standby_profiles") == 0, "the first does not come back", 40)
    assert proxy.leave() == 0


async def test_no_push_of_a_load_fails_when_the_first_token_goes_and_comes_back(proxy: Served) -> None:
    keys = by_token(proxy)
    async with caller(proxy.host) as client:
        await furnished(client, proxy)
        bodies: dict[str, bytes] = {}
        over = False

        async def push(name: str) -> None:
            number = 0
            while not over:
                number += 1
                tag, body = f"{name}-{number}", image()
                await pushed(client, tag, body)
                bodies[tag] = body

        workers = [asyncio.create_task(push(f"w{n}")) for n in range(3)]
        await asyncio.sleep(0.7)
        proxy.token.inject("gone", 1, ALWAYS)
        await asyncio.sleep(2.5)
        proxy.token.heal("gone")
        await asyncio.to_thread(
            proxy.until, lambda: proxy.metric("countersign_standby_profiles") == 0, "it does not come back", 40
        )
        await asyncio.sleep(0.7)
        over = True
        await asyncio.gather(*workers)
        used = set()
        for tag, body in bodies.items():
            assert (await client.pull(REPOSITORY, tag)).status == 200
            used |= {key for key in signers(proxy, body) if signature_of(proxy, body, key)}
    assert used == {keys["hsm"], keys["spare"]}
    assert proxy.leave() == 0


async def test_a_start_without_the_first_token_signs_with_the_standby(made: Served) -> None:
    made.token.inject("gone", 1, ALWAYS)
    try:
        made.start()
        async with caller(made.host) as client:
            await furnished(client, made)
            assert "by a standby of its token" in await pushed(client, "early", image())
    finally:
        made.token.heal("gone")
    made.until(lambda: made.metric("countersign_standby_profiles") == 0, "the first does not come back", 40)
    async with caller(made.host) as client:
        assert await pushed(client, "late", image()) == ""
    assert made.leave() == 0


async def test_the_standbys_key_is_rotated_by_itself(proxy: Served) -> None:
    before = by_token(proxy)
    (line,) = lines(PAGE, "Keys of a standby")
    done = proxy(*shlex.split(line)[1:], "--yes")
    assert done.status == 0, done.output
    after = by_token(proxy)
    assert after["hsm"] == before["hsm"]
    assert after["spare"] != before["spare"]
    assert proxy.leave() == 0


async def test_a_lost_first_key_is_distrusted_while_its_token_is_away_and_pushes_go_on(proxy: Served) -> None:
    keys = by_token(proxy)
    async with caller(proxy.host) as client:
        await furnished(client, proxy)
        body = image()
        proxy.token.inject("gone", 1, ALWAYS)
        try:
            refused = proxy("keys", "compromise", keys["hsm"], "--rotate", "--reason", "stolen", "--yes")
            assert refused.status == 5, refused.output
            assert by_token(proxy) == keys
            done = proxy("keys", "compromise", keys["hsm"], "--reason", "stolen", "--yes")
            assert done.status == 0, done.output
            assert by_token(proxy) == {"spare": keys["spare"]}
            assert "standby" in await pushed(client, "stolen", body)
        finally:
            proxy.token.heal("gone")
    proxy.leave()
    proxy.start()
    done = proxy("keys", "rotate", "release", "--reason", "after the theft", "--yes")
    proxy.until(lambda: proxy.metric("countersign_standby_profiles") == 0, "the first token is not used", 20)
    assert done.status == 0, done.output
    assert set(by_token(proxy)) == {"hsm", "spare"}
    assert proxy.leave() == 0
