"""Pages say why, to the right people, and nothing in them is alive."""

import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from urllib.parse import quote, urlparse

import pytest

from proxy.oci.faults import Fault, Unavailable
from proxy.oci.reference import Digest, Reference, Repository, Tag
from proxy.registry.request import Request, Response
from proxy.trust.decision import Decision
from proxy.trust.evidence import Verified
from proxy.trust.explain import from_json, message
from proxy.trust.keys import KeyState
from proxy.trust.question import NOTHING, Question
from proxy.trust.reason import Reason
from proxy.trust.requirement import Check, Outcome
from proxy.web.app import public_app
from proxy.web.call import Call
from proxy.web.now import AGAIN_S, Inspection, NowShown
from proxy.web.outermost import Inner
from proxy.web.pages import pages
from proxy.web.rendering import Rendering
from tests.worlds.listener import Recorder, body_of, head_of, in_memory

DIGEST = Digest("sha256:" + "ab" * 32)
DENIED = Decision(
    id="k3yOfTheDecision_-0",
    question=Question(Repository("prod/app"), Tag("v1")),
    digest=DIGEST,
    media_type="application/vnd.oci.image.manifest.v1+json",
    outcome=Outcome.FAILED,
    mode="enforce",
    reason=Reason.UNSIGNED,
    checks=(Check("signed by release", Outcome.FAILED, "no <b>signature</b> was \x1b[31mfound", Reason.UNSIGNED),),
    signatures=(Verified("f" * 64, "cosign-simple", "proxy.test/prod/app", {"pusher": "alice"}),),
    policy_revision="p",
    key_revision="k",
    at=datetime(2026, 11, 22, 12, tzinfo=UTC),
    contact="#platform-help",
    help_url="javascript:alert(1)",
)


FILES = {"f" * 64: "/-/trust/release/key-ffffffffffff.pem"}
LOGIN = "Authorization: Basic eDp5"


class Desk:
    """Finds one decision, and inspects for whoever logs in; `now` is what it finds."""

    def __init__(self) -> None:
        self.now = DENIED
        self.seen: list[tuple[str, str, str | None]] = []
        self.fails: Exception | None = None

    async def find(self, decision_id: str) -> Decision | None:
        if self.fails is not None:
            raise self.fails
        return DENIED if decision_id == DENIED.id else None

    async def inspect(self, repository: Repository, reference: Reference, request: Request) -> Inspection:
        self.seen.append((repository, reference, request.credential.authorization))
        if request.credential.authorization is None:
            raise Fault("UNAUTHORIZED", "log in to see this", headers={"WWW-Authenticate": 'Basic realm="x"'})
        commands = ("cosign verify --key release.pub proxy.test/prod/app:v1",)
        return Inspection(self.now, {"f" * 64: "release"}, FILES, "alice", DENIED.at, commands)


def site(desk: Desk) -> Inner:
    return public_app(Recorder(), pages(Rendering("reg <1>", "https://proxy.test"), desk.find, desk.inspect))


async def test_a_decision_is_text_for_curl_html_for_browsers_and_json_for_programs() -> None:
    path = f"/-/d/{DENIED.id}"
    async with in_memory(site(Desk())) as proxy:
        text = await proxy.get(path, "Accept: */*")
        html = await proxy.get(path, "Accept: text/html,application/xhtml+xml")
        by_accept = await proxy.get(path, "Accept: application/json")
        by_query = await proxy.get(path + "?format=json", "Accept: text/html")
    assert head_of(text)[1]["content-type"].startswith("text/plain")
    assert b"unsigned" in body_of(text)
    assert b"#platform-help" in body_of(text)
    assert head_of(html)[1]["content-type"].startswith("text/html")
    assert b"#platform-help" in body_of(html)
    assert body_of(by_accept) == body_of(by_query)
    bare = replace(DENIED, signatures=(replace(DENIED.signatures[0], claims={}),))
    assert from_json(json.loads(body_of(by_query))) == bare


@pytest.mark.parametrize("form", ["html", "json", "text"])
async def test_a_decision_tells_nothing_about_callers(form: str) -> None:
    async with in_memory(site(Desk())) as proxy:
        reply = await proxy.get(f"/-/d/{DENIED.id}?format={form}")
    assert reply.startswith(b"HTTP/1.1 200")
    assert b"alice" not in reply


LATER = replace(
    DENIED,
    signatures=(
        replace(
            DENIED.signatures[0],
            claims={"signed-later-by": "erika (socket)", "reason": "<b>backlog"},
            recorded=DENIED.at,
        ),
    ),
)


