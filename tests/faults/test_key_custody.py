"""The operators' pages about keys where they are, typed as written: ceremony, PIN change, restore."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from proxy.config import load
from tests.faults.caller import caller, image
from tests.faults.pkcs11_fault.faulty import buildable
from tests.faults.served import Served, served
from tests.faults.typed import lines, pin_of, typed
from tests.interop.peers import must, need
from tests.interop.registries import Registry, docker_registry

pytestmark = pytest.mark.real
REPOSITORY = "team/app"


@pytest.fixture
def upstream(tmp_path: Path) -> Iterator[Registry]:
    for program in ("pkcs11-tool", "openssl", "softhsm2-util"):
        need(program)
    with docker_registry(tmp_path / "upstream") as registry:
        yield registry


@pytest.fixture
def proxy(tmp_path: Path, upstream: Registry) -> Iterator[Served]:
    with served(tmp_path / "proxy", upstream) as made:
        yield made


def keys(proxy: Served) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(proxy("keys", "list", "-o", "json").stdout)["keys"]
    return found


def words(proxy: Served) -> tuple[dict[str, str], dict[str, str]]:
    """What PATH and LABEL stand for, and the environment of the token's own tools."""
    entry = load(proxy.config).tokens["hsm"]
    return {"PATH": str(entry.module), "LABEL": str(entry.label)}, dict(entry.environment)


async def pushed(proxy: Served, tag: str) -> int:
    async with caller(proxy.host) as client:
        await client.at(proxy.upstream.host).furnish(REPOSITORY)
        return (await client.push(REPOSITORY, tag, image())).status


async def test_a_ceremony_from_the_first_command_to_the_last(proxy: Served) -> None:
    page, (places, environment) = "operations-ceremony.md", words(proxy)
    proxy.start()
    (first,) = (k["fingerprint"] for k in keys(proxy) if k["profile"] == "release")
    proxy.leave()
    pin = f" --pin {pin_of(proxy).read_text().strip()}"
    for line in lines(page, "Make the key"):
        done = typed(line + pin, proxy, places, environment)
        assert done.status == 0, done.output
    assert done.stdout.count("release-ceremony") == 2
    proxy.start()
    planned, _ = (typed(line, proxy, places) for line in lines(page, "Import it"))
    assert "EXTRACTABLE=False" in planned.stdout
    (ready,) = (k for k in keys(proxy) if k["state"] == "prepared")
    assert (ready["label"], ready["key_id"]) == ("release-ceremony", "2026")
    places |= {"KEY": ready["fingerprint"][:8], "OLD": first[:8], "DIGITS": first[:12]}

    for line in lines(page, "Keep the evidence"):
        done = typed(line, proxy, places)
        assert done.status == 0, done.output
    assert "Verified OK" in done.stdout
    said = (proxy.folder / "signed.txt").read_text()
    assert said.startswith("countersign key evidence v1\n")
    document = json.loads(said.partition("\n")[2])
    assert document["key"]["fingerprint"] == ready["fingerprint"]
    assert document["token"]["model"] == "SoftHSM v2"
    assert document["journal"][0]["detail"]["imported"] is True
    assert ready["fingerprint"] in (proxy.folder / "evidence.html").read_text()
    (proxy.folder / "signed.txt").write_text(said.replace("prepared", "approved"))
    assert typed(lines(page, "Keep the evidence")[-1], proxy, places).status != 0

    assert ready["fingerprint"][:12] in proxy("doctor").stdout
    for line in lines(page, "Back it up and activate it"):
        assert typed(line, proxy, places).status == 0
    backups = [line for line in proxy("doctor").stdout.splitlines() if "backups:" in line]
    assert all(ready["fingerprint"][:12] not in line for line in backups)
    assert await pushed(proxy, "by-the-new-key") == 201

    for line in lines(page, "Destroy a key"):
        done = typed(line, proxy, places)
        assert done.status == 0, done.output
    assert f"key {first} of release is destroyed" in done.stdout
    listed = must(
        "pkcs11-tool", "--module", places["PATH"], "--token-label", places["LABEL"], "--login", *pin.split(),
        "--list-objects", environment=environment,
    )  # fmt: skip
    assert listed.count("release-ceremony") == 2
    assert "label:      release\n" not in listed
    assert proxy("keys", "destroy", first[:8], "--reason", "again", "--confirm", first[:12]).status != 0
    assert proxy.leave() == 0
    proxy.start()
    assert await pushed(proxy, "after-a-restart") == 201


def test_what_is_not_confirmed_is_not_destroyed(proxy: Served) -> None:
    proxy.start()
    (old,) = (k["fingerprint"] for k in keys(proxy) if k["profile"] == "release")
    assert proxy("keys", "rotate", "release", "--reason", "r", "--yes").status == 0
    confirmed = ("keys", "destroy", old[:8], "--reason", "r", "--confirm")
    refused = proxy(*confirmed, old[:12])
    assert "only a retired key can be destroyed" in refused.output
    assert proxy("keys", "retire", old[:8], "--reason", "r", "--yes").status == 0
    for wrong in (old[:11], "0" * 12):
        assert "type the first 12 digits" in proxy(*confirmed, wrong).output
    assert [k["state"] for k in keys(proxy) if k["fingerprint"] == old] == ["retired"]
    assert proxy(*confirmed, old[:12]).status == 0
    assert [k["state"] for k in keys(proxy) if k["fingerprint"] == old] == ["destroyed"]


