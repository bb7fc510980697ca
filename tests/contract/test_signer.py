"""Signer: signatures that the key's public half verifies, by exactly the key that was asked for, or none at all."""

from __future__ import annotations

import asyncio
import io
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import pytest

from hsm import Token
from hsm.encoding import algorithm_of, verifies
from proxy.config import Settings
from proxy.oci.faults import Unavailable
from proxy.registry.ports.keys import Signer
from proxy.server.token_plans import tokens_plan
from proxy.tokens.open import Record
from proxy.tokens.signer import TokenSigner
from proxy.trust.keys import BookKey
from proxy.web.logs import open_log
from tests.unit.config.test_settings import MINIMAL, parse
from tests.worlds.memory import MemoryStore, SoftSigner
from tests.worlds.softhsm import PIN, fresh_token, softhsm_missing

ALGORITHMS = {"release": "ecdsa-p256", "other": "ecdsa-p384", "third": "rsa-3072"}
ABSENT = pytest.mark.skipif(softhsm_missing(), reason="SoftHSM is not installed")


@dataclass(frozen=True)
class Signing:
    """A signer and the keys it has, by name."""

    signer: Signer
    keys: dict[str, BookKey]


def in_software() -> Signing:
    signer = SoftSigner()
    return Signing(signer, {name: signer.create(name, algorithm) for name, algorithm in ALGORITHMS.items()})


@pytest.fixture(scope="module")
def configured(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """The configuration of a real token with these keys on it, made once: an RSA key takes seconds."""
    folder = tmp_path_factory.mktemp("signer")
    soft = fresh_token(folder / "token")

    async def make() -> None:
        async with await Token.open(soft.with_(sessions=1)) as token:
            for name, algorithm in ALGORITHMS.items():
                await token.create(name, algorithm)

    asyncio.run(make())
    (folder / "pin").write_text(PIN)
    (folder / "pin").chmod(0o600)
    where = json.dumps({"module": soft.settings.module, "label": "test", "environment": soft.settings.environment})
    keys = {name: {"tokens": ["hsm"], "algorithm": algorithm} for name, algorithm in ALGORITHMS.items()}
    token = f"{where[:-1]}, pin: {{file: pin}}}}"
    return parse(f"{MINIMAL}tokens:\n  hsm: {token}\nkeys: {json.dumps(keys)}\n", str(folder))


@asynccontextmanager
async def on_a_token(settings: Settings) -> AsyncIterator[Signing]:
    store = MemoryStore()
    record = Record(store.keybook, store.journal, store.clock)
    signer = TokenSigner(tokens_plan(settings), record, open_log(io.StringIO(), as_json=True))
    try:
        await signer.start()
        yield Signing(signer, {key.profile: key for key in store.keybook.ring().ours})
    finally:
        await signer.close()


@pytest.fixture(params=["software", pytest.param("token", marks=[pytest.mark.real, ABSENT])])
def where(request: pytest.FixtureRequest) -> Settings | None:
    """The configuration of a real token, or None for keys in software."""
    return None if request.param == "software" else request.getfixturevalue("configured")


@pytest.fixture
async def signing(where: Settings | None) -> AsyncIterator[Signing]:
    if where is None:
        yield in_software()
    else:
        async with on_a_token(where) as opened:
            yield opened


async def test_what_it_signs_the_public_half_of_that_key_alone_verifies(signing: Signing) -> None:
    for name, algorithm in ALGORITHMS.items():
        key = signing.keys[name]
        assert algorithm_of(key.spki) == key.algorithm == algorithm
        for message in (b"", b"message", os.urandom(100_000)):
            signature = await signing.signer.sign(key, message)
            assert verifies(key.spki, message, signature)
            assert not verifies(key.spki, message + b"\0", signature)
            others = [k for k in signing.keys.values() if k is not key and k.algorithm.startswith(algorithm[:3])]
            assert not any(verifies(other.spki, message, signature) for other in others)


async def test_many_at_once_each_get_their_own(signing: Signing) -> None:
    asked = [(key, f"message {n}".encode()) for n in range(8) for key in signing.keys.values()]
    made = await asyncio.gather(*(signing.signer.sign(key, message) for key, message in asked))
    assert all(verifies(key.spki, message, one) for (key, message), one in zip(asked, made, strict=True))


async def test_a_key_it_does_not_hold_is_no_other_key_of_that_name(signing: Signing) -> None:
    release = signing.keys["release"]
    stranger = replace(release, spki=SoftSigner().create().spki)
    with pytest.raises(Unavailable):
        await signing.signer.sign(stranger, b"message")
    assert verifies(release.spki, b"message", await signing.signer.sign(release, b"message"))


async def test_a_key_is_its_public_half_whatever_the_book_calls_it(signing: Signing) -> None:
    renamed = replace(signing.keys["release"], profile="renamed", label="renamed")
    assert verifies(renamed.spki, b"message", await signing.signer.sign(renamed, b"message"))


async def test_it_is_well_as_long_as_it_signs(signing: Signing) -> None:
    assert signing.signer.health() is None
    await signing.signer.sign(signing.keys["release"], b"message")
    assert signing.signer.health() is None