@pytest.mark.parametrize("form", ["html", "text"])
async def test_what_was_signed_later_says_pushed_by(form: str) -> None:
    """Who may pull it reads who had it signed and why; who has only a decision's id, that an operator had."""

    class Later(Desk):
        async def find(self, decision_id: str) -> Decision | None:
            return LATER

        async def inspect(self, repository: Repository, reference: Reference, request: Request) -> Inspection:
            return Inspection(LATER, {"f" * 64: "release"})

    async with in_memory(site(Later())) as proxy:
        image = body_of(await proxy.get(f"/-/i/prod/app:v1?format={form}"))
        decision = body_of(await proxy.get(f"/-/d/{DENIED.id}?format={form}"))
    told = b"&lt;b&gt;backlog" if form == "html" else b"<b>backlog"
    assert b"signed later by erika (socket): " + told in image
    assert b"Pushed by" not in image
    assert b"signed later by an operator" in decision.lower()
    assert not any(said in decision for said in (b"erika", b"backlog", b"Pushed by"))


async def test_a_strangers_claim_makes_a_decision_say_that_our_operator_signed() -> None:
    class Theirs(Desk):
        async def find(self, decision_id: str) -> Decision | None:
            return replace(LATER, signatures=(replace(LATER.signatures[0], recorded=None),))

    async with in_memory(site(Theirs())) as proxy:
        assert b"igned later" not in body_of(await proxy.get(f"/-/d/{DENIED.id}?format=html"))


async def test_html_is_inert() -> None:
    async with in_memory(site(Desk())) as proxy:
        reply = await proxy.get(f"/-/d/{DENIED.id}?format=html")
    _, headers = head_of(reply)
    body = body_of(reply)
    assert b"<b>" not in body
    assert b"&lt;b&gt;signature" in body
    assert b"<script" not in body
    assert b'href="javascript' not in body
    assert b"reg <1>" not in body
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"


@pytest.mark.parametrize("wrong", ["nothing", "x" * 200, "%2e%2e", "a/b", ""])
async def test_an_unknown_decision_is_not_found(wrong: str) -> None:
    async with in_memory(site(Desk())) as proxy:
        for accept in ("text/html", "application/json", "*/*"):
            assert (await proxy.get(f"/-/d/{wrong}", f"Accept: {accept}")).startswith(b"HTTP/1.1 404 ")


async def test_the_url_in_the_error_leads_to_the_page() -> None:
    line = message(DENIED, "reg", "https://proxy.test")
    url = re.findall(r"https://\S+", line)[-1]
    async with in_memory(site(Desk())) as proxy:
        assert (await proxy.get(urlparse(url).path)).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    ("path", "reference"),
    [("prod/app:v1", "v1"), ("prod/app", "latest"), (f"prod/app@{DIGEST}", DIGEST), ("prod%2fapp%3Av1", "v1")],
)
async def test_an_image_is_shown_to_whoever_upstream_lets_pull(path: str, reference: str) -> None:
    desk = Desk()
    async with in_memory(site(desk)) as proxy:
        refused = await proxy.get(f"/-/i/{path}", "Accept: text/html")
        html = await proxy.get(f"/-/i/{path}", "Accept: text/html", "Authorization: Basic eDp5")
        data = await proxy.get(f"/-/i/{path}?format=json", "Authorization: Basic eDp5")
    assert refused.startswith(b"HTTP/1.1 401 ")
    assert head_of(refused)[1]["www-authenticate"] == 'Basic realm="x"'
    assert desk.seen[0] == ("prod/app", reference, None)
    assert desk.seen[1] == ("prod/app", reference, "Basic eDp5")
    assert b"Pushed by alice" in body_of(html)
    assert b"release" in body_of(html)
    assert b"cosign verify --key" in body_of(html)
    assert json.loads(body_of(data))["pushed_by"] == "alice"


@pytest.mark.parametrize("path", ["UPPER", "a@b", "a:b:c", "..", "a/../b", "a@sha256:12", "", "a%00"])
async def test_an_image_that_is_no_name_is_refused(path: str) -> None:
    desk = Desk()
    async with in_memory(site(desk)) as proxy:
        reply = await proxy.get(f"/-/i/{path}", "Authorization: Basic eDp5")
    assert reply.startswith(b"HTTP/1.1 400 ")
    assert desk.seen == []


