"""Passwords and tokens through the proxy: people log in at its name, with what upstream knows them by."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from deploy.layouts import image
from tests.interop.clients import ENGINES, SMALL
from tests.interop.countersign import Proxy, countersign, own
from tests.interop.images import push
from tests.interop.peers import run
from tests.interop.registries import behind, docker_registry, passwords, token_server
from tests.interop.shared import Engines, Here, Partner, place
from tests.interop.wire import EVERY_KIND, ask

pytestmark = pytest.mark.go
USERS = {"alice": "secret", "bob": "hunter2"}
# Tokens are good for six seconds; the registry itself forgives another minute.
GRANTS = {"alice": [("**", "pull,push,delete")], "bob": [("**", "pull")], "": [("public/**", "pull")]}
LIFE = -54


@pytest.fixture(scope="module", params=["passwords", "tokens"])
def guarded(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, partner: Partner
) -> Iterator[tuple[str, Proxy]]:
    """A proxy in front of a registry that wants to know who asks; only alice may push, and reviews what is blocked."""
    folder = tmp_path_factory.mktemp(request.param)

    def change(settings: dict[str, Any]) -> None:
        [policy] = settings["policies"]
        policy["push"]["allow"] = ["alice"]
        policy["pull"]["reviewers"] = ["alice"]
        settings["trust"] = {"partner": {"public_key": str(partner.public)}}
        require = [{"signed_by": ["partner"]}]
        settings["policies"].append(
            {**policy, "repositories": ["partner/**"], "pull": {"mode": "enforce", "require": require}}
        )
        settings["policies"][1]["pull"]["reviewers"] = ["alice"]

        if request.param == "tokens":  # its host is not the registry's, so it must be named
            settings["upstreams"][0]["realms"] = [tokens.realm.removesuffix("/token")]

    with ExitStack() as running:
        if request.param == "passwords":
            auth = passwords(folder, USERS)
        else:
            tokens = running.enter_context(token_server(folder / "t", users=USERS, grants=GRANTS, life=LIFE))
            auth = behind(tokens)
        upstream = running.enter_context(docker_registry(folder / "upstream", auth=auth))
        yield request.param, running.enter_context(countersign(folder / "proxy", upstream, change))


@pytest.fixture
def door(guarded: tuple[str, Proxy], engines: Engines, tmp_path: Path) -> Here:
    """A place at that proxy; `upstream` says how it asks for names."""
    kind, proxy = guarded
    return place(proxy, engines, tmp_path, kind)


DELETE: dict[str, Callable[[Here, str], list[str]]] = {
    "crane": lambda door, digest: ["delete", "--insecure", door.name(f"@{digest}")],
    "skopeo": lambda door, _: ["delete", "--tls-verify=false", f"docker://{door.name()}"],
    "oras": lambda door, digest: ["manifest", "delete", "--plain-http", "--force", door.name(f"@{digest}")],
    "regctl": lambda door, _: ["manifest", "delete", "--force-tag-dereference", door.name()],
}


def put_behind(door: Here, repository: str, content: str) -> str:
    """An unsigned image is upstream, behind the proxy's back; this is its digest."""
    layout = image(door.clients.fresh(), content)
    return push(layout, f"{door.proxy.upstream.host}/{repository}:1", credentials="alice:secret")


def pulled_as(door: Here, user: str, repository: str, reference: str = "1", method: str = "GET") -> int:
    """The status of a pull by somebody who sends a password with the first request, or got a token with it."""
    basic = base64.b64encode(f"{user}:{USERS.get(user, 'wrong')}".encode()).decode()
    authorization = f"Basic {basic}"
    if door.upstream == "tokens":
        scope = f"/-/token?service=test-registry&scope=repository:{repository}:pull"
        token = ask(door.proxy.host, "GET", scope, headers={"Authorization": authorization})
        if token.status != 200:
            return token.status
        authorization = f"Bearer {token.json()['token']}"
    path = f"/v2/{repository}/manifests/{reference}"
    return ask(door.proxy.host, method, path, headers={**EVERY_KIND, "Authorization": authorization}).status


def soon(true: Callable[[], bool]) -> None:
    """Wait for what is recorded after the answer: allowed pulls, a group at a time."""
    deadline = time.monotonic() + 10
    while not true():
        assert time.monotonic() < deadline, "not within ten seconds"
        time.sleep(0.05)


@pytest.mark.parametrize("client", list(DELETE))
def test_what_we_signed_goes_with_an_image_that_a_client_deletes_with_its_login(door: Here, client: str) -> None:
    """Some ask for a token to delete, and some for one to read, to write and to delete."""
    assert door.clients.login(client, door.proxy.host, "alice", "secret").status == 0
    assert door.clients.push(client, "goes", door.name()).status == 0
    [digest] = {digest for digest, _, _ in door.proxy.signatures(door.repository)}
    gone = door.clients.run(client, *DELETE[client](door, digest))
    assert gone.status == 0, gone.output
    assert door.proxy.events(door.repository, "signature.left") == []
    assert door.proxy.signatures(door.repository) == []
    alice = {"Authorization": "Basic " + base64.b64encode(b"alice:secret").decode()}
    if door.upstream == "passwords":
        listed = ask(door.proxy.upstream.host, "GET", f"/v2/{door.repository}/tags/list", headers=alice)
        assert listed.json()["tags"] in (None, [])


