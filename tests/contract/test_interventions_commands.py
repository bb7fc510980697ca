"""`countersign deny` and `countersign exceptions` against the real API: who may, what is asked first, what is said."""

import json
from pathlib import Path
from typing import Any

import pytest

from proxy.cli.admin import Endpoint, call, pages
from proxy.cli.agreed import Confirmation
from proxy.cli.exits import Exit, OutputFormat
from proxy.cli.operations import carry_out
from proxy.journal.event import EventKind
from proxy.journal.problem import Problem, ProblemId
from proxy.oci.faults import Fault
from proxy.overrides.denial_operations import add_denial, list_denials, remove_denial
from proxy.overrides.exception_operations import (
    close_exception,
    list_exceptions,
    open_exception,
    review_exception,
)
from proxy.trust.roles import Role
from tests.contract.test_tokens_commands import away, served
from tests.worlds.admin import admin
from tests.worlds.images import image
from tests.worlds.orders import denial, exception

APP = image("app")
YES = Confirmation(yes=True)


def given(confirmation: Confirmation) -> dict[str, object]:
    return {"dry_run": confirmation.dry_run, "yes": confirmation.yes, "output": confirmation.form}


def add(place: Endpoint, target: str, reason: str, confirmation: Confirmation) -> Exit:
    return carry_out(add_denial, place, {"target": target, "reason": reason, "until": None, **given(confirmation)})


def remove(place: Endpoint, denied: str, reason: str, confirmation: Confirmation) -> Exit:
    return carry_out(remove_denial, place, {"id": denied, "reason": reason, **given(confirmation)})


def show(place: Endpoint, form: OutputFormat) -> Exit:
    return carry_out(list_denials, place, {"output": form})


def open_one(place: Endpoint, wish: dict[str, Any], confirmation: Confirmation) -> Exit:
    typed = {**wish, "digest": wish["digest"], "seconds": f"{wish['seconds']}s"}
    return carry_out(open_exception, place, {"allow_unsigned_push": False, **typed, **given(confirmation)})


def change(place: Endpoint, verb: str, exception_id: str, reason: str, form: OutputFormat) -> Exit:
    by = {"close": close_exception, "review": review_exception}[verb]
    return carry_out(by, place, {"id": exception_id, "reason": reason, "output": form})


WISH: dict[str, Any] = {"repository": "team/app", "digest": None, "reason": "incident 7", "seconds": 7200}


