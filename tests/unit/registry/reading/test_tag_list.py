from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import pytest

from proxy.oci.faults import Corrupt, Fault, Unavailable
from proxy.oci.limits import Limits
from proxy.oci.operation import DeleteManifest, ListTags
from proxy.oci.paths import parse, render
from proxy.oci.reference import fallback_tag, parse_tag, signature_tag
from proxy.registry.cache import LISTS
from proxy.registry.reading.tag_list import Tags, tags_of
from proxy.registry.request import Request, Response
from proxy.trust.policy import Policy, PushRules
from tests.worlds.conversation import ANYBODY, REPO, World, user, world
from tests.worlds.denials import denied
from tests.worlds.images import image
from tests.worlds.registry import Said, Seen

APP = image("app")
PATH = f"/v2/{REPO}/tags/list"
MANY = [f"v{n:03}" for n in range(37)]
Upstream = Callable[[ListTags], Said]


def said(tags: Sequence[str] | None, link: str | None = None) -> Said:
    headers = [("content-type", "application/json")]
    if link is not None:
        headers.append(("link", link))
    return Said(200, tuple(headers), json.dumps({"name": REPO, "tags": tags}).encode())


def honest(tags: Sequence[str], most: int = 1000, link: Callable[[str], str] | None = None) -> Upstream:
    """An upstream that keeps to the specification, but for its order and how its links look."""

    def answer(op: ListTags) -> Said:
        query = parse_qs(urlsplit(render(op)[1]).query)
        last = query["last"][0] if "last" in query else None
        n = min(int(query.get("n", [most])[0]), most)
        rest = list(tags) if last is None else list(tags)[list(tags).index(last) + 1 :]
        more = len(rest) > n
        path = f"{PATH}?last={rest[n - 1]}&n={n}" if more else ""
        return said(rest[:n], (link(path) if link else f'<{path}>; rel="next"') if more else None)

    return answer


async def behind(answer: Upstream, **more: object) -> World:
    w = await world(limits=replace(Limits(tag_age_s=0), **more))  # type: ignore[arg-type]

    def hook(seen: Seen) -> Said | None:
        return answer(seen.operation) if isinstance(seen.operation, ListTags) else None

    w.registry.hooks.append(hook)
    return w


def names(answer: Response) -> list[str]:
    assert answer.status == 200, answer
    assert dict(answer.headers)["content-length"] == str(len(answer.body))
    found: list[str] = json.loads(answer.body)["tags"]
    return found


async def listed(w: World, query: str = "") -> Response:
    return await w.say(parse("GET", PATH, query))


async def walked(w: World, query: str) -> list[list[str]]:
    """The pages from this one on, by the links that each one gives."""
    pages = []
    while query:
        answer = await listed(w, query)
        pages.append(names(answer))
        link = dict(answer.headers).get("link", "")
        assert not link or (link.startswith(f"<{PATH}?") and link.endswith('>; rel="next"'))
        query = link.partition("?")[2].partition(">")[0]
    return pages


def flat(pages: list[list[str]]) -> list[str]:
    return [name for page in pages for name in page]


def shuffled() -> list[str]:
    return sorted(MANY, key=lambda tag: hashlib.sha256(tag.encode()).digest())


def odd(path: str) -> str:
    return f'<https://registry.internal:8443/other{path}>; rel="first", <https://registry.internal{path}>;Rel=NEXT'


def cut_without_a_link(op: ListTags) -> Said:
    at = MANY.index(op.last) + 1 if op.last else 0
    return said(MANY[at : at + 10])


def opaque(op: ListTags) -> Said:
    """Quay and ECR go on by tokens of their own."""
    at = int(dict(op.page).get("next_page", "0"))
    more = f'<{PATH}?next_page={at + 10}>; rel="next"' if at + 10 < len(MANY) else None
    return said(MANY[at : at + 10], more)


