"""The backlog: listed first, then signed; asked of a whole proxy in memory."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.backlog import look as looking
from proxy.backlog.look import LOOK, look
from proxy.backlog.sign_listed import SIGN_LISTED, sign_listed
from proxy.jobs.run import run_next
from proxy.oci.faults import Unavailable
from proxy.oci.operation import ListRepositories, ListTags, PullManifest
from proxy.oci.reference import is_digest
from proxy.trust.policy import Policy
from proxy.trust.roles import Role
from tests.worlds.admin import Admin, admin
from tests.worlds.conversation import SIGN, signed_by
from tests.worlds.images import image, index
from tests.worlds.registry import Said, Seen

LISTS = "/admin/v1/sign/lists"
WHY = {"reason": "the backlog"}


async def run(a: Admin) -> None:
    """Every job that is due has run."""
    w = a.world
    works = {
        LOOK: lambda job, step: look(job, step, w.ports, w.store.journal.pulled),
        SIGN_LISTED: lambda job, step: sign_listed(job, step, w.ports),
    }
    while await run_next(works, w.store.jobs, w.store.journal, w.store.clock):
        pass


async def ended(a: Admin, job_id: str, token: str = "") -> Any:
    await run(a)
    reply = await a.call("GET", f"/admin/v1/jobs/{job_id}", token=token, socket=not token)
    assert reply.status == 200, reply.value
    return reply.value


async def listed(a: Admin, token: str = "", **selected: object) -> tuple[str, Any, list[Any]]:
    """The id of the list, its counts, and its images."""
    made = await a.call("POST", LISTS, {**WHY, **selected}, token=token, socket=not token)
    assert made.status == 202, made.value
    job = await ended(a, made.value["id"], token)
    assert job["state"] == "done", job
    shown = await a.call("GET", f"{LISTS}/{job['id']}", token=token, socket=not token)
    assert shown.status == 200, shown.value
    return job["id"], job["result"], shown.value["items"]


async def signed(a: Admin, list_id: str, token: str = "") -> Any:
    made = await a.call("POST", f"{LISTS}/{list_id}", WHY, token=token, socket=not token)
    assert made.status == 202, made.value
    job = await ended(a, made.value["id"], token)
    assert job["state"] == "done", job
    return job["result"]


def names(images: list[Any]) -> list[str]:
    return sorted(f"{each['repository']}:{each['reference']}" for each in images)


async def test_a_pattern_of_repositories_could_not_be_signed() -> None:
    """The list has all their tags and leaves out what is signed, denied, or a signature; then it is signed."""
    async with admin() as a:
        w = a.world
        for name in ("team/one", "team/two", "team/two/deep", "other"):
            w.put_behind(image(name), name, "v1")
        w.put_behind(index(image("x"), image("y")), "team/two", "v2")
        await w.push(image("pushed"), "team/pushed", "v1")
        assert any(tag.endswith(".sig") for tag in w.registry.shelf("team/pushed").tags)
        denial = {**WHY, "target": image("team/one").digest}
        assert (await a.call("POST", "/admin/v1/denials", denial, socket=True)).status == 201
        key, result, images = await listed(a, images="team/**")
        assert names(images) == ["team/two/deep:v1", "team/two:v1", "team/two:v2"]
        assert result["counts"] == {"to sign": 3, "signed already": 1, "denied": 1}
        (why,) = result["not signed"]
        assert why.startswith("team/one:v1: denied: an operator denied it")
        assert {each["pushed"] for each in images} == {""}
        assert (await signed(a, key)).items() >= {"signed": 3, "already": 0, "failed": 0}.items()
        assert (await w.pull("team/two", "v2")).status == 200
        assert await w.blocked("other", "v1") == "unsigned"
        _, result, images = await listed(a, images="team/**")
        assert (images, result["counts"]) == ([], {"signed already": 4, "denied": 1})
        rows = [e.claims for e in w.store.ledger.rows.values() if e.key.repository == "team/two"]
        assert {(c["signed-later-by"], c["reason"]) for c in rows} == {("operator on the host (socket)", "the backlog")}


async def test_the_tags_of_one_repository() -> None:
    async with admin() as a:
        for tag in ("v1", "v2", "old"):
            a.world.put_behind(image(tag), "team/app", tag)
        a.world.registry.fail(ListRepositories, 401, times=9)
        _, _, images = await listed(a, images="proxy.example/team/app:v*")
        assert names(images) == ["team/app:v1", "team/app:v2"], "without the catalogue"


async def test_a_file_of_names() -> None:
    async with admin() as a:
        a.world.put_behind(image(), "team/app", "v1")
        digest = a.world.put_behind(image("two"), "team/app")
        text = f"# names\nteam/app:v1\nteam/app@{digest}\nteam/app:gone\n"
        key, result, images = await listed(a, names=text)
        assert names(images) == [f"team/app:{digest}", "team/app:v1"]
        assert result["not signed"] == ["team/app:gone: not in the registry: the registry answered 404"]
        assert (await signed(a, key))["signed"] == 2
        refused = await a.call("POST", LISTS, {**WHY, "names": "team/app:1\nno name\n"}, socket=True)
        assert (refused.status, "line 2: " in refused.value["detail"]) == (400, True)


async def test_everything_that_was_pulled_and_is_not_signed() -> None:
    """With who pulled it; not what nobody pulled, and nothing under a tag that means another image by now."""
    async with admin() as a:
        w, rules = a.world, signed_by("release")
        w.rules.set(Policy(("**",), SIGN.push, type(rules)(mode="warn", require=rules.require)))
        for name in ("team/pulled", "team/moved", "team/never"):
            w.put_behind(image(name), name, "v1")
        await w.push(image("pushed"), "team/pushed", "v1")
        for name in ("team/pulled", "team/moved", "team/pushed"):
            assert (await w.pull(name, "v1")).status == 200
        w.put_behind(image("another"), "team/moved", "v1")
        since = w.store.clock.now().isoformat()
        key, result, images = await listed(a, pulled_since=since)
        assert names(images) == ["team/pulled:v1"]
        assert (images[0]["pulled_by"], images[0]["callers"]) == (["anonymous"], 1)
        assert result["counts"] == {"to sign": 1, "signed already": 1, "tag moved since it was pulled": 1}
        assert (await signed(a, key))["signed"] == 1
        await w.ports.cache.settle()
        assert (await listed(a, pulled_since=since))[2] == []


async def test_what_moved_or_went_or_was_denied_after_the_list_was_shown_is_signed() -> None:
    async with admin() as a:
        w = a.world
        for name in ("a/moved", "a/gone", "a/denied", "a/stays"):
            w.put_behind(image(name), name, "v1")
        key, _, images = await listed(a, images="a/*")
        assert len(images) == 4
        w.put_behind(image("another"), "a/moved", "v1")
        w.registry.shelf("a/gone").tags.clear()
        denial = {**WHY, "target": image("a/denied").digest}
        assert (await a.call("POST", "/admin/v1/denials", denial, socket=True)).status == 201
        done = await signed(a, key)
        assert {name: done[name] for name in ("signed", "moved", "gone", "failed")} == {
            "signed": 1, "moved": 1, "gone": 1, "failed": 1,
        }  # fmt: skip
        assert {e.key.repository for e in w.store.ledger.rows.values()} == {"a/stays"}


async def test_what_could_not_be_looked_at_is_missing_from_the_counts() -> None:
    async with admin() as a:
        w = a.world
        for name in ("a/asleep", "a/tags", "a/fine"):
            w.put_behind(image(name), name, "v1")

        def away(seen: Seen) -> Said | None:
            op = seen.operation
            if isinstance(op, PullManifest) and op.repository == "a/asleep":
                raise Unavailable("asleep")
            return Said(500, ()) if isinstance(op, ListTags) and op.repository == "a/tags" else None

        w.registry.hooks.append(away)
        _, result, images = await listed(a, images="a/*")
        assert names(images) == ["a/fine:v1"]
        assert result["counts"] == {"to sign": 1, "could not look": 2}
        assert "a/asleep:v1: could not look: asleep" in result["not signed"]
        w.registry.hooks.clear()
        w.registry.fail(ListRepositories, 403)
        made = await a.call("POST", LISTS, {**WHY, "images": "**"}, socket=True)
        job = await ended(a, made.value["id"])
        assert (job["state"], "does not list its repositories to our account" in job["note"]) == ("failed", True)


async def test_an_outage_ends_the_signing_half_way() -> None:
    """The job waits and goes on from where it was; an image that can never be signed does not hold up the rest."""
    async with admin() as a:
        w = a.world
        for number in range(6):
            w.put_behind(image(str(number)), "a/app", f"v{number}")
        key, _, images = await listed(a, images="a/*")
        assert len(images) == 6

        def asleep(seen: Seen) -> Said | None:
            if isinstance(seen.operation, PullManifest) and not is_digest(seen.operation.reference):
                raise Unavailable("asleep")
            return None

        w.registry.hooks.append(asleep)
        made = await a.call("POST", f"{LISTS}/{key}", WHY, socket=True)
        waits = await ended(a, made.value["id"])
        assert (waits["state"], waits["note"]) == ("queued", "asleep")
        w.registry.hooks.clear()
        w.store.clock.advance(60)
        over = await ended(a, made.value["id"])
        assert (over["state"], over["result"]["signed"], over["result"]["failed"]) == ("done", 6, 0)


async def test_a_token_for_some_repositories_signs_others() -> None:
    """It lists and signs its own, sees its own jobs and lists, and none of those of others."""
    async with admin() as a:
        for name in ("team/app", "secret"):
            a.world.put_behind(image(name), name, "v1")
        token = await a.token(Role.OPERATOR, only=("team/**",), name="mine")
        key, result, images = await listed(a, token, images="**")
        assert names(images) == ["team/app:v1"]
        assert result["counts"] == {"to sign": 1}
        _, named, _ = await listed(a, token, names="team/app:v1\nsecret:v1")
        assert named["counts"] == {"to sign": 1, "not for this token": 1}
        assert (await signed(a, key, token))["signed"] == 1
        assert {e.key.repository for e in a.world.store.ledger.rows.values()} == {"team/app"}
        everything, _, _ = await listed(a, images="**")
        other = await a.token(Role.OPERATOR, only=("team/**",), name="other")
        for theirs in (everything, key):
            job = f"/admin/v1/jobs/{theirs}"
            for path in (f"{LISTS}/{theirs}", f"{job}/cancel"):
                assert (await a.call("POST", path, WHY, token=other)).status == 403
            for path in (f"{LISTS}/{theirs}", job):
                assert (await a.call("GET", path, token=other)).status == 403


async def test_a_list_ends_somewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looking, "LISTED", 2)
    async with admin() as a:
        for number in range(9):
            a.world.put_behind(image(str(number)), "a/app", f"v{number}")
        key, result, images = await listed(a, images="a/*")
        assert (len(images), result["more"]) == (2, True)
        assert (await signed(a, key))["signed"] == 2


@pytest.mark.parametrize("body", [{}, {"images": "**", "names": "a:1"}])
async def test_a_selection_is_one_of_three(body: dict[str, str]) -> None:
    async with admin() as a:
        refused = await a.call("POST", LISTS, {**WHY, **body}, socket=True)
        assert refused.status == 400
        assert "one of: images, names, pulled_since" in refused.value["detail"]


async def test_a_list_that_is_not_made_is_signed() -> None:
    async with admin() as a:
        assert (await a.call("POST", f"{LISTS}/{'a' * 16}", WHY, socket=True)).status == 404
        made = await a.call("POST", LISTS, {**WHY, "images": "**"}, socket=True)
        refused = await a.call("POST", f"{LISTS}/{made.value['id']}", WHY, socket=True)
        assert (refused.status, "is queued" in refused.value["detail"]) == (409, True)