async def test_an_operator_denies_what_is_signed_and_takes_it_back(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with served(tmp_path) as (a, url, _):
        await a.world.push(APP, "team/app", "1")
        place = Endpoint(server=url, token=await a.token(Role.OPERATOR, name="ann"))
        dry = Confirmation(dry_run=True)
        assert await away(lambda: add(place, APP.digest, "CVE", dry)) is Exit.FINE
        assert "regardless of signatures, modes and open exceptions" in capsys.readouterr().out
        assert (await a.world.pull("team/app", "1")).status == 200
        assert await away(lambda: add(place, APP.digest, "CVE", YES)) is Exit.FINE
        assert f"{APP.digest} is denied" in capsys.readouterr().out
        assert await a.world.blocked("team/app", "1") == "denied_digest"
        await away(lambda: show(place, OutputFormat.TEXT))
        listed = capsys.readouterr().out
        assert "in force" in listed
        assert "ann" in listed
        (denial,) = a.world.store.overrides.orders().denials
        await away(lambda: remove(place, denial.id, "wrong one", dry))
        assert "it was denied by ann: CVE" in capsys.readouterr().out
        with pytest.raises(Fault, match="'team/app' is not denied; list the denials with: countersign deny list"):
            await away(lambda: remove(place, "team/app", "wrong one", YES))
        await away(lambda: remove(place, denial.id, "wrong one", YES))
        assert (await a.world.pull("team/app", "1")).status == 200
        kinds = [k for k in a.world.store.journal.kinds() if k.value.startswith(("admin", "denial"))]
        assert kinds[-2:] == [EventKind.ADMIN_CALLED, EventKind.DENIAL_REMOVED]
        await away(lambda: show(place, OutputFormat.TEXT))
        assert "nothing is denied" in capsys.readouterr().out
        await away(lambda: add(place, "team/app", "CVE", YES))
        await away(lambda: remove(place, "team/app", "by its name", YES))
        assert "team/app is no longer denied" in capsys.readouterr().out
        assert (await a.world.pull("team/app", "1")).status == 200


@pytest.mark.parametrize("target", ["UPPER/case", "sha256:short", "a//b"])
async def test_what_is_no_target_is_refused_before_it_is_agreed_to(tmp_path: Path, target: str) -> None:
    async with served(tmp_path) as (_, _, socket):
        for manner in (Confirmation(dry_run=True), YES):
            with pytest.raises(Fault):
                await away(lambda m=manner: add(Endpoint(socket=socket), target, "r", m))  # type: ignore[misc]


async def test_an_exception_is_opened_closed_and_reviewed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with served(tmp_path) as (a, url, socket):
        a.world.put_behind(APP, "team/app", "1")
        place, local = Endpoint(server=url, token=await a.token(Role.OPERATOR, name="ann")), Endpoint(socket=socket)
        assert await away(lambda: carry_out(list_exceptions, place, {"output": OutputFormat.TEXT})) is Exit.FINE
        await away(lambda: open_one(place, WISH, Confirmation(dry_run=True)))
        assert "allow pulls of everything in team/app for 2 h although policy blocks them" in capsys.readouterr().out
        assert await a.world.blocked("team/app", "1") == "unsigned"
        await away(lambda: open_one(place, WISH, YES))
        assert "exception" in capsys.readouterr().out
        assert (await a.world.pull("team/app", "1")).status == 200
        (made,) = a.world.store.overrides.orders().exceptions
        assert await away(lambda: carry_out(list_exceptions, place, {"output": OutputFormat.TEXT})) is Exit.NO
        assert "OPEN" in capsys.readouterr().out
        await away(lambda: change(place, "close", made.id, "fixed", OutputFormat.TEXT))
        assert "is over, NOT REVIEWED" in capsys.readouterr().out
        assert await a.world.blocked("team/app", "1") == "unsigned"
        with pytest.raises(Fault, match="needs one of: auditor, policy-admin"):
            await away(lambda: change(place, "review", made.id, "fine", OutputFormat.TEXT))
        await away(lambda: change(local, "review", made.id, "image was rebuilt", OutputFormat.TEXT))
        assert "reviewed by operator on the host: image was rebuilt" in capsys.readouterr().out
        assert await away(lambda: carry_out(list_exceptions, place, {"output": OutputFormat.JSON})) is Exit.FINE
        assert json.loads(capsys.readouterr().out)["exceptions"][0]["review"] == "image was rebuilt"


async def test_an_operator_opens_narrow_ones_for_hours_and_a_policy_admin_wide_ones_for_days(tmp_path: Path) -> None:
    async with served(tmp_path) as (a, url, _):
        operator = Endpoint(server=url, token=await a.token(Role.OPERATOR))
        admin = Endpoint(server=url, token=await a.token(Role.POLICY_ADMIN))
        viewer = Endpoint(server=url, token=await a.token(Role.VIEWER, Role.AUDITOR, Role.KEY_ADMIN))
        hours, days, more = ({**WISH, "seconds": n * 3600} for n in (4, 168, 169))
        await away(lambda: open_one(operator, hours, YES))
        for wrong in (days, {**WISH, "repository": "team/**"}):
            with pytest.raises(Fault):
                await away(lambda w=wrong: open_one(operator, w, YES))  # type: ignore[misc]
        await away(lambda: open_one(admin, {**days, "repository": "team/**"}, YES))
        with pytest.raises(Fault, match="open it for less"):
            await away(lambda: open_one(admin, more, YES))
        with pytest.raises(Fault, match="needs one of: operator, policy-admin"):
            await away(lambda: open_one(viewer, WISH, YES))
        with pytest.raises(Fault, match="needs one of: operator, policy-admin"):
            await away(lambda: add(viewer, "team/app", "r", YES))
        shown = await away(lambda: call(viewer, "GET", "exceptions"))
        assert len(shown["items"]) == 2


async def test_a_second_person_is_never_waited_for() -> None:
    async with admin(dual=True) as a:
        a.world.put_behind(APP, "team/app", "1")
        token = await a.token(Role.OPERATOR)
        opened = await a.call("POST", "/admin/v1/exceptions", WISH, token=token)
        assert opened.status == 201
        assert (await a.world.pull("team/app", "1")).status == 200
        wish = {"target": APP.digest, "reason": "CVE"}
        assert (await a.call("POST", "/admin/v1/denials", wish, token=token)).status == 201
        assert await a.world.blocked("team/app", "1") == "denied_digest"
        exception_id = opened.value["id"]
        closed = await a.call("POST", f"/admin/v1/exceptions/{exception_id}/close", {"reason": "r"}, token=token)
        assert closed.status == 200


async def test_a_token_for_some_repositories_orders_in_those_only(tmp_path: Path) -> None:
    async with served(tmp_path) as (a, url, _):
        token = await a.token(Role.POLICY_ADMIN, only=("team/*",))
        place = Endpoint(server=url, token=token)
        await a.world.store.overrides.keep(exception("other/app"))
        await a.world.store.overrides.deny(denial(APP.digest))
        await away(lambda: open_one(place, WISH, YES))
        await away(lambda: add(place, "team/app", "r", YES))
        assert [e["repository"] for e in await away(lambda: pages(place, "exceptions"))] == ["team/app"]
        assert [d["target"] for d in await away(lambda: pages(place, "denials"))] == ["team/app"]
        for target in (APP.digest, "other/app", "team/*", "**"):
            with pytest.raises(Fault, match="is for team/"):
                await away(lambda t=target: add(place, t, "r", YES))  # type: ignore[misc]
        for repository in ("other/app", "team/*", "**"):
            wish = {**WISH, "repository": repository}
            with pytest.raises(Fault, match="is for team/"):
                await away(lambda w=wish: open_one(place, w, YES))  # type: ignore[misc]
        with pytest.raises(Fault, match="is for team/"):
            await away(lambda: change(place, "close", "e1000000", "r", OutputFormat.TEXT))
        with pytest.raises(Fault, match="is for team/"):
            await away(lambda: remove(place, "d1000000", "r", YES))


async def test_status_names_exceptions_to_who_may_see_their_repository() -> None:
    async with admin() as a:
        a.found[:] = [
            Problem(ProblemId.EXCEPTION_OPEN, "open", "s", "n", repository="other/app"),
            Problem(ProblemId.EXCEPTION_OPEN, "wide", "s", "n", repository=""),
        ]
        everything, some = await a.token(Role.VIEWER), await a.token(Role.VIEWER, only=("team/*",))
        for token, count in ((everything, 2), (some, 0)):
            assert len((await a.call("GET", "/admin/v1/status", token=token)).value["problems"]) == count
