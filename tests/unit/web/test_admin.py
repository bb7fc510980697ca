"""The admin listener beyond its statuses, which test_metrics.py has: what it tells, and how."""

from __future__ import annotations

from proxy.oci.limits import Limits
from proxy.web.app import admin_app
from proxy.web.outermost import Edge
from tests.worlds.listener import body_of, head_of, in_memory


async def test_a_probe_may_ask_for_the_head_alone_and_nothing_is_kept() -> None:
    async with in_memory(admin_app(lambda: b"metric 1\n", lambda: None), Edge(Limits())) as admin:
        whole = await admin.get("/readyz?verbose")
        bare = await admin.get("/readyz", method="HEAD")
        scrape = await admin.get("/metrics")
    assert body_of(whole) == b"ready\n"
    assert body_of(bare) == b""
    assert head_of(bare)[1]["content-length"] == str(len(b"ready\n"))
    assert head_of(whole)[1]["cache-control"] == head_of(scrape)[1]["cache-control"] == "no-store"
    assert head_of(scrape)[1]["content-type"].startswith("text/plain; version=0.0.4")


async def test_who_asks_for_something_else_is_told_what_there_is() -> None:
    async with in_memory(admin_app(bytes, lambda: None), Edge(Limits())) as admin:
        elsewhere = await admin.get("/v2/")
        posted = await admin.get("/livez", method="POST")
    assert b"/livez, /readyz, /metrics" in body_of(elsewhere)
    assert head_of(posted)[1]["allow"] == "GET, HEAD"
