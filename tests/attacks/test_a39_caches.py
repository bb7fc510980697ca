"""ATTACK 39: what is remembered has a bound in bytes, and long strings that strangers send are not kept at all."""

from __future__ import annotations

from proxy.oci import paths
from proxy.oci.limits import Limits
from proxy.oci.reference import parse_repository
from proxy.registry.ports.upstream import Credential
from proxy.registry.reading import resolve
from proxy.registry.reading.rights import REFUSED, UpstreamRights
from proxy.registry.request import Request
from tests.worlds.memory import FrozenClock
from tests.worlds.registry import Access, MemoryRegistry, basic
from tests.worlds.rights import NoTokens

REPO = parse_repository("team/app")
OCI = "application/vnd.oci.image.manifest.v1+json"
DOCKER = [
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    OCI,
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.v1+prettyjws",
    "application/json",
]


def accepting(*values: str) -> Request:
    return Request(Credential(), "r", tuple(("accept", value) for value in values))


def test_an_accept_header_longer_than_any_clients_is_not_remembered() -> None:
    before = resolve._remembered.cache_info().currsize
    for n in range(200):
        assert resolve.accept_of(accepting(OCI, f"{n}" + "a" * 600)) == (OCI, f"{n}" + "a" * 600)
        resolve.accept_of(accepting(OCI, *["a"] * 600, str(n)))
    assert resolve._remembered.cache_info().currsize == before
    for _ in range(2):
        assert resolve.accept_of(accepting(*DOCKER)) == tuple(DOCKER)
    assert resolve._remembered.cache_info().currsize == before + 1


def test_a_request_line_longer_than_any_clients_is_not_remembered() -> None:
    before = paths._remembered.cache_info().currsize
    for n in range(200):
        paths.parse("GET", "/v2/team/app/manifests/v1", f"unknown={n}" + "a" * 7_900)
        paths.parse("HEAD", "/v2/" + "a/" * 100 + "app/manifests/" + "t" * 100 + str(n))
    assert paths._remembered.cache_info().currsize == before
    digest = "sha256:" + "a" * 64
    for _ in range(2):
        paths.parse("GET", f"/v2/some/rather/long/repository/name/of/forty-seven/blobs/{digest}", "ns=registry.example")
    assert paths._remembered.cache_info().currsize == before + 1


async def test_what_is_kept_of_credentials_is_bounded_for_all_of_them_together() -> None:
    registry = MemoryRegistry(access=Access("htpasswd", {"alice": "secret"}))
    rights = UpstreamRights(registry, NoTokens(), FrozenClock(), Limits())
    alice = Credential(basic("alice", "secret"))
    for n in range(3_000):  # one credential, many repositories
        rights.confirm_read(parse_repository(f"team/r{n}"), alice)
    assert len(rights._allowed) <= 1_001
    for n in range(REFUSED + 500):  # many made-up credentials, long ones
        await rights.may_push(REPO, Credential("Bearer " + "x" * 1_000 + str(n)))
    assert len(rights._denied) <= REFUSED
    assert len(rights._allowed) <= 1_001
    assert b"xxxx" not in repr(list(rights._denied._by.items())).encode()