def circle(op: ListTags) -> Said:
    """It ignores `last`, and without `n` it shows all."""
    return said(MANY[: op.n], f'<{PATH}?last={MANY[9]}&n=10>; rel="next"') if op.n else said(MANY)


UPSTREAMS: dict[str, Upstream] = {
    "as the specification says": honest(MANY),
    "with pages of ten": honest(MANY, 10),
    "unsorted": honest(shuffled()),
    "unsorted, with pages": honest(shuffled(), 10),
    "ignoring n and last": lambda _: said(MANY),
    "ignoring n and last, unsorted": lambda _: said(shuffled()),
    "linking to another host, in other letters": honest(MANY, 10, odd),
    "linking by a relative query": honest(MANY, 10, lambda path: f"<?{path.partition('?')[2]}>; rel='next'"),
    "linking without rel": honest(MANY, 10, lambda path: f"<{path}>"),
    "cutting without a link": cut_without_a_link,
    "going on by tokens of its own": opaque,
    "linking in a circle": circle,
    "always linking to itself": lambda _: said(MANY, f'<{PATH}?n=1000>; rel="next"'),
    "saying each thing twice": lambda _: said([*MANY, *MANY]),
    "refusing n": lambda op: Said(400) if op.n else said(MANY),
    "refusing last": lambda op: Said(422) if op.last else said(MANY),
}


@pytest.mark.parametrize("manner", UPSTREAMS)
async def test_a_list_is_whole_sorted_and_paged_whatever_upstream_does(manner: str) -> None:
    w = await behind(UPSTREAMS[manner])
    assert names(await listed(w)) == MANY
    assert "link" not in dict((await listed(w)).headers)
    for n in (1, 2, 10, 36, 37, 38, 1000):
        pages = await walked(w, f"n={n}")
        assert flat(pages) == MANY, n
        assert [len(page) for page in pages[:-1]] == [n] * (len(pages) - 1)
        assert pages[-1]
    assert flat(await walked(w, "n=5&last=v017")) == MANY[18:]
    assert names(await listed(w, "last=v035")) == ["v036"]


async def test_what_needs_no_change_is_upstreams_own_bytes() -> None:
    body = b'{ "name":"team/app", "tags":["a","b"], "manifest": {"x":1}}'
    w = await behind(lambda _: Said(200, (("content-type", "application/json; charset=utf-8"),), body))
    answer = await listed(w)
    assert (answer.body, dict(answer.headers)["content-type"]) == (body, "application/json; charset=utf-8")
    assert (await listed(w, "n=1")).body == b'{"name":"team/app","tags":["a"]}\n'


@pytest.mark.parametrize(
    ("query", "shown", "more"),
    [
        ("n=0", [], False),
        ("n=0&last=a", [], False),
        ("n=9999999999999999999", ["a", "c", "e"], False),
        ("n=3", ["a", "c", "e"], False),
        ("n=2", ["a", "c"], True),
        ("n=2&last=a", ["c", "e"], False),
        ("n=1&last=b", ["c"], True),
        ("last=zzz", [], False),
        ("last=e", [], False),
        ("n=1&last=A", ["a"], True),
        ("n=", ["a", "c", "e"], False),
        ("last=", ["a", "c", "e"], False),
    ],
)
async def test_n_and_last_at_their_edges(query: str, shown: list[str], more: bool) -> None:
    w = await behind(honest(["a", "c", "e"]))
    answer = await listed(w, query)
    assert names(answer) == shown
    assert ("link" in dict(answer.headers)) is more


@pytest.mark.parametrize("query", ["n=-1", "n=x", "n=1&n=2", "n=1e3", "last=a&last=b", "n=+1"])
async def test_odd_or_repeated_parameters_are_refused_before_upstream_is_asked(query: str) -> None:
    w = await behind(honest(MANY))
    with pytest.raises(Fault) as refused:
        await listed(w, query)
    assert refused.value.status == 400
    assert w.registry.seen == []


