"""What enforcing would block, asked of a whole proxy in memory; the rows of the journal are in tests/unit/admin."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import quote

from proxy.trust.policy import Policy
from proxy.trust.roles import Role
from tests.worlds.admin import admin
from tests.worlds.conversation import signed_by
from tests.worlds.images import image
from tests.worlds.memory import NOON

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
        token = await a.token(Role.AUDITOR, only=("team/**",))
        mine = (await a.call("GET", REPORT, token=token)).value
        assert [image["repository"] for image in mine["images"]] == ["team/app"]
        w.store.clock.advance(8 * 86400)
        assert (await a.call("GET", REPORT, socket=True)).value["images"] == [], "of 7 days, unless it is said"
