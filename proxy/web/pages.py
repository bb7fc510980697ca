"""The pages that error texts link to: `/-/d/<decision>`, `/-/i/<image>`, `/-/help/<reason>`, as text, HTML or JSON."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any, Literal
from urllib.parse import parse_qsl, unquote

from proxy.oci.faults import Fault, Unavailable, plain
from proxy.oci.image_name import parse_name
from proxy.oci.reference import Reference, Repository, is_digest, parse_manifest_reference, parse_repository
from proxy.registry.request import Response
from proxy.trust import explain
from proxy.trust.decision import Decision
from proxy.trust.evidence import LATER_BY
from proxy.trust.question import NOTHING
from proxy.trust.reason import Lesson, Reason, fix_for
from proxy.trust.requirement import Outcome
from proxy.web.app import nothing_here
from proxy.web.call import Call
from proxy.web.now import Inspect, NowShown, path_of
from proxy.web.outermost import Inner
from proxy.web.rendering import Rendering

PageFormat = Literal["html", "json", "text"]
ID_LENGTH = 128
_ID = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")
TITLES = {401: "Please log in", 404: "Not found", 503: "Not just now"}
_TEXT = "text/plain; charset=utf-8"
_JSON = "application/json"


Find = Callable[[str], Awaitable[Decision | None]]


def form_of(call: Call) -> PageFormat:
    """Return the response format: `?format=` decides, then Accept; browsers get HTML, all other clients text."""
    request = _query(call).get("format")
    if request in {"html", "json", "text"}:
        return request  # type: ignore[return-value]  # narrowed by the set
    accept = (call.header("accept") or "").lower()
    if "text/html" in accept:
        return "html"
    return "json" if "application/json" in accept else "text"


def _query(call: Call) -> Mapping[str, str]:
    try:
        return dict(parse_qsl(call.query, max_num_fields=20))
    except ValueError:  # more fields than any client sends
        return {}


def pages(rendering: Rendering, find: Find, inspect: Inspect, trust: Inner | None = None) -> Mapping[str, Inner]:
    """Return the pages by the word after `/-/`; the composition root adds the token endpoint."""
    shown = Pages(rendering, find, inspect)
    return {
        "": shown.reading(shown.front),
        "d": shown.reading(shown.decision),
        "i": shown.reading(shown.image),
        "help": shown.reading(shown.help),
        "trust": shown.reading(trust or shown.nothing),
        "*": shown.reading(shown.nothing),
    }


class Pages:
    """The pages and the functions that supply their data."""

    def __init__(self, rendering: Rendering, find: Find, inspect: Inspect) -> None:
        """`find` looks up a decision by its id; `inspect` judges an image with the caller's own credentials."""
        self._rendering = rendering
        self._find = find
        self._inspect = inspect
        self._now = NowShown(inspect)

    def reading(self, page: Inner) -> Inner:
        """Return the page for GET and HEAD, with its errors rendered as pages too."""

        async def answer(call: Call) -> Response:
            try:
                if call.method not in {"GET", "HEAD"}:
                    raise Fault("UNSUPPORTED", "pages are only read: use GET", headers={"allow": "GET, HEAD"})
                return await page(call)
            except Fault as fault:
                return self._failed(call, fault)
            except Unavailable as failure:
                later = {"retry-after": str(failure.retry_after)}
                text = f"not available just now ({failure.told}); try again"
                said = Fault("UNKNOWN", text, status=503, headers=later, inside=failure.what)
                return self._failed(call, said)

        return answer

    async def front(self, call: Call) -> Response:
        """Return the front page, which says what this server is."""
        if form_of(call) == "html":
            return self._rendering.html("front.html")
        url = self._rendering.url
        about = {
            "i/REPOSITORY:TAG": "what you would get now; with a login: curl -u USER",
            "help": "why something may be blocked",
            "trust/": "keys and policies for those who verify elsewhere",
            "trust/clients": "how to set up docker, containerd, podman, CRI-O and Kubernetes",
        }
        text = f"{self._rendering.name}: a registry that signs what is pushed and checks what is pulled\n"
        text += "".join(f"{url}/-/{path}\n    {what}\n" for path, what in about.items())
        return self._rendering.answer(200, _TEXT, text)

    async def nothing(self, _call: Call) -> Response:
        """Raise Fault: this page does not exist."""
        raise nothing_here()

    async def decision(self, call: Call) -> Response:
        """Show one decision to any caller with its unguessable id: nothing about callers or other images."""
        decision_id = call.path.removeprefix("/-/d/")
        found = None
        if 0 < len(decision_id) <= ID_LENGTH and _ID.issuperset(decision_id):
            found = await self._find(decision_id)
        if found is None:
            text = "there is no decision with this id, or it is no longer kept; pull again: the error has a new link"
            raise Fault("NAME_UNKNOWN", text, status=404)
        # Claims name the pusher, or who had it signed later; only callers who may pull the image see them.
        later = {LATER_BY: "an operator"}
        ours = [replace(s, claims=later if s.signed_later and s.recorded else {}) for s in found.signatures]
        bare = replace(found, signatures=tuple(ours))
        now = await self._now.of(bare, call)
        return self._decided(form_of(call), bare, "decision.html", {"now": now}, {"now": now and now.as_json()})

    async def image(self, call: Call) -> Response:
        """Show the verdict on an image to a caller who may pull it."""
        name = call.path.removeprefix("/-/i/")
        if not name:
            return self._sought(_query(call).get("name", "").strip())
        repository, reference = named_image(name)
        seen = await self._inspect(repository, reference, call.as_request())
        more: dict[str, Any] = {
            "keys": dict(seen.keys),
            "files": dict(seen.files),
            "pushed_by": seen.pushed_by,
            "pushed_at": None if seen.pushed_at is None else seen.pushed_at.isoformat(),
            "commands": list(seen.commands),
        }
        shown = {**more, "pushed_at": seen.pushed_at}
        return self._decided(form_of(call), seen.decision, "image.html", shown, more)

    def _sought(self, typed: str) -> Response:
        """Lead to the page of the image that was typed into the form."""
        if not typed:
            raise Fault("NAME_INVALID", f"name an image: {self._rendering.url}/-/i/REPOSITORY:TAG")
        found = parse_name(typed, (self._rendering.host,))
        page, there = self._rendering.answer(303, _TEXT, ""), path_of(found.repository, found.reference)
        return replace(page, headers=(*page.headers, ("location", there)))

    async def help(self, call: Call) -> Response:
        """Explain one reason, or list them all."""
        word = call.path.removeprefix("/-/help").strip("/")
        form = form_of(call)
        if not word:
            return self._reasons(form)
        try:
            reason = Reason(word)
        except ValueError:
            raise Fault(
                "NAME_UNKNOWN", "there is no reason of this name; all of them are at /-/help", status=404
            ) from None
        lesson, what = reason.row.lesson, reason.row.what
        if form == "html":
            return self._rendering.html("help.html", reason=reason, what=what, lesson=lesson)
        if form == "json":
            return self._rendering.answer(200, _JSON, json.dumps({"reason": reason, "what": what, **vars(lesson)}))
        return self._rendering.answer(200, _TEXT, lesson_text(reason, lesson))

    def _reasons(self, form: PageFormat) -> Response:
        rows = [(reason, reason.row.what) for reason in Reason]
        if form == "html":
            return self._rendering.html("reasons.html", reasons=rows)
        if form == "json":
            return self._rendering.answer(200, _JSON, json.dumps(dict(rows)))
        return self._rendering.answer(200, _TEXT, "".join(f"{reason:<22} {what}\n" for reason, what in rows))

    def _decided(
        self, form: PageFormat, decision: Decision, template: str, shown: Mapping[str, Any], data: Mapping[str, Any]
    ) -> Response:
        name, url, decision = self._rendering.name, self._rendering.url, explain.for_callers(decision)
        if form == "json":
            return self._rendering.answer(200, _JSON, json.dumps({**explain.as_json(decision), **data}))
        if form == "text":
            commands = "".join(f"  {line}\n" for line in shown.get("commands", ()))
            text = explain.text(decision, name, url)
            if (now := shown.get("now")) is not None:
                text += f"  now       {now.said}; see {url}{now.path}\n"
            return self._rendering.answer(200, _TEXT, text + (f"\ncheck it yourself\n{commands}" if commands else ""))
        values: dict[str, Any] = {
            "decision": decision,
            "target": explain.target(decision.question),
            "verdict": _verdict(decision, name),
            "fix": _sentence(fix_for(decision.reason, decision.contact, self._rendering.host)),
            "known": decision.digest != NOTHING,
            "linked": (decision.help_url or "").startswith(("https://", "http://")),
        }
        return self._rendering.html(template, **values, **shown)

    def _failed(self, call: Call, fault: Fault) -> Response:
        """Return the failure as a page; a 401 keeps its challenge, so that clients log in."""
        call.error, call.reason = str(fault), fault.reason or ""
        form = form_of(call)
        if form == "html":
            title = TITLES.get(fault.status, "Not possible")
            page = self._rendering.html("message.html", fault.status, title=title, message=_sentence(fault.message))
        elif form == "json":
            error = {"errors": [{"code": fault.code, "message": fault.message}]}
            page = self._rendering.answer(fault.status, _JSON, json.dumps(error))
        else:
            page = self._rendering.answer(fault.status, _TEXT, plain(_sentence(fault.message), 500) + "\n")
        extra = tuple((name.lower(), value) for name, value in fault.headers.items())
        return replace(page, headers=(*page.headers, *extra))


