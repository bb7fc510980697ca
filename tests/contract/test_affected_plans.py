"""Plans of dangerous changes say how many images they affect, who pulled them lately, and some of their names."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from proxy.admin.affected import lines
from proxy.cli.admin import Endpoint
from proxy.cli.exits import Exit, OutputFormat
from proxy.cli.operations import carry_out
from proxy.journal.impact import AffectedImages, SignedBy, Within
from proxy.keys.operations import retire_key
from proxy.oci.faults import Unavailable
from proxy.trust.policy import Clause, Policy, PullRules, PushRules
from proxy.trust.roles import Role
from tests.contract.test_tokens_commands import away, served
from tests.worlds.admin import Admin, admin
from tests.worlds.conversation import SIGN
from tests.worlds.images import image

WHY = {"reason": "incident 7"}
APP, DB, NEW = image("app"), image("db"), image("new")


async def plan(a: Admin, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    reply = await a.call("POST", f"/admin/v1/{path}?dry_run=true", WHY | (body or {}), socket=True)
    assert reply.status == 200, reply.value
    told: dict[str, Any] = reply.value
    return told


async def used(a: Admin) -> str:
    """Two images of a key that was replaced, one of them pulled, and one of the new key; return the old key."""
    await a.world.push(APP, "team/app", "1")
    await a.world.push(DB, "team/db", "1")
    for _ in range(3):
        assert (await a.world.pull("team/app", "1")).status == 200
    old = a.active()
    reply = await a.call("POST", "/admin/v1/keys/release/rotate", WHY, socket=True)
    assert reply.status == 200
    await a.world.push(NEW, "team/new", "1")
    return old


@pytest.mark.parametrize("verb", ["retire", "compromise"])
async def test_a_plan_did_not_say_how_many_images_it_would_block(verb: str) -> None:
    async with admin() as a:
        old = await used(a)
        affects = (await plan(a, f"keys/{old}/{verb}"))["affects"]
        assert (affects["images"], affects["repositories"], affects["pulled"], affects["days"]) == (2, 2, 1, 30)
        assert affects["by"] == ["anonymous"]
        assert [(each["repository"], each["digest"], each["tags"], each["pulls"]) for each in affects["named"]] == [
            ("team/app", APP.digest, ["1"], 3),
            ("team/db", DB.digest, ["1"], 0),
        ]
        said = "\n".join(lines(affects))
        assert f"affects   2 images in 2 repositories: only key {old[:12]} of release has signed them" in said
        assert "pulled    1 in the last 30 days, by anonymous" in said
        assert "images    team/app:1 (3 pulls), team/db:1 (0 pulls)" in said
        assert "unknown   images that were signed elsewhere, and pulls that did not come through this proxy" in said


async def test_an_image_that_another_key_has_signed_too_is_not_counted() -> None:
    async with admin() as a:
        old = await used(a)
        await a.world.push(APP, "team/app", "1")
        affects = (await plan(a, f"keys/{old}/retire"))["affects"]
        assert [each["repository"] for each in affects["named"]] == ["team/db"]
        new = a.active()
        await a.call("POST", f"/admin/v1/keys/{old}/retire", WHY, socket=True)
        affects = (await plan(a, f"keys/{new}/compromise"))["affects"]
        assert affects["images"] == 2, "the retired key saves no image"


async def test_a_key_of_another_profile_saves_an_image_only_where_every_policy_takes_it_instead() -> None:
    both = PushRules(sign_with=("release", "other"))
    async with admin() as a:
        other = a.world.signer.create("other")
        await a.world.store.keybook.add(other)
        each_of = (Clause(("release",)), Clause(("other",)))
        a.world.rules.set(Policy(("**",), both, PullRules(require=each_of)))
        await a.world.push(APP, "team/app", "1")
        assert (await plan(a, f"keys/{a.active()}/compromise"))["affects"]["images"] == 1
        a.world.rules.set(Policy(("**",), both, PullRules(require=(Clause(("release", "other")),))))
        assert (await plan(a, f"keys/{a.active()}/compromise"))["affects"]["images"] == 0
        a.world.rules.set(Policy(("**",), both, PullRules(require=(Clause(("release", "other"), 2),))))
        assert (await plan(a, f"keys/{a.active()}/compromise"))["affects"]["images"] == 1


async def test_what_our_ledger_dates_before_the_compromise_is_not_counted_where_all_policies_trust_it() -> None:
    since = {"since": "2026-01-02T11:00:00Z"}
    early = {"since": "2026-01-02T12:00:00Z"}
    async with admin() as a:
        await a.world.push(APP, "team/app", "1")
        a.world.store.clock.advance(3600)
        trusting = replace(SIGN, pull=replace(SIGN.pull, trust_ledger=True))
        a.world.rules.set(trusting)
        assert (await plan(a, f"keys/{a.active()}/compromise", since))["affects"]["images"] == 1
        affects = (await plan(a, f"keys/{a.active()}/compromise", early))["affects"]
        assert affects["images"] == 1, "made at that very moment"
        late = {"since": "2026-01-02T12:30:00Z"}
        affects = (await plan(a, f"keys/{a.active()}/compromise", late))["affects"]
        assert affects["images"] == 0
        assert affects["what"].endswith("has signed them, and not before 2026-01-02 12:30 UTC")
        a.world.rules.set(trusting, replace(SIGN, repositories=("other/**",)))
        affects = (await plan(a, f"keys/{a.active()}/compromise", late))["affects"]
        assert affects["images"] == 1
        assert "where the policy sets trust_ledger, fewer are blocked" in affects["what"]


async def test_rotating_without_overlap_did_not_say_that_verifiers_elsewhere_need_the_key_first() -> None:
    async with admin() as a:
        await used(a)
        planned = await plan(a, "keys/release/rotate")
        assert "verifiers elsewhere that know only key" in planned["plan"][-1]
        assert "countersign keys prepare release" in planned["plan"][-1]
        assert "countersign trust export release/keys.pem" in planned["plan"][-1]
        assert planned["affects"]["images"] == 1
        assert "need the new key" in planned["affects"]["what"]
        for overlap in ("publish-first:14d", "dual-sign:14d"):
            planned = await plan(a, "keys/release/rotate", {"overlap": overlap})
            assert planned["affects"] is None
            assert not any("verifiers elsewhere" in step for step in planned["plan"])


async def test_giving_up_a_lost_key_says_whom_it_concerns() -> None:
    async with admin() as a:
        await a.world.push(APP, "team/app", "1")
        key = a.active()
        planned = await plan(a, f"keys/{key}/lost")
        assert "who verify them elsewhere need the new key" in planned["affects"]["what"]
        assert "countersign trust export release/keys.pem" in " ".join(planned["plan"])
        planned = await plan(a, f"keys/{key}/lost", {"compromised": True})
        assert planned["affects"]["what"].startswith("only key")


async def test_destroying_a_key_says_what_stays_blocked() -> None:
    async with admin() as a:
        old = await used(a)
        await a.call("POST", f"/admin/v1/keys/{old}/retire", WHY, socket=True)
        affects = (await plan(a, f"keys/{old}/destroy"))["affects"]
        assert (affects["images"], affects["what"].partition("; ")[2]) == (2, "they are blocked already, and stay so")


async def test_denying_everything_had_the_same_plan_as_denying_one_image() -> None:
    async with admin() as a:
        await used(a)
        for target, images, pulled in (("**", 3, 1), ("team/app", 1, 1), ("other/**", 0, 0), (APP.digest, 1, 1)):
            affects = (await plan(a, "denials", {"target": target}))["affects"]
            assert (affects["images"], affects["pulled"]) == (images, pulled), target


async def test_an_exception_for_everything_had_the_same_plan_as_one_for_an_image() -> None:
    async with admin() as a:
        for name, of in (("team/app", APP), ("team/db", DB)):
            a.world.put_behind(of, name, "1")
            assert await a.world.blocked(name, "1") == "unsigned"
        asked = {"repository": "team/**", "seconds": 3600}
        affects = (await plan(a, "exceptions", asked))["affects"]
        assert (affects["images"], affects["repositories"], affects["by"]) == (2, 2, ["anonymous"])
        assert "tried     2 in the last 30 days, by anonymous" in lines(affects)[1]
        affects = (await plan(a, "exceptions", {**asked, "digest": APP.digest}))["affects"]
        assert [each["repository"] for each in affects["named"]] == ["team/app"]


async def test_signing_again_had_no_list_and_did_not_name_the_compromised_key() -> None:
    async with admin() as a:
        old = await used(a)
        assert (await plan(a, "keys/release/resign"))["affects"]["images"] == 2
        await a.call("POST", f"/admin/v1/keys/{old}/compromise", WHY, socket=True)
        planned = await plan(a, "keys/release/resign")
        assert planned["affects"]["named"][0]["repository"] == "team/app"
        assert f"trace them first (countersign keys images {old[:12]} --only)" in " ".join(planned["plan"])


async def test_which_images_a_key_signed_had_no_answer() -> None:
    async with admin() as a:
        old = await used(a)
        await a.world.push(APP, "team/app", "1")
        reply = await a.call("GET", f"/admin/v1/keys/{old}/images", socket=True)
        assert [(row["repository"], row["tags"], row["only"]) for row in reply.value["items"]] == [
            ("team/app", ["1"], False),
            ("team/db", ["1"], True),
        ]
        reply = await a.call("GET", f"/admin/v1/keys/{old}/images?only=true&limit=1", socket=True)
        assert [row["repository"] for row in reply.value["items"]] == ["team/db"]
        assert reply.value["next"] is None
        reply = await a.call("GET", f"/admin/v1/keys/{old}/images?repository=team/app", socket=True)
        assert len(reply.value["items"]) == 1
        reply = await a.call("GET", f"/admin/v1/keys/{old}/images?limit=1", socket=True)
        after = reply.value["next"]
        rest = await a.call("GET", f"/admin/v1/keys/{old}/images?limit=1&cursor={after}", socket=True)
        both = [row["repository"] for page in (reply, rest) for row in page.value["items"]]
        assert (both, rest.value["next"]) == (["team/app", "team/db"], None)


async def silent(by: SignedBy | Within, since: datetime) -> AffectedImages:
    raise Unavailable("store: no answer within 10 s")


async def test_a_store_that_cannot_answer_is_not_a_change_that_affects_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with served(tmp_path) as (a, _, socket):
        old = await used(a)
        monkeypatch.setattr(a.world.store.journal, "affected", silent)
        affects = (await plan(a, f"keys/{old}/retire"))["affects"]
        assert (affects["images"], affects["not_counted"]) == (None, "store: no answer within 10 s")
        typed = {"fingerprint": old, **WHY, "dry_run": True, "yes": False, "output": OutputFormat.TEXT}
        assert await away(lambda: carry_out(retire_key, Endpoint(socket=socket), typed)) is Exit.FINE
        printed = capsys.readouterr().out
        assert "NOT KNOWN the images it affects could not be counted (store: no answer within 10 s)" in printed


async def test_a_second_person_sees_what_it_affects_now() -> None:
    async with admin(dual=True) as a:
        await a.world.push(APP, "team/app", "1")
        first, second = [await a.token(Role.KEY_ADMIN, name=name) for name in ("erika", "max")]
        held = await a.call("POST", f"/admin/v1/keys/{a.active()}/compromise", {**WHY, "rotate": True}, token=first)
        assert held.status == 202, held.value
        await a.world.push(DB, "team/db", "1")
        path = f"/admin/v1/approvals/{held.value['approval']['id']}/approve?dry_run=true"
        planned = await a.call("POST", path, WHY, token=second)
        assert planned.status == 200, "the plan is the same, whatever was pushed meanwhile"
        assert planned.value["affects"]["images"] == 2


async def test_a_compromised_key_was_said_to_sign_on() -> None:
    async with admin() as a:
        wish = {**WHY, "overlap": "dual-sign:14d", "retire_after": "30d"}
        old = (await a.call("POST", "/admin/v1/keys/release/rotate", wish, socket=True)).value["old"]
        assert old["signs_until"]
        bad = await a.call("POST", f"/admin/v1/keys/{old['fingerprint']}/compromise", WHY, socket=True)
        assert (bad.value["state"], bad.value["signs_until"], bad.value["retire_after"]) == ("compromised", None, None)


async def test_no_token_that_is_not_configured_any_more_is_said_to_stand_by() -> None:
    async with admin() as a:
        spare = replace(a.world.signer.create("release"), token="spare")
        await a.world.store.keybook.add(spare)
        (first, *_) = (await plan(a, f"keys/{a.active()}/compromise"))["plan"]
        assert "spare" not in first
        assert "refuse the pushes that need it" in first
        a.world.signer.tokens = ("soft", "spare")
        (first, *_) = (await plan(a, f"keys/{a.active()}/compromise"))["plan"]
        assert "with the key of token spare, a standby" in first
