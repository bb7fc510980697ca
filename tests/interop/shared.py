"""What tests through the proxy share for a whole session: one proxy per upstream, one of each engine, all the clients.

Every test uses a repository of its own, so nothing has to be started or cleaned for it.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from tests.interop.clients import Clients
from tests.interop.countersign import Proxy, countersign, own
from tests.interop.engines import containerd, docker, podman
from tests.interop.peers import must
from tests.interop.registries import distribution, docker_registry, with_referrers
from tests.interop.verifiers import Verifiers

UPSTREAMS = {"docker-registry": docker_registry, "registry": distribution, "referrers": with_referrers}
NUMBERS = itertools.count(1)
Engines = Mapping[str, Callable[[], object]]


@dataclass(frozen=True)
class Partner:
    """Somebody else with a key: `public` is what a policy may trust; the private half is theirs, in two files."""

    folder: Path

    @property
    def public(self) -> Path:
        """The public key, PEM."""
        return self.folder / "partner.pub"

    def cosign_key(self) -> Path:
        """The private key as cosign keeps its own."""
        if not (self.folder / "cosign.key").exists():
            arguments: list[str | Path] = ["import-key-pair", "--key", self.folder / "partner.pem"]
            arguments += ["--output-key-prefix", self.folder / "cosign"]
            must("cosign", *arguments, environment=own(self.folder / "home"))
        return self.folder / "cosign.key"


@pytest.fixture(scope="session")
def partner(tmp_path_factory: pytest.TempPathFactory) -> Partner:
    """Whose signatures count in repositories under `partner/`."""
    made = Partner(tmp_path_factory.mktemp("partner"))
    key = ec.generate_private_key(ec.SECP256R1())
    made.public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    (made.folder / "partner.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return made


def policies(settings: dict[str, Any], partner: Partner) -> None:
    """Beside what `init` wrote: closed to pushers, only warning, open to a partner's images, as cosign 2 likes it."""
    settings["trust"] = {"partner": {"public_key": str(partner.public)}}
    settings["policies"] += [
        {
            "repositories": ["readers/**"],
            "contact": "#platform-help",
            "push": {"sign_with": ["release"], "allow": ["ci"]},
            "pull": {"mode": "enforce", "require": [{"signed_by": ["release"]}]},
        },
        {
            "repositories": ["warned/**"],
            "push": {"sign_with": ["release"]},
            "pull": {"mode": "warn", "require": [{"signed_by": ["release"]}]},
        },
        {
            "repositories": ["partner/**"],
            "push": {"sign_with": ["release"]},
            "pull": {"mode": "enforce", "require": [{"signed_by": ["partner"]}]},
        },
        {
            "repositories": ["simple/**"],
            "push": {"sign_with": ["release"], "formats": ["cosign-simple"]},
            "pull": {"mode": "enforce", "require": [{"signed_by": ["release"]}]},
        },
        {
            "repositories": ["both/**"],
            "push": {"sign_with": ["release"]},
            "pull": {"mode": "enforce", "require": [{"signed_by": ["release", "partner"], "at_least": 2}]},
        },
    ]


@dataclass(frozen=True)
class Here:
    """One test's place: a proxy, a repository nobody else uses, the clients and the verifiers."""

    proxy: Proxy
    repository: str
    clients: Clients
    verifiers: Verifiers
    upstream: str = "docker-registry"  # the kind, as in UPSTREAMS

    def name(self, reference: str = ":1", repository: str | None = None) -> str:
        """How clients call that image of this test, through the proxy."""
        return f"{self.proxy.host}/{repository or self.repository}{reference}"

    def behind(self, reference: str = ":1") -> str:
        """How the same image is called in the registry behind the proxy."""
        return f"{self.proxy.upstream.host}/{self.repository}{reference}"


@pytest.fixture(scope="session")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engines]:
    """dockerd, containerd and podman, each started when first asked for."""
    with ExitStack() as running:
        begun: dict[str, object] = {}

        def first(name: str, begin: Callable[[], AbstractContextManager[object]]) -> Callable[[], object]:
            def start() -> object:
                if name not in begun:
                    begun[name] = running.enter_context(begin())
                return begun[name]

            return start

        folder = tmp_path_factory.mktemp("engines")
        yield {
            "docker": first("docker", lambda: docker(folder / "docker")),
            "containerd": first("containerd", lambda: containerd(folder / "containerd")),
            "podman": first("podman", podman),
        }


@pytest.fixture(scope="session")
def proxies(tmp_path_factory: pytest.TempPathFactory, partner: Partner) -> Iterator[Callable[[str], Proxy]]:
    """The proxy in front of an open upstream of that kind, started when first asked for."""
    with ExitStack() as running:
        begun: dict[str, Proxy] = {}

        def start(kind: str) -> Proxy:
            if kind not in begun:
                folder = tmp_path_factory.mktemp(kind)
                upstream = running.enter_context(UPSTREAMS[kind](folder / "upstream"))
                ours = countersign(folder / "proxy", upstream, lambda settings: policies(settings, partner))
                begun[kind] = running.enter_context(ours)
            return begun[kind]

        yield start


def place(proxy: Proxy, engines: Engines, folder: Path, upstream: str) -> Here:
    """A new place at that proxy, with what the clients keep in `folder`."""
    verifiers = Verifiers(proxy.host, proxy.key, folder / "verifiers")
    return Here(proxy, f"team{next(NUMBERS)}/app", Clients(folder / "clients", engines), verifiers, upstream)


@pytest.fixture
def here(proxies: Callable[[str], Proxy], engines: Engines, tmp_path: Path) -> Here:
    """A place in front of Debian's registry, which has no referrers API."""
    return place(proxies("docker-registry"), engines, tmp_path, "docker-registry")


@pytest.fixture(params=list(UPSTREAMS))
def anywhere(request: pytest.FixtureRequest, proxies: Callable[[str], Proxy], engines: Engines, tmp_path: Path) -> Here:
    """A place in front of each kind of upstream in turn; only the last has the referrers API."""
    return place(proxies(request.param), engines, tmp_path, request.param)
