"""Our Notary signatures are countersigned by real timestamp authorities, and notation believes them."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from deploy.layouts import image
from proxy.formats import cose, jws, timestamp
from proxy.oci.reference import fallback_tag, parse_digest
from tests.interop.clients import Clients
from tests.interop.countersign import Proxy
from tests.interop.images import push
from tests.interop.notary import Ca, Notation, leaf, new_ca
from tests.interop.peers import free_port, need
from tests.interop.registries import docker_registry
from tests.interop.test_notation import ENVELOPES, certified
from tests.interop.timestamps import Authority, openssl_authority, sigstore_authority
from tests.interop.wire import manifest
from tests.worlds.certificates import chain_of, pem, trio
from tests.worlds.softkey import MAKERS

pytestmark = pytest.mark.go
Start = Callable[[Path], AbstractContextManager[Authority]]


@pytest.fixture(scope="module")
def ca() -> Ca:
    need("notation")
    return new_ca()


@pytest.fixture(scope="module", params=[openssl_authority, sigstore_authority])
def witnessed(
    request: pytest.FixtureRequest, ca: Ca, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Proxy, Authority]]:
    """The proxy with certificates, and the authority that countersigns for it."""
    start: Start = request.param
    folder = tmp_path_factory.mktemp("witnessed")
    with start(folder / "tsa") as authority, docker_registry(folder / "upstream") as upstream:

        def change(found: dict[str, Any]) -> None:
            found["outbound"] = {"allow": [authority.host]}
            found["timestamps"] = {"url": authority.url, "ca_file": str(authority.ca_file), "required": True}

        with certified(folder / "proxy", upstream, ca, also=change) as proxy:
            yield proxy, authority


def wants_timestamps(client: Notation, roots: str) -> None:
    """From now on it wants a timestamp under these roots with each signature."""
    store = client.home / "notation" / "truststore" / "x509" / "tsa" / "test"
    store.mkdir(parents=True, exist_ok=True)
    (store / "root.pem").write_text(roots)
    file = client.home / "notation" / "trustpolicy.json"
    policies = json.loads(file.read_text())
    policies["trustPolicies"][0]["trustStores"].append("tsa:test")
    policies["trustPolicies"][0]["signatureVerification"]["verifyTimestamp"] = "always"
    # Nobody serves revocation information for the authorities of a test.
    policies["trustPolicies"][0]["signatureVerification"]["override"] = {"revocation": "skip"}
    file.write_text(json.dumps(policies))


@pytest.mark.parametrize("envelope", ENVELOPES)
def test_notation_accepts_what_was_countersigned_and_wants_the_right_witness(
    witnessed: tuple[Proxy, Authority], ca: Ca, envelope: str, tmp_path: Path
) -> None:
    proxy, authority = witnessed
    clients, client = Clients(tmp_path / "clients", {}), Notation(tmp_path / "home")
    name = f"{proxy.host}/{ENVELOPES[envelope]}/app:1"
    assert clients.push("crane", envelope, name).status == 0
    client.trusts(ca.roots)
    wants_timestamps(client, authority.ca_file.read_text())
    verified = client.verify(name)
    assert verified.status == 0, verified.output
    stranger = Notation(tmp_path / "stranger")
    stranger.trusts(ca.roots)
    wants_timestamps(stranger, pem(chain_of(*trio())[2:]))
    refused = stranger.verify(name)
    assert refused.status != 0
    assert "timestamp" in refused.output


@pytest.mark.parametrize("envelope", ENVELOPES)
def test_what_notation_had_countersigned_is_dated_by_the_same_witness(
    witnessed: tuple[Proxy, Authority], ca: Ca, envelope: str, tmp_path: Path
) -> None:
    proxy, authority = witnessed
    client, key = Notation(tmp_path / "home"), MAKERS["p256"]()
    client.has("vendor", key, ca.chain(leaf(key)))
    name = f"{proxy.upstream.host}/vendor/{authority.host.rpartition(':')[2]}-{envelope}"
    digest = push(image(tmp_path / "image"), f"{name}:1")
    asking = ("--timestamp-url", authority.url, "--timestamp-root-cert", str(authority.ca_file))
    made = client.sign(f"{name}@{digest}", envelope, *asking)
    assert made.status == 0, made.output
    repository = name.partition("/")[2]

    def read(path: str) -> bytes:
        with urllib.request.urlopen(f"http://{proxy.upstream.host}/v2/{repository}/{path}", timeout=10) as reply:
            data: bytes = reply.read()
            return data

    listed = manifest(proxy.upstream.host, repository, fallback_tag(parse_digest(digest)))
    carrier = manifest(proxy.upstream.host, repository, json.loads(listed.body)["manifests"][0]["digest"])
    data = read(f"blobs/{json.loads(carrier.body)['layers'][0]['digest']}")
    found = {"jws": jws, "cose": cose}[envelope].parse(data)
    stamp = timestamp.verify(found.timestamp, found.signature, authority.roots)
    assert stamp.earliest - timedelta(seconds=2) < found.signed_at < stamp.latest + timedelta(seconds=2)


@pytest.mark.parametrize("required", [False, True])
def test_without_an_authority_that_answers_a_push_goes_on_or_is_refused_as_configured(
    required: bool, ca: Ca, tmp_path: Path
) -> None:
    def change(found: dict[str, Any]) -> None:
        where = f"127.0.0.1:{free_port()}"
        found["outbound"] = {"allow": [where]}
        found["timestamps"] = {"url": f"http://{where}/", "ca_file": pem(ca.roots), "required": required}

    clients = Clients(tmp_path / "clients", {})
    with (
        docker_registry(tmp_path / "upstream") as upstream,
        certified(tmp_path / "proxy", upstream, ca, also=change) as proxy,
    ):
        pushed = clients.push("crane", "hello", f"{proxy.host}/notation-jws/app:1")
        rows = proxy.rows("SELECT count(*) FROM journal WHERE kind = 'signature.not_timestamped'")
    assert (pushed.status == 0) is not required, pushed.output
    assert rows[0][0] == (0 if required else 1)
    assert not required or "not timestamped" in pushed.output
