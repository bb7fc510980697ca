"""What upstream says to pages of other origins is said with every answer, also with those made here."""

from __future__ import annotations

import pytest

from proxy.oci import operation as o
from proxy.oci.faults import Fault, Unavailable
from proxy.oci.reference import parse_reference
from proxy.registry.handle import LEARNT_LENGTH, ORIGIN_LENGTH
from tests.worlds.conversation import REPO, World, user, world
from tests.worlds.images import image
from tests.worlds.registry import Said, Seen

UI = "http://ui.example"
OPEN = (("access-control-allow-origin", UI), ("vary", "Origin"), ("access-control-expose-headers", "Link, Range"))
LATEST = o.PullManifest(REPO, parse_reference("v1"))


async def lets_pages_read(*, headers: tuple[tuple[str, str], ...] = OPEN) -> World:
    """Upstream says this to that origin, at /v2/ and to a preflight; a signed image is there."""
    w = await world()
    await w.push(image(), "team/app", "v1")

    def said(seen: Seen) -> Said | None:
        request = isinstance(seen.operation, o.CheckApi | o.Options) and list(seen.values("origin")) == [UI]
        said = tuple((name, each) for name, value in headers for each in value.split(", "))  # as distribution does
        return Said(200, (*said, ("set-cookie", "a=b"), ("allow", "GET"))) if request else None

    w.registry.hooks.append(said)
    w.registry.seen.clear()
    return w


async def test_a_preflight_is_upstreams_to_answer() -> None:
    w = await lets_pages_read()
    answer = await w.say(
        o.Options(LATEST),
        origin=UI,
        access_control_request_method="DELETE",
        access_control_request_headers="accept",
        cookie="c=d",
    )
    assert [name for name, _ in answer.headers] == [*dict(OPEN), "access-control-expose-headers", "allow"]
    (seen,) = w.registry.seen
    asks = {"access-control-request-method": "DELETE", "access-control-request-headers": "accept"}
    assert dict(seen.headers) == {"origin": UI, **asks}


async def test_a_manifest_that_is_served_from_here_may_be_read_too() -> None:
    w = await lets_pages_read()
    for _ in range(2):
        answer = await w.say(LATEST, user("alice"), origin=UI)
        assert set(OPEN) < set(answer.headers)
    learnt = [seen for seen in w.registry.seen if isinstance(seen.operation, o.CheckApi)]
    assert len(learnt) == 1, "asked once, and remembered"
    assert learnt[0].authorization is None, "nobody's credentials go along"


async def test_a_refusal_can_be_read_by_the_page_that_must_show_it() -> None:
    w = await lets_pages_read()
    w.put_behind(image("unsigned"), "team/app", "bad")
    with pytest.raises(Fault) as refused:
        await w.say(o.PullManifest(REPO, parse_reference("bad")), origin=UI)
    assert dict(OPEN).items() <= refused.value.headers.items()


async def test_other_origins_and_clients_hear_nothing_of_it() -> None:
    w = await lets_pages_read()
    assert not {name for name, _ in (await w.say(LATEST)).headers} & dict(OPEN).keys()
    assert not any(isinstance(seen.operation, o.CheckApi) for seen in w.registry.seen)
    other = await w.say(LATEST, origin="http://evil.example")
    assert not {name for name, _ in other.headers} & dict(OPEN).keys()


async def test_what_is_no_origin_or_too_much_is_passed_over() -> None:
    w = await lets_pages_read(headers=(("access-control-allow-origin", "x" * LEARNT_LENGTH),))
    for origin in (UI, "x" * (ORIGIN_LENGTH + 1)):
        answer = await w.say(LATEST, origin=origin)
        assert (answer.status, {name for name, _ in answer.headers} & dict(OPEN).keys()) == (200, set())


async def test_upstream_that_does_not_answer_keeps_nobody_from_an_answer() -> None:
    w = await lets_pages_read()
    await w.pull("team/app", "v1")

    def away(seen: Seen) -> Said | None:
        if isinstance(seen.operation, o.CheckApi):
            raise Unavailable("away")
        return None

    w.registry.hooks.insert(0, away)
    assert (await w.say(LATEST, origin=UI)).status == 200
    w.registry.hooks.remove(away)
    assert ("vary", "Origin") in (await w.say(LATEST, origin=UI)).headers, "and it is asked again"
