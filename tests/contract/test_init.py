"""`countersign init` with a real SoftHSM: what it makes, and that it never makes it twice."""

import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from proxy import config
from proxy.cli.init import initialise
from proxy.cli.init_texts import InitOptions
from proxy.oci.faults import ConfigError
from proxy.server.token_plans import tokens_plan
from proxy.tokens import setup
from tests.worlds.softhsm import PIN, fresh_token, softhsm_missing

pytestmark = [pytest.mark.real, pytest.mark.skipif(softhsm_missing(), reason="SoftHSM is not installed")]


def wish(directory: Path) -> InitOptions:
    return InitOptions(directory, "http://127.0.0.1:5999")


def contents(directory: Path) -> dict[str, bytes]:
    kept = [path for path in directory.rglob("*") if path.is_file() and "tokens" not in path.parts]
    return {str(path.relative_to(directory)): path.read_bytes() for path in kept}


def test_everything_is_there_and_a_second_run_changes_nothing(tmp_path: Path) -> None:
    printed = initialise(wish(tmp_path))
    settings = config.load(tmp_path / "countersign.yaml")
    for name in ("release", "attestation"):
        assert f"key {name!r} on token 'hsm' (ecdsa-p256, cannot be taken out)" in printed
        key = serialization.load_pem_public_key((tmp_path / "keys" / f"{name}.pub").read_bytes())
        assert isinstance(key, ec.EllipticCurvePublicKey)
        assert isinstance(key.curve, ec.SECP256R1)
    assert stat.S_IMODE(settings.tokens["hsm"].pin.file.stat().st_mode) == 0o600  # type: ignore[union-attr]
    (warning,) = settings.warnings
    assert "policies[0]: no contact: a refusal does not tell people whom to ask" in warning
    assert f"[!!] {warning}" in printed

    before = contents(tmp_path)
    again = initialise(wish(tmp_path))
    assert "was not changed" in again
    assert "Nothing had to be made" in again
    assert contents(tmp_path) == before


async def test_keys_cannot_leave_the_token(tmp_path: Path) -> None:
    settings = await _made(tmp_path)
    seen = await setup.look("hsm", tokens_plan(settings))
    for key in seen.keys.values():
        assert not isinstance(key, str)
        assert key.attributes["SENSITIVE"] is True
        assert key.attributes["EXTRACTABLE"] is False
        assert key.attributes["LOCAL"] is True


async def _made(directory: Path) -> config.Settings:
    import asyncio

    await asyncio.to_thread(initialise, wish(directory))
    return config.load(directory / "countersign.yaml")


def test_a_run_that_was_interrupted_is_finished(tmp_path: Path) -> None:
    initialise(wish(tmp_path))
    kept = (tmp_path / "keys" / "release.pub").read_bytes()
    (tmp_path / "countersign.yaml").unlink()
    (tmp_path / "keys" / "attestation.pub").unlink()
    initialise(wish(tmp_path))
    assert (tmp_path / "keys" / "release.pub").read_bytes() == kept
    assert (tmp_path / "keys" / "attestation.pub").exists()


def test_a_lost_key_is_not_made_anew(tmp_path: Path) -> None:
    initialise(wish(tmp_path))
    pub = tmp_path / "keys" / "release.pub"
    path = tmp_path / "countersign.yaml"
    path.write_text(path.read_text().replace("release", "lost"))
    pub.rename(tmp_path / "keys" / "lost.pub")
    with pytest.raises(ConfigError, match="has no key 'lost'"):
        initialise(wish(tmp_path))


def test_a_public_half_of_another_key_is_noticed(tmp_path: Path) -> None:
    initialise(wish(tmp_path))
    keys = tmp_path / "keys"
    (keys / "release.pub").write_bytes((keys / "attestation.pub").read_bytes())
    with pytest.raises(ConfigError, match="is not the public half of key 'release'"):
        initialise(wish(tmp_path))


def test_an_existing_token_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    token = fresh_token(tmp_path / "other", "theirs")
    (tmp_path / "pin").write_text(f"{PIN}\n")
    (tmp_path / "pin").chmod(0o600)
    existing = {"module": Path(token.settings.module), "token_label": "theirs", "pin_file": tmp_path / "pin"}
    directory = tmp_path / "mine"
    monkeypatch.setenv("SOFTHSM2_CONF", token.settings.environment["SOFTHSM2_CONF"])
    initialise(InitOptions(directory, "http://127.0.0.1:5999", **existing))  # type: ignore[arg-type]
    assert not (directory / "token").exists()
    assert (directory / "keys" / "release.pub").exists()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"upstream": "registry"}, "--upstream: found 'registry'; allowed: http://"),
        ({"listen": "5000"}, "--listen: found '5000'; allowed: HOST:PORT"),
        ({"listen": "0.0.0.0:5000"}, "--public-url"),
        ({"repositories": "Prod/**"}, "--repositories: found 'Prod/\\*\\*'"),
    ],
)
def test_nothing_is_made_for_options_that_are_wrong(tmp_path: Path, changes: dict[str, str], said: str) -> None:
    directory = tmp_path / "d"
    with pytest.raises(ConfigError, match=said):
        initialise(InitOptions(**{"directory": directory, "upstream": "http://127.0.0.1:5999", **changes}))  # type: ignore[arg-type]
    assert not directory.exists()
