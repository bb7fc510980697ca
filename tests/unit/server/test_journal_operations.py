"""What enforcing would block, asked of a whole proxy in memory; the rows of the journal are in tests/unit/admin."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest

from proxy.oci.faults import Unavailable
from proxy.server import journal_operations
from proxy.server.journal_operations import would_block
from proxy.trust.policy import Policy
from proxy.trust.roles import Role
from tests.worlds.admin import Admin, admin
from tests.worlds.conversation import SIGN, signed_by
from tests.worlds.images import image
from tests.worlds.memory import NOON
from tests.worlds.registry import Said, Seen

REPORT = "/admin/v1/report/would-block"


async def test_what_enforcing_would_block_is_reported_from_that_moment_on_to_whom_it_concerns() -> None:
    async with admin() as a:
        w, rules = a.world, signed_by("release")
        w.rules.set(Policy(("**",), pull=type(rules)(mode="warn", require=rules.require)))
        for name in ("team/app", "secret"):
            w.put_behind(image(name), name, "v1")
            assert (await w.pull(name, "v1")).status == 200
        since = quote((NOON - timedelta(hours=1)).isoformat())
        shown = (await a.call("GET", f"{REPORT}?since={since}", socket=True)).value
        assert shown["since"] == "2026-01-02T11:00:00Z"
        assert {(i["repository"], i["reference"], i["pulls"]) for i in shown["images"]} == {
            ("team/app", "v1", 1), ("secret", "v1", 1),
        }  # fmt: skip
        assert {i["why"] for i in shown["images"]} == {"unsigned: no signature was found"}
        token = await a.token(Role.AUDITOR, only=("team/**",))
        mine = (await a.call("GET", REPORT, token=token)).value
        assert [image["repository"] for image in mine["images"]] == ["team/app"]
        w.store.clock.advance(8 * 86400)
        assert (await a.call("GET", REPORT, socket=True)).value["images"] == [], "of 7 days, unless it is said"


async def warned_of(a: Admin, *names: str) -> None:
    """Only warnings let these images through."""
    rules = signed_by("release")
    a.world.rules.set(Policy(("**",), SIGN.push, type(rules)(mode="warn", require=rules.require)))
    for name in names:
        a.world.put_behind(image(name), name, "v1")
        assert (await a.world.pull(name, "v1")).status == 200


async def report(a: Admin) -> Any:
    return (await a.call("GET", REPORT, socket=True)).value


async def test_what_was_signed_since_stays_in_the_report() -> None:
    async with admin() as a:
        await warned_of(a, "team/one", "team/two", "team/three")
        before = await report(a)
        assert [(i["pulled_by"], i["callers"], i["judged"]) for i in before["images"]] == [(["anonymous"], 1, True)] * 3
        assert (
            await a.call("POST", "/admin/v1/sign", {"ref": "team/one:v1", "reason": "r"}, socket=True)
        ).status == 200
        a.world.registry.shelf("team/two").tags.clear()
        shown = await report(a)
        assert [i["repository"] for i in shown["images"]] == ["team/three"]
        assert (shown["pass_now"], shown["gone"], shown["not_judged"]) == (1, 1, 0)


async def test_what_cannot_be_judged_counts_as_fine(monkeypatch: pytest.MonkeyPatch) -> None:
    """It stays in the list and says why: upstream is silent or refuses us, the time or the number is used up."""
    async with admin() as a:
        await warned_of(a, "team/one", "team/two")

        def asleep(_: Seen) -> Said:
            raise Unavailable("asleep")

        a.world.registry.hooks.append(asleep)
        assert {(i["judged"], i["why"]) for i in (await report(a))["images"]} == {(False, "asleep")}
        a.world.registry.hooks[:] = [lambda _: Said(401, ())]
        (why,) = {i["why"] for i in (await report(a))["images"]}
        assert why == "the registry answered 401 to our own account"
        a.world.registry.hooks.clear()
        monkeypatch.setattr(journal_operations, "_JUDGED", 1)
        shown = await report(a)
        assert [i["judged"] for i in shown["images"]] == [True, False]
        assert (shown["not_judged"], shown["images"][1]["why"]) == (
            1,
            "only the 1 images that are pulled most are judged",
        )
        monkeypatch.setattr(journal_operations, "_SECONDS", -1.0)
        assert {i["why"] for i in (await report(a))["images"]} >= {"not judged within -1 s"}


async def test_a_report_in_mode_off_or_under_an_exception_is_what_enforce_would_do() -> None:
    async with admin() as a:
        await warned_of(a, "team/one")
        rules = signed_by("release")
        a.world.rules.set(Policy(("**",), pull=type(rules)(mode="off", require=rules.require)))
        assert [i["why"] for i in (await report(a))["images"]] == ["unsigned: no signature was found"]


def test_the_report_for_people_has_all_that_is_left_out_or_not_known() -> None:
    shown = would_block.command.lines
    assert shown is not None
    image = {
        "pulls": 7, "last": "2026-11-30T12:00:00Z", "repository": "team/app", "reference": "1", "callers": 7,
        "pulled_by": ["ann", "bob"], "judged": False, "why": "asleep",
    }  # fmt: skip
    answer = {"since": "2026-11-23T12:00:00Z", "images": [image], "pass_now": 3, "gone": 1, "not_judged": 1}
    assert shown(answer) == [
        "enforcing would block nothing that was pulled since 2026-11-23 12:00 and could be judged",
        "left out: 3 that pass now, 1 that the registry does not have any more",
        "NOT JUDGED, so they may be blocked too: 1",
        ("PULLS", "LAST", "IMAGE", "PULLED BY", "WHY"),
        ("7", "2026-11-30 12:00", "team/app:1", "ann, bob, 5 more", "NOT JUDGED: asleep"),
    ]
