"""The token endpoint passes on what clients ask and what the realm answers."""

import json
from dataclasses import dataclass

from proxy.oci.faults import Fault
from proxy.oci.operation import Query
from proxy.registry.ports.upstream import Headers
from proxy.web.app import public_app
from proxy.web.token import FORM_BYTES, Issued, token_page
from tests.worlds.listener import Recorder, body_of, head_of, in_memory


@dataclass(frozen=True)
class Answered:
    status: int = 200
    headers: Headers = (("content-type", "application/json"), ("cache-control", "max-age=60"))
    body: bytes = b'{"token":"t"}'


class Realm:
    def __init__(self) -> None:
        self.asked: list[tuple[str, Query, str | None]] = []
        self.pages: list[Headers] = []
        self.answer = Answered()

    async def __call__(self, method: str, pairs: Query, authorization: str | None, page: Headers) -> Issued:
        self.asked.append((method, pairs, authorization))
        self.pages.append(page)
        return self.answer


async def test_a_get_passes_its_parameters_and_credentials() -> None:
    realm = Realm()
    async with in_memory(public_app(Recorder(), {"token": token_page(realm)})) as proxy:
        reply = await proxy.get("/-/token?scope=a%3Ab&scope=c&account=x", "Authorization: Basic eDp5")
    assert realm.asked == [("GET", (("scope", "a:b"), ("scope", "c"), ("account", "x")), "Basic eDp5")]
    assert body_of(reply) == b'{"token":"t"}'
    assert head_of(reply)[1]["cache-control"] == "no-store"


async def test_a_post_passes_its_form() -> None:
    realm = Realm()
    form = b"grant_type=password&username=x&password=y%26z"
    kind = "Content-Type: application/x-www-form-urlencoded; charset=utf-8"
    async with in_memory(public_app(Recorder(), {"token": token_page(realm)})) as proxy:
        await proxy.get("/-/token", kind, f"Content-Length: {len(form)}", method="POST", body=form)
    assert realm.asked == [("POST", (("grant_type", "password"), ("username", "x"), ("password", "y&z")), None)]


async def test_what_is_no_token_request_never_reaches_the_realm() -> None:
    realm = Realm()
    big = b"a=" + b"x" * FORM_BYTES
    kind = "Content-Type: application/x-www-form-urlencoded"
    async with in_memory(public_app(Recorder(), {"token": token_page(realm)})) as proxy:
        assert (await proxy.get("/-/token", method="PUT")).startswith(b"HTTP/1.1 405 ")
        assert (await proxy.get("/-/token/x")).startswith(b"HTTP/1.1 404 ")
        assert (await proxy.get("/-/token", method="POST")).startswith(b"HTTP/1.1 415 ")
        assert (await proxy.get("/-/token?" + "a&" * 1_500)).startswith(b"HTTP/1.1 400 ")
        large = await proxy.get("/-/token", kind, f"Content-Length: {len(big)}", method="POST", body=big)
    assert large.startswith(b"HTTP/1.1 413 ")
    assert realm.asked == []


async def test_a_realm_that_may_not_be_asked_is_said_in_an_error_that_clients_show() -> None:
    async def issue(_method: str, _pairs: Query, _authorization: str | None, _page: Headers) -> Issued:
        raise Fault("DENIED", "add it to upstreams[].realms")

    async with in_memory(public_app(Recorder(), {"token": token_page(issue)})) as proxy:
        reply = await proxy.get("/-/token")
    assert reply.startswith(b"HTTP/1.1 403 ")
    assert json.loads(body_of(reply))["errors"][0]["message"] == "add it to upstreams[].realms"


async def test_a_page_of_another_origin_asks_as_the_realm_lets_it() -> None:
    realm = Realm()
    realm.answer = Answered(headers=(("access-control-allow-origin", "http://ui.example"),), body=b"")
    asks = ("Origin: http://ui.example", "Access-Control-Request-Headers: authorization", "Cookie: a=b")
    async with in_memory(public_app(Recorder(), {"token": token_page(realm)})) as proxy:
        reply = await proxy.get("/-/token?scope=a", *asks, method="OPTIONS")
    assert realm.asked == [("OPTIONS", (("scope", "a"),), None)]
    assert realm.pages == [
        (("origin", "http://ui.example"), ("access-control-request-headers", "authorization")),
    ]
    assert head_of(reply)[1]["access-control-allow-origin"] == "http://ui.example"
