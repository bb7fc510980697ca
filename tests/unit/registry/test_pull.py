from __future__ import annotations

import pytest

from proxy.journal.event import EventKind
from proxy.oci.faults import Fault
from proxy.oci.operation import PullManifest
from proxy.oci.reference import parse_reference
from proxy.trust.policy import Clause, Policy, PullRules, PushRules
from tests.worlds.conversation import REPO, SIGN, signed_by, user, world
from tests.worlds.images import image
from tests.worlds.rights import TableRights

APP, BAD = image("app"), image("bad")


async def test_what_is_served_has_the_headers_of_what_was_judged() -> None:
    w = await world()
    await w.push(APP, "team/app", "v1")
    answer = await w.pull("team/app", "v1")
    assert dict(answer.headers) == {
        "content-type": APP.media_type,
        "content-length": str(len(APP.body)),
        "docker-content-digest": APP.digest,
        "etag": f'"{APP.digest}"',
    }
    assert answer.warning is None


@pytest.mark.parametrize("given", [f'"{APP.digest}"', f'W/"{APP.digest}"', f'"x", "{APP.digest}"', APP.digest, "*"])
async def test_who_has_it_is_told_so(given: str) -> None:
    w = await world()
    await w.push(APP, "team/app", "v1")
    same = await w.say(PullManifest(REPO, parse_reference("v1")), if_none_match=given)
    assert (same.status, same.body) == (304, b"")


@pytest.mark.parametrize("given", ["", '""', f'"{BAD.digest}"', f'"{APP.digest}0"', f'"x{APP.digest}"', "**"])
async def test_who_has_something_else_gets_it(given: str) -> None:
    w = await world()
    await w.push(APP, "team/app", "v1")
    whole = await w.say(PullManifest(REPO, parse_reference("v1")), if_none_match=given)
    assert (whole.status, whole.body) == (200, APP.body)


async def test_a_refusal_has_message_page_phrase_and_reason() -> None:
    w = await world()
    w.put_behind(BAD, "team/app", "bad")
    with pytest.raises(Fault) as refused:
        await w.pull("team/app", "bad")
    fault = refused.value
    (row,) = w.store.journal.events
    page = f"https://proxy.example/-/d/{row.decision_id}"
    assert fault.message.count(page) == 1
    assert fault.detail is None
    assert fault.message.endswith(page)
    assert fault.phrase == f"blocked by countersign: unsigned - {page}"
    assert await w.store.journal.decision(row.decision_id) is not None


async def test_warn_serves_with_a_warning_and_off_says_nothing() -> None:
    require = (Clause(("release",)),)
    w = await world(Policy(("**",), PushRules(), PullRules(mode="warn", require=require)))
    w.put_behind(BAD, "team/app", "bad")
    answer = await w.pull("team/app", "bad")
    assert answer.body == BAD.body
    assert "would be blocked: it is not signed" in str(answer.warning)
    w.rules.set(Policy(("**",), PushRules(), PullRules(mode="off", require=require)))
    assert (await w.pull("team/app", "bad")).warning is None
    assert w.store.journal.kinds() == [EventKind.PULL_WARNED, EventKind.PULL_ALLOWED]


async def test_exceptions_are_recorded_as_such() -> None:
    pull = PullRules(require=signed_by("release").require, reviewers=("scanner",))
    rights = TableRights(frozenset({"scanner"}), frozenset({"pusher"}))
    w = await world(Policy(("**",), SIGN.push, pull), rights=rights)
    w.put_behind(BAD, "team/app", "bad")
    assert (await w.pull("team/app", "bad", user("scanner"))).body == BAD.body
    with pytest.raises(Fault) as looked:
        await w.look("team/app", "bad", user("pusher"))
    assert (looked.value.code, looked.value.status) == ("MANIFEST_UNKNOWN", 404)
    rows = [(e.kind, e.detail.get("permission")) for e in w.store.journal.events]
    assert rows == [(EventKind.PULL_REVIEWED, "reviewer"), (EventKind.PULL_DENIED, "push-look")]


@pytest.mark.parametrize("status", [404, 401, 403, 429, 500])
async def test_upstreams_own_refusal_is_relayed(status: int) -> None:
    w = await world()
    w.registry.fail(PullManifest, status)
    assert (await w.pull("team/app", "v1")).status == status
    assert not w.store.journal.events