async def test_upstreams_order_without_regard_to_case_stays_and_is_paged_in() -> None:
    tags = ["alpha", "Beta", "beta", "Gamma", "gamma"]
    w = await behind(honest(tags))
    assert names(await listed(w)) == tags
    for n in (1, 2, 3):
        assert flat(await walked(w, f"n={n}")) == tags
    assert names(await listed(w, "last=BB")) == tags[1:]


@pytest.mark.parametrize("tags", [None, []])
async def test_no_tags_are_an_empty_list(tags: list[str] | None) -> None:
    w = await behind(lambda _: said(tags))
    assert names(await listed(w)) == []
    assert names(await listed(w, "n=3&last=x")) == []


@pytest.mark.parametrize("status", [401, 403, 404, 429, 500, 503])
async def test_upstreams_refusal_is_relayed_and_ends_the_right_to_read(status: int) -> None:
    w = await behind(lambda _: Said(status, (("www-authenticate", "Basic"),), b"{}"))
    w.ports.rights.confirm_read(REPO, user("a"))
    answer = await w.say(ListTags(REPO), user("a"))
    assert answer.status == status
    assert ("www-authenticate" in dict(answer.headers)) is True
    assert w.ports.rights.may_read(REPO, user("a")) is (status not in (401, 403))


@pytest.mark.parametrize("status", [401, 403, 429, 500, 503])
async def test_a_page_that_does_not_come_is_no_end_of_the_list(status: int) -> None:
    first = honest(MANY, 10)
    w = await behind(lambda op: Said(status) if op.last else first(op))
    with pytest.raises(Unavailable, match=str(status)):
        await listed(w)


@pytest.mark.parametrize(
    ("bound", "error"),
    [
        ({"tags_listed": 36}, "36 tags"),
        ({"tag_pages": 3}, "3 pages"),
        ({"tag_list_bytes": 200}, "200 bytes"),
        ({"request_lookups": 3}, "questions"),
    ],
)
async def test_a_list_that_is_too_long_is_an_error_that_says_so(bound: dict[str, int], error: str) -> None:
    w = await behind(honest(MANY, 10), **bound)
    for query in ("", "n=2"):
        with pytest.raises((Fault, Unavailable), match=error):
            await listed(w, query)
    assert w.ports.cache.tag_lists.used == 0


async def test_a_list_within_its_bounds_is_shown() -> None:
    w = await behind(honest(MANY, 10), tags_listed=37, tag_pages=5, tag_list_bytes=700)
    assert names(await listed(w)) == MANY


async def test_links_that_lead_nowhere_new_end_in_an_error_and_not_in_a_part() -> None:
    w = await behind(lambda op: said(MANY[: min(op.n or 10, 10)], f'<{PATH}?last={MANY[9]}&n=10>; rel="next"'))
    with pytest.raises(Corrupt, match="circle"):
        await listed(w)
    assert len(w.registry.seen) < 10


@pytest.mark.parametrize("body", [b"<html>", b'{"tags":"a"}', b'{"tags":["a",1]}', b'["a"]', b'{"tags":[""]}'])
async def test_what_is_no_list_of_tags_is_not_handed_on(body: bytes) -> None:
    w = await behind(lambda _: Said(200, (), body))
    with pytest.raises(Corrupt):
        await listed(w)


async def test_what_clients_add_to_the_query_does_not_reach_upstream() -> None:
    w = await behind(opaque)
    assert names(await listed(w, "next_page=30&ns=docker.io")) == MANY
    first = w.registry.seen[0].operation
    assert isinstance(first, ListTags)
    assert first.page == ()


async def test_a_slow_upstream_is_waited_for_as_long_as_the_limit_says() -> None:
    w = await behind(honest(MANY), tag_list_s=0.01)

    async def forever(_: Seen) -> None:
        await asyncio.sleep(30)

    w.registry.pause = forever
    with pytest.raises(Unavailable, match="tag_list_s"):
        await listed(w)
    assert w.ports.cache.tag_lists.used == 0