@pytest.mark.parametrize("reason", Reason)
async def test_every_reason_has_its_page(reason: Reason) -> None:
    lesson = reason.row.lesson
    assert all(len(part) > 20 for part in vars(lesson).values())
    async with in_memory(site(Desk())) as proxy:
        html = await proxy.get(f"/-/help/{reason}", "Accept: text/html")
        text = await proxy.get(f"/-/help/{reason}")
        listing = await proxy.get("/-/help")
    assert html.startswith(b"HTTP/1.1 200 ")
    assert b"`" not in body_of(html)
    assert lesson.happened.encode() in body_of(text)
    assert reason.encode() in body_of(listing)


async def test_there_is_no_page_for_what_is_no_reason() -> None:
    async with in_memory(site(Desk())) as proxy:
        assert (await proxy.get("/-/help/nonsense")).startswith(b"HTTP/1.1 404 ")
        assert (await proxy.get("/-/help", method="POST")).startswith(b"HTTP/1.1 405 ")
        assert (await proxy.get("/", "Accept: text/html")).startswith(b"HTTP/1.1 200 ")
        assert (await proxy.get("/-/")).startswith(b"HTTP/1.1 200 ")


async def test_an_address_of_nobody_is_said_to_be_so_in_the_readers_words() -> None:
    async with in_memory(site(Desk())) as proxy:
        for path in ("/-/nothing", "/favicon.ico", "/-/*"):
            html = await proxy.get(path, "Accept: text/html")
            text = await proxy.get(path)
            assert html.startswith(b"HTTP/1.1 404 ")
            assert b"<h1>Not found</h1>" in html
            assert b"nothing at this address" in body_of(text)
            assert b"<" not in body_of(text)


async def test_a_journal_that_does_not_answer_is_not_an_unknown_decision() -> None:
    desk = Desk()
    desk.fails = Unavailable("store")
    async with in_memory(site(desk)) as proxy:
        reply = await proxy.get(f"/-/d/{DENIED.id}")
    assert reply.startswith(b"HTTP/1.1 503 ")
    assert head_of(reply)[1]["retry-after"] == "5"


@pytest.mark.parametrize("path", ["/-/help", "/-/d/x", "/", "/nowhere"])
async def test_a_thousand_parameters_are_no_defect_of_ours(path: str) -> None:
    async with in_memory(site(Desk())) as proxy:
        reply = await proxy.get(f"{path}?{'a&' * 1000}")
    assert not reply.startswith(b"HTTP/1.1 500")


@pytest.mark.parametrize("form", ["html", "json", "text"])
async def test_a_decision_s_page_shows_what_one_would_get_now(form: str) -> None:
    """Before: after the operator had signed, the page of the error still said Blocked, and nothing led further."""
    desk, path = Desk(), f"/-/d/{DENIED.id}?format={form}"
    async with in_memory(site(desk)) as proxy:
        stranger = body_of(await proxy.get(path)).decode()
        blocked = body_of(await proxy.get(path, LOGIN)).decode()
    desk.now = replace(DENIED, outcome=Outcome.PASSED, reason=None)
    async with in_memory(site(desk)) as proxy:
        signed = body_of(await proxy.get(path, LOGIN)).decode()
    assert all("/-/i/prod/app:v1" in told for told in (stranger, blocked, signed))
    assert "not shown: the registry asks for a login" in stranger
    assert "still blocked" in blocked
    assert "a pull is allowed" in signed
    assert "is not signed" in signed or "unsigned" in signed, "the decision itself stays as it was"


async def test_the_verdict_of_now_is_told_to_nobody_who_may_not_pull() -> None:
    desk = Desk()
    desk.now = replace(DENIED, outcome=Outcome.PASSED, reason=None)
    async with in_memory(site(desk)) as proxy:
        assert b"a pull is allowed" in await proxy.get(f"/-/d/{DENIED.id}", LOGIN)
        assert b"a pull is allowed" not in await proxy.get(f"/-/d/{DENIED.id}")
        assert b"a pull is allowed" not in await proxy.get(f"/-/d/{DENIED.id}", "Authorization: Basic eDp6Og==") or (
            desk.seen[-1][2] == "Basic eDp6Og=="
        ), "another password is asked for anew"


async def test_reloading_judges_again_once_in_a_few_seconds() -> None:
    desk, now = Desk(), 0.0
    shown = NowShown(desk.inspect, lambda: now)

    async def page(call: Call) -> Response:
        found = await shown.of(DENIED, call)
        assert found is not None
        return Response(200, body=found.said.encode())

    async with in_memory(page) as proxy:
        for _ in range(5):
            assert b"still blocked" in await proxy.get("/", LOGIN)
        assert len(desk.seen) == 1
        desk.now = replace(DENIED, outcome=Outcome.PASSED, digest=Digest("sha256:" + "cd" * 32))
        now += AGAIN_S
        assert b"a pull is allowed; v1 is another image by now" in await proxy.get("/", LOGIN)
    assert len(desk.seen) == 2