@pytest.mark.skipif(not buildable(), reason="needs gcc")
async def test_a_pin_is_changed_and_a_wrong_one_is_offered_once(tmp_path: Path, upstream: Registry) -> None:
    page = "operations-pin.md"
    with served(tmp_path / "proxy", upstream, faulty=True) as proxy:
        proxy.start()
        proxy.until(lambda: proxy.token.seen("login-done") == 2, "all sessions are logged in")
        assert await pushed(proxy, "before") == 201
        places, environment = words(proxy)
        environment.pop("PKCS11_FAULT_CONTROL")
        places |= {"PID": str(proxy.daemon.process.pid), "PATH": environment.pop("PKCS11_FAULT_REAL")}
        change, replaced, told = lines(page, "Change it")[:3]
        old = pin_of(proxy).read_text().strip()
        done = typed(f"{change} --pin {old} --new-pin 9876-new", proxy, places, environment)
        assert done.status == 0, done.output

        before = proxy.token.seen("login")
        assert typed(replaced, proxy, places, {"NEW_PIN": "1234-typo"}).status == 0
        assert typed(told, proxy, places).status == 0
        proxy.until(lambda: "refused the PIN" in str(proxy.problems()), "the reload is refused")
        assert proxy.token.seen("login") == before + 1
        for _ in range(2):
            assert typed(told, proxy, places).status == 0
        assert await pushed(proxy, "meanwhile") == 201
        assert proxy.token.seen("login") == before + 1

        replaced, told = lines(page, "It was the wrong PIN")
        assert typed(replaced, proxy, places, {"NEW_PIN": "9876-new"}).status == 0
        assert typed(told, proxy, places).status == 0
        proxy.until(lambda: not proxy.problems(), "the new PIN is in use")
        assert typed(lines(page, "Change it")[3], proxy, places).status == 0
        assert await pushed(proxy, "after") == 201
        assert pin_of(proxy).stat().st_mode & 0o077 == 0
        proxy.signal(signal.SIGTERM)
        assert proxy.daemon.process.wait(60) == 0


def two_devices(proxy: Served) -> dict[str, str]:
    """Two tokens with the same two keys, as a restore leaves them: the serials of both, by label."""
    entry = load(proxy.config).tokens["hsm"]
    environment, pin = dict(entry.environment), pin_of(proxy).read_text().strip()
    serials = {}
    for label in ("first", "spare"):
        must("softhsm2-util", "--init-token", "--free", "--label", label, "--so-pin", "so-1234", "--pin", pin,
             environment=environment)  # fmt: skip
    for at, name in enumerate(("release", "attestation"), 1):
        file = proxy.folder / f"{name}.p8"
        made = ["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", str(file)]
        subprocess.run(made, check=True, capture_output=True)
        for label in ("first", "spare"):
            must("softhsm2-util", "--import", file, "--token", label, "--label", name, "--id", f"0{at}", "--pin", pin,
                 environment=environment)  # fmt: skip
    slots = must("softhsm2-util", "--show-slots", environment=environment)
    for block in slots.split("Slot ")[1:]:
        told = dict(line.split(":", 1) for line in block.splitlines() if ":" in line)
        stripped = {name.strip(): value.strip() for name, value in told.items()}
        serials[stripped.get("Label", "")] = stripped.get("Serial number", "")
    return serials


async def test_a_restored_token_is_recorded_once_its_keys_proved_themselves(proxy: Served) -> None:
    page, serials = "operations-restore.md", two_devices(proxy)

    def on(label: str) -> None:
        proxy.edit(lambda settings: settings["tokens"]["hsm"].update(label=label))

    on("first")
    proxy.start()
    assert {k["token_serial"] for k in keys(proxy)} == {serials["first"]}
    assert proxy.leave() == 0
    on("countersign")
    proxy.start()  # other keys under the same labels: pulls are served, nothing is signed
    assert await pushed(proxy, "with-other-keys") == 403
    assert any("does not hold" in problem["what"] for problem in proxy.problems()), proxy.problems()
    assert proxy.leave() == 0
    on("spare")
    looked = typed(lines(page, "Restore")[0], proxy, {})
    assert looked.stdout.count("countersign keys rebind") == 2
    proxy.start()
    assert await pushed(proxy, "from-the-spare") == 201
    for key in keys(proxy):
        for line in lines(page, "Record the new place"):
            done = typed(line, proxy, {"KEY": key["fingerprint"][:8]})
            assert done.status == 0, done.output
    assert {k["token_serial"] for k in keys(proxy)} == {serials["spare"]}
    assert "keys rebind" not in proxy("doctor").stdout
    assert {k["state"] for k in keys(proxy)} == {"active"}