async def test_one_caller_has_not_all_places_for_lists_and_the_next_one_waits() -> None:
    w = await behind(honest(MANY))
    go, request = asyncio.Event(), 0

    async def wait(_: Seen) -> None:
        nonlocal request
        request += 1
        await go.wait()

    w.registry.pause = wait

    def start(network: str) -> asyncio.Task[Tags | Response]:
        return asyncio.create_task(tags_of(REPO, Request(ANYBODY, "r", network=network), w.ports))

    many = [start("10.0.0.1") for _ in range(20)]
    await asyncio.sleep(0.05)
    assert request == 6  # three quarters of the places
    others = [start(f"10.0.1.{n}") for n in range(3)]
    await asyncio.sleep(0.05)
    assert request == LISTS
    go.set()
    found = await asyncio.gather(*many, *others)
    assert all(isinstance(each, Tags) and list(each.names) == MANY for each in found)
    assert w.ports.cache.tag_lists.used == 0


async def test_a_list_that_nobody_waits_for_any_more_is_not_read_on() -> None:
    w = await behind(honest(MANY, 10))
    request = Request(ANYBODY, "r")
    request.budget.while_not(lambda: len(w.registry.seen) >= 2)
    with pytest.raises(asyncio.CancelledError):
        await tags_of(REPO, request, w.ports)
    assert len(w.registry.seen) == 2
    assert w.ports.cache.tag_lists.used == 0


HIDDEN = (
    signature_tag(APP.digest),
    fallback_tag(APP.digest),
    f"{fallback_tag(APP.digest)}.att",
    f"{fallback_tag(APP.digest)}.sbom",
    f"{fallback_tag(APP.digest)}.0123456789abcdef.meta",
    f"sha512-{'a' * 64}",
)
SHOWN = ("latest", "sha256-short", "sha384-" + "a" * 64, "v1", "v2", "v3", "z")


async def test_names_of_lists_of_signatures_are_left_out_page_by_page() -> None:
    w = await behind(honest(sorted((*HIDDEN, *SHOWN))))
    hiding = replace(w, ports=replace(w.ports, hides_signature_tags=True))
    assert set(names(await listed(w))) == {*HIDDEN, *SHOWN}
    assert names(await listed(hiding)) == list(SHOWN)
    for n in (1, 2, 3, 7):
        pages = await walked(hiding, f"n={n}")
        assert flat(pages) == list(SHOWN)
        assert all(len(page) == n for page in pages[:-1])
    assert names(await listed(hiding, f"n=2&last={signature_tag(APP.digest)}")) == ["sha256-short", SHOWN[2]]


async def test_nothing_but_hidden_names_is_an_empty_page_without_a_link() -> None:
    w = await behind(honest(["a", *sorted(HIDDEN)]))
    hiding = replace(w, ports=replace(w.ports, hides_signature_tags=True))
    answer = await listed(hiding, "n=1")
    assert names(answer) == ["a"]
    assert "link" not in dict(answer.headers)
    assert names(await listed(hiding, "n=1&last=a")) == []


async def test_an_immutable_tag_on_a_page_behind_an_odd_link_keeps_what_it_points_at() -> None:
    w = await world(Policy(("**",), PushRules(immutable_tags=("v*",))))
    digest = w.put_behind(APP, "team/app", "v1")
    pages = {None: said(["a"], '<https://elsewhere/x?token=2>; rel="next"'), "2": said(["v1"])}

    def hook(seen: Seen) -> Said | None:
        op = seen.operation
        return pages[dict(op.page).get("token")] if isinstance(op, ListTags) else None

    w.registry.hooks.append(hook)
    await denied(w, lambda: w.say(DeleteManifest(REPO, digest)), "tag_immutable", times=1)
    assert w.tag("team/app", parse_tag("v1")) == digest