def named_image(text: str) -> tuple[Repository, Reference]:
    """Return the image named by `repo`, `repo:tag` or `repo@digest`; without tag and digest, the tag is `latest`."""
    name, at, digest = unquote(text).partition("@")
    if at:
        reference = parse_manifest_reference(digest)
        if not is_digest(reference):
            raise Fault("DIGEST_INVALID", "after @ comes a digest: repo@sha256:...")
        return parse_repository(name), reference
    head, _, last = name.rpartition("/")
    short, colon, tag = last.partition(":")
    return parse_repository(f"{head}/{short}" if head else short), parse_manifest_reference(tag if colon else "latest")


def _verdict(decision: Decision, name: str) -> str:
    text = explain.verdict(decision, name)
    if decision.outcome is Outcome.INCONCLUSIVE:
        text = text.replace("blocked by", "not decided, so blocked by", 1) if not decision.allowed else text
    return _sentence(text)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")


def lesson_text(reason: Reason, lesson: Lesson) -> str:
    """Return the lesson for a terminal."""
    parts = {
        "what happened": lesson.happened,
        "why it matters": lesson.matters,
        "if you pull": lesson.puller,
        "if you push": lesson.pusher,
        "if the policy is yours": lesson.owner,
    }
    return f"{reason}: {reason.row.what}\n" + "".join(f"\n{title}\n  {text}\n" for title, text in parts.items())
