"""The first token's key goes while another stands by, which signs meanwhile; back again, the first signs by itself."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from proxy.journal.problem import ProblemId
from proxy.tokens.setup import make_softhsm
from tests.faults.caller import caller, digest_of, image
from tests.faults.served import Served, served
from tests.interop.countersign import PROGRAM
from tests.interop.peers import must
from tests.interop.registries import docker_registry

pytestmark = pytest.mark.real
REPOSITORY = "team/app"


def beside(made: Served) -> None:
    """A second token is configured, without a key on it yet."""
    secrets = made.folder / "secrets"
    soft = make_softhsm(made.folder / "spare", "spare", secrets / "spare-pin", secrets / "spare-so-pin")

    def change(settings: dict[str, Any]) -> None:
        first = settings["tokens"]["hsm"]
        own = {"environment": soft.environment, "module": soft.module, "label": "spare"}
        pin = {"pin": {"file": str(secrets / "spare-pin")}} if isinstance(first["pin"], dict) else {"pin": first["pin"]}
        settings["tokens"]["spare"] = first | own | pin
        settings["keys"]["release"]["tokens"] = ["hsm", "spare"]
        settings["keys"]["release"].pop("token", None)
        settings["limits"] = {"sign_deadline_s": 5}

    made.edit(change)


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[Served]:
    with docker_registry(tmp_path / "up") as upstream, served(tmp_path / "proxy", upstream) as made:
        beside(made)
        yield made


def signer(proxy: Served, body: bytes) -> set[str]:
    """The tokens of the keys that signed it."""
    keys = {k["fingerprint"]: k["token"] for k in json.loads(proxy("keys", "list", "-o", "json").stdout)["keys"]}
    query = "SELECT fingerprint FROM ledger WHERE digest = ? AND signature IS NOT NULL"
    return {keys[found] for (found,) in proxy.rows(query, digest_of(body))}


async def test_the_first_token_signs_again_by_itself_once_its_key_is_back(proxy: Served) -> None:
    proxy.start()
    proxy.until(lambda: [p["id"] for p in proxy.problems()] == [ProblemId.KEY_NOT_MADE], "no key of it is missed", 20)
    (problem,) = proxy.problems()
    assert problem["next"].startswith("countersign init ")
    must(PROGRAM, *problem["next"].split()[1:])
    proxy.until(lambda: proxy.problems() == [], "what init made is not found", 40)

    async with caller(proxy.host) as client:
        await client.at(proxy.upstream.host).furnish(REPOSITORY)
        before, meanwhile, after = image(), image(), image()
        assert (await client.push(REPOSITORY, "before", before)).status == 201
        assert signer(proxy, before) == {"hsm"}

        token, away = proxy.folder / "token", proxy.folder / "token.away"
        token.rename(away)
        try:
            pushed = await client.push(REPOSITORY, "meanwhile", meanwhile)
            assert pushed.status == 201, pushed
            assert "by a standby of its token" in pushed.headers["warning"]
            assert signer(proxy, meanwhile) == {"spare"}
            assert proxy.metric("countersign_signing_healthy") == 0
            proxy.until(lambda: proxy.metric("countersign_standby_profiles") == 1, "the metric does not say so")
            found = {each["id"]: each for each in proxy.problems()}
            assert ProblemId.STANDBY in found
            assert {each["severity"] for each in found.values()} == {"warning"}, "nothing is stopped"
            assert {ProblemId.KEY_FAILS, ProblemId.TOKEN_AWAY} & set(found)
            assert proxy("doctor").stdout.count("[!!] problem: ") == len(found)
        finally:
            away.rename(token)
        proxy.until(lambda: proxy.problems() == [], "the first token did not come back by itself", 45)
        assert (await client.push(REPOSITORY, "after", after)).status == 201
        assert signer(proxy, after) == {"hsm"}
    assert proxy.leave() == 0
