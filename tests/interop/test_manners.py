"""In front of registries with other manners: push, pull, sign, block and doctor, for each manner by its name."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from proxy.server.doctor.immutable_tags import TAG
from tests.interop.countersign import Proxy, countersign
from tests.interop.handmade import Handmade
from tests.interop.manners import NAMES, Mannered, mannered
from tests.interop.peers import run
from tests.interop.registries import Registry, docker_registry
from tests.interop.wire import OCI_MANIFEST, ask, manifest

# What an operator has to say before it works; docs/registries.md says the same.
NEEDS: dict[str, Callable[[dict[str, Any], Mannered], None]] = {
    "uploads-other-origin": lambda settings, registry: settings["upstreams"][0].update(
        upload_origins=[f"http://localhost:{registry.host.rpartition(':')[2]}"]
    ),
    "immutable-tags": lambda settings, _: settings["policies"][-1]["push"].update(formats=["sigstore-bundle"]),
}
NO_PUSHES = "uploads-other-name"  # until the operator does what doctor says
ASIDE = "uploads-other-origin"
WORKING = tuple(name for name in NAMES if name != NO_PUSHES)


@dataclass(frozen=True)
class Place:
    """A proxy in front of a registry with one manner."""

    manner: str
    proxy: Proxy
    registry: Mannered

    def image(self, repository: str, content: str, tag: str | None = None, *, behind: bool = False) -> str:
        """An image is there, pushed through the proxy or behind its back; return its digest."""
        host = self.registry.plain.host if behind else self.proxy.host
        return str(Handmade(host, repository).image(content, tag)["digest"])


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with docker_registry(tmp_path_factory.mktemp("plain")) as registry:
        yield registry


@pytest.fixture(scope="module", params=WORKING)
def place(request: pytest.FixtureRequest, plain: Registry, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp(request.param)
    with ExitStack() as running:
        registry = running.enter_context(mannered(folder, plain, request.param))

        def change(settings: dict[str, Any]) -> None:
            if request.param in NEEDS:
                NEEDS[request.param](settings, registry)

        yield Place(request.param, running.enter_context(countersign(folder / "proxy", registry, change)), registry)


def repository(place: Place, name: str) -> str:
    return f"{place.manner}/{name}"


def test_what_is_pushed_is_signed_and_pulled(place: Place) -> None:
    name = repository(place, "pushed")
    digest = place.image(name, "an image", "1")
    assert {bound for of, _, bound in place.proxy.signatures(name) if of == digest}
    for reference in ("1", digest):
        found = manifest(place.proxy.host, name, reference)
        assert (found.status, found.headers["docker-content-digest"]) == (200, digest)
        assert manifest(place.proxy.host, name, reference, "HEAD").status == 200


def test_an_index_its_children_and_a_second_tag_are_signed(place: Place) -> None:
    name = repository(place, "index")
    pushes = Handmade(place.proxy.host, name)
    children = [pushes.image(content) for content in ("amd64", "arm64")]
    index = pushes.index(children, "1")
    assert pushes.index(children, "1.0") == index
    assert {digest for digest, _, _ in place.proxy.signatures(name)} == {each["digest"] for each in (index, *children)}
    for child in children:
        assert manifest(place.proxy.host, name, child["digest"]).status == 200


def test_a_push_that_is_repeated_changes_nothing(place: Place) -> None:
    name = repository(place, "again")
    assert place.image(name, "the same", "1") == place.image(name, "the same", "1")
    assert manifest(place.proxy.host, name, "1").status == 200


def test_what_came_behind_the_proxys_back_is_blocked_until_it_is_signed(place: Place) -> None:
    name = repository(place, "behind")
    digest = place.image(name, "unsigned", "1", behind=True)
    blocked = manifest(place.proxy.host, name, "1")
    assert blocked.status == 403, blocked
    assert "blocked by countersign" in blocked.body.decode()
    signed = place.proxy("sign", f"{name}:1", "--reason", "reviewed")
    assert signed.status == 0, signed.output
    assert manifest(place.proxy.host, name, digest).status == 200


def test_tags_are_listed_whole_and_in_order(place: Place) -> None:
    name = repository(place, "tags")
    for tag in ("b", "a", "c"):
        place.image(name, tag, tag)
    listed = json.loads(ask(place.proxy.host, "GET", f"/v2/{name}/tags/list").body)["tags"]
    assert {"a", "b", "c"} <= set(listed)
    assert listed == sorted(listed)
    pages, path = [], f"/v2/{name}/tags/list?n=2"
    while path:
        heard = ask(place.proxy.host, "GET", path)
        pages.append(heard.json()["tags"])
        path = heard.headers.get("link", "").removeprefix("<").partition(">")[0]
    assert [tag for page in pages for tag in page] == listed
    assert {len(page) for page in pages[:-1]} == {2}


def test_a_deleted_image_takes_what_we_signed_along(place: Place) -> None:
    name = repository(place, "deleted")
    digest = place.image(name, "goes", "1")
    place.image(name, "stays", "2")
    before = json.loads(ask(place.proxy.host, "GET", f"/v2/{name}/tags/list").body)["tags"]
    gone = ask(place.proxy.host, "DELETE", f"/v2/{name}/manifests/{digest}")
    assert (gone.status, gone.headers.get("warning")) == (202, None)
    left = json.loads(ask(place.proxy.host, "GET", f"/v2/{name}/tags/list").body)["tags"]
    assert left == [tag for tag in before if tag != "1" and digest.partition(":")[2] not in tag]
    assert "2" in left


def test_a_client_pushes_and_pulls(place: Place, tmp_path: Path) -> None:
    name = repository(place, "skopeo")
    layout = tmp_path / "image"
    there = f"docker://{place.proxy.host}/{name}:1"
    source = f"docker://{place.registry.plain.host}/{name}-source:1"
    place.image(f"{name}-source", "from a client", "1", behind=True)
    flags = ("--src-tls-verify=false", "--dest-tls-verify=false", "--insecure-policy")
    pushed = run("skopeo", "copy", *flags, source, there)
    assert pushed.status == 0, pushed.output
    pulled = run("skopeo", "copy", *flags, there, f"oci:{layout}:1")
    assert pulled.status == 0, pulled.output


def test_doctor_finds_nothing_wrong(place: Place) -> None:
    looked = place.proxy("doctor")
    assert "wrong" not in looked.output, looked.output


@pytest.mark.parametrize("place", [NO_PUSHES], indirect=True)
def test_a_registry_that_calls_itself_otherwise_is_told_by_doctor_and_not_to_callers(place: Place) -> None:
    looked = place.proxy("doctor")
    assert looked.status != 0
    assert "set upstreams[].url to https://registry.example.com:443" in " ".join(looked.output.split())
    begun = ask(place.proxy.host, "POST", "/v2/some/app/blobs/uploads/", b"")
    assert begun.status == 503
    assert "countersign doctor" in begun.body.decode()
    assert "registry.example.com" not in begun.body.decode()
    name = repository(place, "behind")
    place.image(name, "unsigned", "1", behind=True)
    assert manifest(place.proxy.host, name, "1").status == 403, "pulls go on being judged"


@pytest.mark.parametrize("place", ["dash-is-digest", "no-head"], indirect=True)
def test_a_list_of_referrers_that_a_client_pushes_is_taken(place: Place) -> None:
    """As notation and older clients keep one, twice."""
    name = repository(place, "listed")
    digest = place.image(name, "listed", "1")
    pushes = Handmade(place.proxy.host, name)
    about = {"mediaType": OCI_MANIFEST, "digest": digest, "size": len(manifest(place.proxy.host, name, "1").body)}
    layer = pushes.blob(b"a note", "text/plain")
    config = pushes.blob(b"{}", "application/vnd.oci.empty.v1+json")
    note = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "artifactType": "text/plain", "config": config}
    refers = pushes.manifest({**note, "layers": [layer], "subject": about}, OCI_MANIFEST)
    for _ in range(2):
        pushes.index([refers], digest.replace(":", "-"))
    assert manifest(place.proxy.host, name, "1").status == 200


@pytest.mark.parametrize("place", [ASIDE], indirect=True)
def test_another_origin_gets_bytes_and_no_password(place: Place) -> None:
    name = repository(place, "aside")
    login = {"Authorization": "Basic YWxpY2U6c2VjcmV0"}
    assert Handmade(place.proxy.host, name, login).blob(b"some bytes", "text/plain")["size"] == 10
    asides = place.registry.asides()
    assert asides
    assert not any(aside["authorization"] for aside in asides)


def test_where_tags_are_immutable_a_refusal_says_so_and_not_to_push_again(plain: Registry, tmp_path: Path) -> None:
    with mannered(tmp_path, plain, "immutable-tags") as registry, countersign(tmp_path / "proxy", registry) as proxy:
        name = "immutable/simple"
        image = Handmade(proxy.host, name).image("amd64", "1")
        body = manifest(proxy.host, name, "1").body
        again = ask(proxy.host, "PUT", f"/v2/{name}/manifests/1.0", body, {"Content-Type": image["mediaType"]})
        (detail,) = proxy.rows("SELECT detail FROM journal WHERE kind = 'push.not_signed'")
    assert again.status == 403
    assert "upstream's tags are immutable: leave sha256-* out of that rule" in again.body.decode()
    assert "push again" not in again.body.decode()
    assert "cannot be overwritten because it is immutable" in detail[0], "operators read upstream's own words"


@pytest.mark.parametrize("immutable", [True, False])
def test_doctor_tries_whether_tags_of_signatures_may_be_written_again(
    plain: Registry, tmp_path: Path, immutable: bool
) -> None:
    with ExitStack() as running:
        registry = running.enter_context(mannered(tmp_path, plain, "immutable-tags")) if immutable else plain
        proxy = running.enter_context(countersign(tmp_path / "proxy", registry))
        name = f"probed/{immutable}".lower()
        shown = proxy("doctor", "--write-to", name)
        assert "tags of signatures" not in proxy("doctor").output, "unasked it writes nothing"
        assert "--write-to" in proxy("doctor", "--write-to", "No/Name").output
    line = next(line for line in shown.output.splitlines() if "tags of signatures" in line)
    assert ("immutable" in line, "may be written again" in line) == (immutable, not immutable)
    assert ("leave sha256-* out of that rule" in shown.output) is immutable
    assert (shown.status != 0) is immutable
    assert "stays there" not in shown.output
    assert ask(plain.host, "GET", f"/v2/{name}/manifests/{TAG}").status == 404