@pytest.mark.parametrize(
    "other",
    [
        replace(DENIED, checks=(Check("push", Outcome.FAILED, "x", Reason.NOT_SIGNED),)),
        replace(DENIED, reason=Reason.UNLISTED_BLOB),
        replace(DENIED, question=Question(Repository("prod/app"), NOTHING)),
    ],
)
async def test_where_no_image_was_pulled_nothing_is_judged(other: Decision) -> None:
    desk = Desk()

    async def page(call: Call) -> Response:
        assert await NowShown(desk.inspect).of(other, call) is None
        return Response(204)

    async with in_memory(page) as proxy:
        assert (await proxy.get("/", LOGIN)).startswith(b"HTTP/1.1 204")
    assert desk.seen == []


async def test_what_is_away_is_not_a_verdict() -> None:
    async def away(*_: object) -> Inspection:
        raise Unavailable("upstream at 10.0.0.7")

    async def page(call: Call) -> Response:
        found = await NowShown(away).of(DENIED, call)
        assert found is not None
        assert (found.allowed, found.said) == (None, "not known: it could not be judged just now")
        return Response(204)

    async with in_memory(page) as proxy:
        assert (await proxy.get("/")).startswith(b"HTTP/1.1 204")


@pytest.mark.parametrize(
    ("typed", "there"),
    [
        ("prod/app:v1", "/-/i/prod/app:v1"),
        ("proxy.test/prod/app:v1", "/-/i/prod/app:v1"),
        (" prod/app ", "/-/i/prod/app:latest"),
        (f"prod/app:v1@{DIGEST}", f"/-/i/prod/app@{DIGEST}"),
    ],
)
async def test_a_name_typed_on_the_front_page_leads_to_its_page(typed: str, there: str) -> None:
    """Before: the page that says what one would get was in no document and had no field to type a name into."""
    async with in_memory(site(Desk())) as proxy:
        front = await proxy.get("/", "Accept: text/html")
        led = await proxy.get(f"/-/i/?name={quote(typed)}", "Accept: text/html")
    assert b'<form action="/-/i/" method="get">' in front
    assert b'name="name"' in front
    assert "form-action 'self'" in head_of(front)[1]["content-security-policy"]
    assert led.startswith(b"HTTP/1.1 303 ")
    assert head_of(led)[1]["location"] == there


@pytest.mark.parametrize(
    "typed", ["//evil.example", "https://evil.example/x", "a\r\nSet-Cookie: x", "a b", "..", "A:1", "é"]
)
async def test_what_is_no_name_leads_nowhere(typed: str) -> None:
    desk = Desk()
    async with in_memory(site(desk)) as proxy:
        led = await proxy.get(f"/-/i/?name={quote(typed)}", "Accept: text/html")
    assert led.startswith(b"HTTP/1.1 400 ")
    assert "location" not in head_of(led)[1]
    assert desk.seen == []


async def test_the_text_of_the_front_page_names_every_page() -> None:
    async with in_memory(site(Desk())) as proxy:
        front = body_of(await proxy.get("/")).decode()
        nothing = body_of(await proxy.get("/-/i/")).decode()
    for path in ("i/REPOSITORY:TAG", "help", "trust/", "trust/clients"):
        assert f"https://proxy.test/-/{path}\n" in front
    assert nothing == "Name an image: https://proxy.test/-/i/REPOSITORY:TAG.\n"


async def test_a_signature_of_a_compromised_key_is_not_among_the_good_ones() -> None:
    """Before: signatures had no fingerprint, and those by a compromised key were listed like all others."""
    desk, bad = Desk(), Verified("e" * 64, "cosign-simple", state=KeyState.COMPROMISED)
    desk.now = replace(DENIED, signatures=(*DENIED.signatures, bad))
    async with in_memory(site(desk)) as proxy:
        html = body_of(await proxy.get("/-/i/prod/app:v1", "Accept: text/html", LOGIN)).decode()
    good, _, rest = html.partition("Signatures that verify")[2].partition("Signatures that no longer count")
    assert f'<a class="mono" href="{FILES["f" * 64]}">ffffffffffff</a>' in good
    assert "eeeeeeeeeeee" not in good
    assert "eeeeeeeeeeee" in rest
    assert "The key is compromised" in rest
