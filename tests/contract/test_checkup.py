"""`countersign doctor` against a registry over HTTP, a real store and a real token."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import structlog

from proxy import config
from proxy.cli.init import initialise
from proxy.cli.init_texts import InitOptions
from proxy.server.doctor.checkup import DoctorFinding, check_store, check_tokens
from proxy.server.doctor.upstream import check_upstream
from proxy.server.store import open_store
from proxy.server.token_plans import tokens_plan
from proxy.store.clock import SystemClock
from proxy.tokens.open import Record
from proxy.tokens.signer import TokenSigner
from proxy.trust.keys import KeyState, fingerprint
from tests.worlds.memory import SoftSigner
from tests.worlds.registry import MemoryRegistry
from tests.worlds.registry_access import Access
from tests.worlds.registry_http import serving
from tests.worlds.softhsm import softhsm_missing

NAMES = 'policies: [{repositories: ["**"], push: {allow: [ci]}, pull: {mode: "off", reviewers: [scanner]}}]\n'


def settings(url: str, directory: Path, more: str = "") -> config.Settings:
    ours = "version: 1\nserver: {public_urls: [http://proxy.test]}\n"
    text = f"{ours}upstreams: [{{name: r, url: '{url}'{more}}}]\n{NAMES}"
    return config.parse(text.encode(), directory / "countersign.yaml")


def named(findings: Sequence[DoctorFinding], name: str) -> DoctorFinding:
    return next(finding for finding in findings if finding.name == name)


async def test_an_open_registry_proves_nobody_s_name(tmp_path: Path) -> None:
    async with serving(MemoryRegistry(referrers=False)) as server:
        upstream, clock = await check_upstream(settings(server.url, tmp_path))
    assert (upstream.state, clock.state) == ("ok", "ok")
    assert "not there" in named(upstream.inner, "referrers API").detail
    names = named(upstream.inner, "names of callers")
    assert names.state == "warning"
    assert "policies[0].push.allow, policies[0].pull.reviewers" in names.detail


async def test_a_registry_with_passwords_wants_an_account(tmp_path: Path) -> None:
    async with serving(MemoryRegistry(access=Access(kind="htpasswd", users={"us": "s3cret"}))) as server:
        upstream, _ = await check_upstream(settings(server.url, tmp_path))
        assert named(upstream.inner, "our account").state == "warning"
        assert named(upstream.inner, "names of callers").state == "ok"
        (tmp_path / "password").write_text("s3cret")
        account = ", credentials: {username: us, password: {file: password}}"
        upstream, _ = await check_upstream(settings(server.url, tmp_path, account))
        assert named(upstream.inner, "our account").state == "ok"
        assert named(upstream.inner, "referrers API").detail == "there"
        (tmp_path / "password").write_text("wrong")
        upstream, _ = await check_upstream(settings(server.url, tmp_path, account))
        assert named(upstream.inner, "our account").state == "wrong"
        assert upstream.worst == "wrong"


@pytest.mark.parametrize("account", ["", ", credentials: {username: us, password: {env: HOME}}"])
async def test_a_token_realm_elsewhere_is_wrong_until_it_is_listed(tmp_path: Path, account: str) -> None:
    registry = MemoryRegistry(access=Access(kind="token", users={"us": "s3cret"}))
    async with serving(registry) as server, serving(MemoryRegistry(access=registry.access)) as realm:
        registry.access.realm = f"{realm.url}/token"
        upstream, _ = await check_upstream(settings(server.url, tmp_path, account))
        found = named(upstream.inner, "token realm")
        assert (found.state, upstream.worst) == ("wrong", "wrong")
        assert realm.url in found.detail
        assert "upstreams[0].realms" in found.fix
        assert realm.token_requests == []
        upstream, _ = await check_upstream(settings(server.url, tmp_path, f", realms: ['{realm.url}']"))
        assert "token realm" not in {finding.name for finding in upstream.inner}


async def test_nobody_answers(tmp_path: Path) -> None:
    upstream, clock = await check_upstream(settings("http://127.0.0.1:9", tmp_path))
    assert (upstream.state, clock.state) == ("wrong", "skipped")
    assert "curl -i http://127.0.0.1:9/v2/" in upstream.fix


async def test_a_store_before_and_after_the_first_start(tmp_path: Path) -> None:
    described = settings("http://127.0.0.1:9", tmp_path)
    assert (await check_store(described)).state == "skipped"
    store = await open_store(described.store.url, SystemClock())
    await store.close()
    assert (await check_store(described)).state == "ok"
    (tmp_path / "countersign.db").write_bytes(b"no database" * 1000)
    assert (await check_store(described)).state == "wrong"


@pytest.mark.real
@pytest.mark.skipif(softhsm_missing(), reason="SoftHSM is not installed")
async def test_a_token_with_its_keys(tmp_path: Path) -> None:
    await asyncio.to_thread(initialise, InitOptions(tmp_path, "http://127.0.0.1:9"))
    described = config.load(tmp_path / "countersign.yaml")
    tokens = await check_tokens(described)
    assert tokens.worst == "ok"
    release = named(tokens.inner[0].inner, "key release")
    assert release.detail == "ecdsa-p256, signs with ECDSA"

    path = tmp_path / "countersign.yaml"
    path.write_text(path.read_text().replace("release: {algorithm: ecdsa-p256", "release: {algorithm: ecdsa-p384"))
    tokens = await check_tokens(config.load(path))
    assert named(tokens.inner[0].inner, "key release").detail == "it is ecdsa-p256, not ecdsa-p384"


@pytest.mark.real
@pytest.mark.skipif(softhsm_missing(), reason="SoftHSM is not installed")
async def test_keys_are_looked_for_as_they_are_recorded(tmp_path: Path) -> None:
    await asyncio.to_thread(initialise, InitOptions(tmp_path, "http://127.0.0.1:9"))
    described = config.load(tmp_path / "countersign.yaml")
    store = await open_store(described.store.url, SystemClock())
    signer = TokenSigner(
        tokens_plan(described), Record(store.keybook, store.journal, SystemClock()), structlog.get_logger()
    )
    await signer.start()
    new = await signer.create_key("release", "release-20260102-abcdef")
    await signer.close()
    found = (await check_tokens(described)).inner[0].inner
    stray = named(found, f"key {new.label}")
    assert (stray.state, "not in the key book" in stray.detail) == ("warning", True)

    await store.keybook.add(new)
    await store.keybook.activate(fingerprint(new.spki), SystemClock().now())
    found = (await check_tokens(described)).inner[0].inner
    assert [finding.name for finding in found] == ["key release", "key attestation", "backups"]
    assert [finding.state for finding in found] == ["ok", "ok", "warning"]
    assert f"{fingerprint(new.spki)[:12]} (release)" in found[2].detail
    for each in store.keybook.ring().ours:
        await store.keybook.amend(fingerprint(each.spki), {"backup_at": SystemClock().now()})
    await store.keybook.amend(fingerprint(new.spki), {"token_serial": "0815"})
    found = (await check_tokens(described)).inner[0].inner
    assert [finding.name for finding in found] == ["key release", "place of release", "key attestation"]
    assert "recorded is 0815" in found[1].detail
    assert f"countersign keys rebind {fingerprint(new.spki)[:12]}" in found[1].fix

    gone = replace(new, spki=SoftSigner().create().spki, state=KeyState.PREPARED)
    await store.keybook.add(gone)
    await store.close()
    inner = (await check_tokens(described)).inner[0].inner
    wrong = next(finding for finding in inner if finding.state == "wrong")
    own = fingerprint(gone.spki)
    assert wrong.fix.startswith(f"restore the token that holds {own[:12]}; only if it is lost for good")
    assert own[:12] not in " ".join(f.fix for f in inner if f.name == "backups"), "a token cannot be backed up with it"
    assert wrong.detail == f"{fingerprint(gone.spki)[:12]}, prepared in the key book, is not on the token"
