"""Control characters, ANSI escapes and HTML are inert wherever a person sees them (ATTACKS 31)."""

import io
import json
from dataclasses import replace

import pytest

from proxy.oci.faults import Fault, Unavailable
from proxy.oci.reference import Tag
from proxy.registry.request import Response
from proxy.trust import explain
from proxy.trust.decision import Decision
from proxy.trust.question import Question
from proxy.web.app import public_app
from proxy.web.logs import AccessLog, open_log
from proxy.web.outermost import Edge
from proxy.web.pages import pages
from proxy.web.rendering import Rendering
from tests.unit.web.test_pages import DENIED, Desk
from tests.worlds.listener import QUICK, Recorder, body_of, in_memory, on_loopback, registry

LIVE = {
    "ansi": "\x1b[2J\x1b]0;owned\x07",
    "newline": "a\r\nX-Injected: 1\r\n\r\nHTTP/1.1 200 OK",
    "c1": "\x9b31m\x85",
    "bidi": "\u202e\u2066\u200f",
    "html": "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>",
    "template": "{{ 7*7 }}{% raw %}",
    "backspace": "safe\x08\x08\x08\x08evil\x7f",
    "null": "a\x00b",
    "surrogate": "\udc9b31m",
    "separators": "a\u2028b\u2029c",
}
CONTROLS = (
    {chr(n) for n in range(32)} - {"\n"} | {chr(n) for n in range(127, 160)} | set("\u202e\u2066\u200f\u2028\u2029")
)


@pytest.mark.parametrize("text", LIVE.values(), ids=LIVE.keys())
@pytest.mark.parametrize("as_json", [True, False], ids=["json", "console"])
async def test_nothing_a_client_sends_is_alive_in_the_log(text: str, as_json: bool) -> None:
    stream = io.StringIO()
    edge = Edge(QUICK, watch=(AccessLog(open_log(stream, as_json=as_json)),))
    raw = text.replace("\r", " ").replace("\n", " ").replace("\0", " ").encode("utf-8", "surrogateescape")
    async with on_loopback(registry(Recorder()), edge) as proxy:
        for target in (b"/v2/", b"/v2/" + raw.replace(b" ", b"") + b"/manifests/v1", b"/v2/a/manifests/%1b%5b2J%0a"):
            await proxy.say(
                b"GET " + target + b" HTTP/1.1\r\nHost: a\r\nUser-Agent: " + raw + b"\r\nConnection: close\r\n\r\n"
            )
    assert not CONTROLS & set(stream.getvalue())
    assert len(stream.getvalue().splitlines()) <= 3


@pytest.mark.parametrize("text", LIVE.values(), ids=LIVE.keys())
async def test_nothing_in_a_message_escapes_its_header_or_its_body(text: str) -> None:
    async def deny(*_: object) -> Response:
        raise Fault("DENIED", text, phrase=text, detail=text)

    async def silent(*_: object) -> Response:
        raise Unavailable(text)

    async def warn(*_: object) -> Response:
        return Response(200, (), b"{}", warning=text)

    for handle in (deny, silent, warn):
        async with in_memory(registry(handle)) as proxy:
            reply = await proxy.get("/v2/app/manifests/v1")
        assert reply.count(b"HTTP/1.1 ") == 1 + reply.count(b"HTTP/1.1 200 OK", 20)
        head = reply.split(b"\r\n\r\n", 1)[0].decode("ascii")
        assert not any(line.startswith("X-Injected") for line in head.split("\r\n"))
        assert all(" " <= c <= "~" for line in head.split("\r\n") for c in line)
        assert all(32 <= byte < 127 for byte in body_of(reply))


@pytest.mark.parametrize("text", LIVE.values(), ids=LIVE.keys())
@pytest.mark.parametrize("form", ["html", "text", "json"])
async def test_nothing_in_a_decision_is_alive_on_its_page(text: str, form: str) -> None:
    class Wrong(Desk):
        async def find(self, _decision_id: str) -> Decision | None:
            checks = tuple(replace(check, name=text, detail=text) for check in DENIED.checks)
            question = Question(DENIED.question.repository, Tag(text))  # as if a parser had let it in
            return replace(DENIED, checks=checks, contact=text, help_url=text, question=question)

    desk = Wrong()
    site = public_app(Recorder(), pages(Rendering("reg", "https://proxy.test"), desk.find, desk.inspect))
    async with in_memory(site) as proxy:
        reply = await proxy.get(f"/-/d/{DENIED.id}?format={form}")
    assert reply.startswith(b"HTTP/1.1 200 OK\r\n")
    body = body_of(reply).decode("utf-8")
    if form == "json":
        assert all(" " <= c <= "~" for c in body)
        assert json.loads(body)["contact"] == text
    if form != "json":
        assert not CONTROLS & set(body)
    if form == "html":
        assert "<script" not in body
        assert "<img" not in body
        assert "49" not in body.replace("#", "")[body.index("<main>") :]


def test_one_line_messages_are_one_line_of_plain_text() -> None:
    for text in LIVE.values():
        wrong = replace(DENIED, contact=text)
        for line in (explain.message(wrong, "reg", "https://a"), explain.phrase("reg", text, "https://a")):
            assert all(" " <= c <= "~" for c in line)