@pytest.mark.parametrize("client", [*SMALL, *ENGINES])
def test_log_in_push_and_pull(door: Here, client: str) -> None:
    wrong = door.clients.login(client, door.proxy.host, "alice", "guess")
    if client not in {"containerd", "crane", "regctl"}:  # these keep what they are told, and find out later
        assert wrong.status != 0, wrong.output
    else:
        assert door.clients.push(client, "never", door.name()).status != 0
    answered = door.clients.login(client, door.proxy.host, "alice", "secret")
    assert answered.status == 0, answered.output
    pushed = door.clients.push(client, "hello", door.name())
    assert pushed.status == 0, pushed.output
    pulled = door.clients.pull(client, door.name())
    assert pulled.status == 0, pulled.output
    how = "basic" if door.upstream == "passwords" else "token"
    assert ("push.accepted", "alice", how) in door.proxy.events(door.repository)
    soon(lambda: ("pull.allowed", "alice", how) in door.proxy.events(door.repository))


@pytest.mark.parametrize("client", [*SMALL, *ENGINES])
def test_nobody_in_particular_is_asked_to_log_in(door: Here, client: str) -> None:
    door.clients.logout(client, door.proxy.host)
    put_behind(door, door.repository, client)
    refused = door.clients.push(client, "hello", door.name(":2"))
    assert refused.status != 0
    blocked = door.clients.pull(client, door.name())
    assert blocked.status != 0
    for ended in (refused, blocked):
        words = [
            "unauthorized",
            "authentication required",
            "401",
            "no basic auth",
            "credential not found",
            "denied",
            "insufficient_scope",
        ]
        assert any(word in ended.output.lower() for word in words), ended.output
        assert "blocked by" not in ended.output, "a login problem, and says so"
    assert not door.proxy.signatures(door.repository)


@pytest.mark.parametrize("version", [3, 2])
def test_cosign_logs_in_and_sees_who_pushed(door: Here, version: int) -> None:
    client = "cosign" if version == 3 else "cosign2"
    assert door.clients.login("crane", door.proxy.host, "alice", "secret").status == 0
    assert door.clients.push("crane", "hello", door.name()).status == 0
    home = door.verifiers.folder / "home"
    nobody = door.verifiers.cosign(f"{door.repository}:1", version=version)
    assert nobody.status != 0
    login = run(client, "login", "--username", "bob", "--password", "hunter2", door.proxy.host, environment=own(home))
    assert login.status == 0, login.output
    verified = door.verifiers.cosign(f"{door.repository}:1", version=version)
    assert verified.status == 0, verified.output
    if version == 3:
        assert '"pusher":"alice"' in verified.stdout.replace(" ", "")


def test_who_may_not_push_is_told_so(door: Here) -> None:
    assert door.clients.login("crane", door.proxy.host, "bob", "hunter2").status == 0
    refused = door.clients.push("crane", "hello", door.name())
    assert refused.status != 0
    if door.upstream == "passwords":  # upstream would let him; the policy does not
        assert "blocked by countersign" in refused.output
        assert "push_not_allowed" in [
            row[0]
            for row in door.proxy.rows(
                "SELECT reason FROM journal WHERE repository = ? AND kind = 'push.denied'", door.repository
            )
        ]
    assert not door.proxy.signatures(door.repository)


def test_only_a_proven_reviewer_reads_what_is_blocked(door: Here) -> None:
    digest = put_behind(door, door.repository, "stranger")
    for reference in ("1", digest):
        assert pulled_as(door, "alice", door.repository, reference) == 200
        assert pulled_as(door, "bob", door.repository, reference) == 403
        assert pulled_as(door, "bob", door.repository, reference, "HEAD") == 403
        assert pulled_as(door, "alice", door.repository, reference, "HEAD") == 200
        assert pulled_as(door, "mallory", door.repository, reference) == 401
    soon(lambda: {who for _, who, _ in door.proxy.events(door.repository, "pull.reviewed")} == {"alice"})


@pytest.mark.parametrize("client", ["cosign", "cosign2"])
def test_a_reviewer_signs_what_is_blocked(door: Here, partner: Partner, client: str) -> None:
    """Through the proxy, with a key of their own that the policy trusts; then everybody may pull it at once."""
    repository = f"partner/{door.repository}"
    digest = put_behind(door, repository, client)
    assert pulled_as(door, "bob", repository) == 403
    assert door.clients.login(client, door.proxy.host, "alice", "secret").status == 0
    quiet = ["--use-signing-config=false"] if client == "cosign" else []
    name = door.name(f"@{digest}", repository)
    signed = door.clients.run(
        client, "sign", *quiet, "--tlog-upload=false", "--yes", "--key", partner.cosign_key(), name
    )
    assert signed.status == 0, signed.output
    assert pulled_as(door, "bob", repository) == 200
    (door.clients.home / "predicate.json").write_text("{}")
    about: list[str | Path] = [
        "--predicate",
        door.clients.home / "predicate.json",
        "--type",
        "https://example.com/tested",
    ]
    said = door.clients.run(
        client, "attest", *quiet, "--tlog-upload=false", "--yes", "--key", partner.cosign_key(), *about, name
    )
    assert said.status == 0, said.output
    assert pulled_as(door, "bob", repository) == 200


@pytest.mark.parametrize("guarded", ["tokens"], indirect=True)
def test_a_token_that_ended_is_fetched_anew(door: Here) -> None:
    assert door.clients.login("skopeo", door.proxy.host, "alice", "secret").status == 0
    assert door.clients.push("skopeo", "hello", door.name()).status == 0
    time.sleep(7)
    assert door.clients.pull("skopeo", door.name()).status == 0
    assert door.clients.push("skopeo", "hello again", door.name(":2")).status == 0
