"""What has a length works just below its bound; just above it, the answer says what, how much, and which setting."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from urllib.parse import urlencode

import pytest
import yaml

from proxy.oci.limits import Limits
from proxy.upstream.realm import TOKEN_BYTES
from proxy.web.token import FIELDS, FORM_BYTES
from tests.interop.countersign import Proxy, countersign
from tests.interop.registries import TokenServer, behind, docker_registry, token_server
from tests.interop.wire import Heard, ask

LIMITS = Limits()
PASSWORD = "secret"
FORM = "application/x-www-form-urlencoded"
BASIC = {"Authorization": "Basic " + base64.b64encode(f"robot:{PASSWORD}".encode()).decode()}
AROUND = 200  # bytes of request line and of the headers that a client sends by itself


@dataclass(frozen=True)
class Place:
    """A proxy before a registry that believes a token server; `admin` is HOST:PORT of its admin API."""

    proxy: Proxy
    tokens: TokenServer

    @property
    def admin(self) -> str:
        """Where operators call."""
        return str(yaml.safe_load(self.proxy.config.read_text())["admin"]["listen"])

    def asked(self, scopes: int, how: str, length: int = 0) -> Heard:
        """What a token request for so many repositories was answered, each name that much longer."""
        wanted = [f"repository:many/{'n' * length}{number}:pull,push" for number in range(scopes)]
        if how == "GET":
            pairs = [("account", "robot"), ("service", self.tokens.service), *(("scope", each) for each in wanted)]
            return ask(self.proxy.host, "GET", f"/-/token?{urlencode(pairs)}", headers=BASIC)
        form = {"grant_type": "password", "username": "robot", "password": PASSWORD, "client_id": "tests"}
        body = urlencode({**form, "service": self.tokens.service, "scope": " ".join(wanted)}).encode()
        return ask(self.proxy.host, "POST", "/-/token", body, {"Content-Type": FORM})


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("lengths")
    with ExitStack() as running:
        grants = {"robot": [("many/*", "pull,push")]}
        tokens = running.enter_context(token_server(folder / "tokens", users={"robot": PASSWORD}, grants=grants))
        upstream = running.enter_context(docker_registry(folder / "upstream", auth=behind(tokens)))

        def change(settings: dict[str, list[dict[str, object]]]) -> None:
            settings["upstreams"][0]["realms"] = [tokens.realm.removesuffix("/token")]

        yield Place(running.enter_context(countersign(folder / "proxy", upstream, change)), tokens)


def said(heard: Heard) -> str:
    """The message of an error, of either listener."""
    told = heard.json()
    return str(told["detail"] if "detail" in told else told["errors"][0]["message"])


def with_headers(host: str, path: str, size: int) -> Heard:
    """What is answered to a request whose header has about that many bytes in all."""
    return ask(host, "GET", path, headers={"X-Long": "x" * size})


@pytest.mark.parametrize("how", ["GET", "POST"])
def test_a_token_for_512_repositories_is_issued_and_taken_back(place: Place, how: str) -> None:
    issued = place.asked(512, how)
    assert issued.status == 200, issued
    bearer = {"Authorization": f"Bearer {issued.json()['token']}"}
    assert len(bearer["Authorization"]) > 32 * 1024
    begun = ask(place.proxy.host, "POST", "/v2/many/511/blobs/uploads/", b"", bearer)
    assert begun.status == 202, begun
    assert ask(place.proxy.host, "POST", "/v2/other/511/blobs/uploads/", b"", bearer).status == 401


def test_512_of_the_longest_names_reach_the_realm(place: Place) -> None:
    refused = place.asked(512, "POST", length=246)
    assert said(refused) == f"the token realm's answer is larger than {TOKEN_BYTES} bytes"
    assert len(place.tokens.requests()[-1]["scope"]) > 512 * 255


@pytest.mark.parametrize("how", ["GET", "POST"])
def test_a_token_that_would_not_be_taken_back_is_not_handed_out(place: Place, how: str) -> None:
    refused = place.asked(900, how)
    assert refused.status == 400
    assert "the token has " in said(refused)
    assert "(limits.authorization_bytes): ask for fewer scopes" in said(refused)


def test_more_scopes_than_are_read_are_counted(place: Place) -> None:
    refused = place.asked(FIELDS - 1, "GET")
    assert (refused.status, said(refused)) == (
        400,
        f"token request too large: {FIELDS + 1} parameters; at most {FIELDS} are read",
    )


def test_a_form_has_a_size(place: Place) -> None:
    pad = {"Content-Type": FORM}
    below = ask(place.proxy.host, "POST", "/-/token", b"unknown=" + b"x" * (FORM_BYTES - 8), pad)
    assert below.status == 401, "the realm was asked, and knows nobody of that name"
    above = ask(place.proxy.host, "POST", "/-/token", b"unknown=" + b"x" * (FORM_BYTES - 7), pad)
    assert (above.status, said(above)) == (413, f"request body of {FORM_BYTES + 1} bytes; the limit is {FORM_BYTES}")


@pytest.mark.parametrize("path", ["/v2/", "/-/token?service=x", "/admin/v1/status"])
def test_authorization_has_a_size(place: Place, path: str) -> None:
    host = place.admin if path.startswith("/admin") else place.proxy.host
    most = LIMITS.authorization_bytes
    below = ask(host, "GET", path, headers={"Authorization": "Bearer " + "x" * (most - 7)})
    assert below.status in {200, 401}, below
    above = ask(host, "GET", path, headers={"Authorization": "Bearer " + "x" * (most - 6)})
    told = f"Authorization headers of {most + 1} bytes; at most {most} are read (limits.authorization_bytes)"
    assert (above.status, said(above)) == (431, told)


@pytest.mark.parametrize("path", ["/v2/", "/-/token?service=x", "/admin/v1/openapi.json"])
def test_all_headers_together_have_a_size(place: Place, path: str) -> None:
    host, most = place.admin if path.startswith("/admin") else place.proxy.host, LIMITS.header_bytes
    assert with_headers(host, path, most - AROUND).status in {200, 401}
    above = with_headers(host, path, most)
    assert above.status == 431
    told = f"the header of a request may have {most} bytes in all (limits.header_bytes), this one has more"
    assert json.loads(above.body)["errors"][0]["message"].startswith(told)
