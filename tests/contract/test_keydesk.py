"""What `countersign keys` is answered: plans that change nothing, changes, and refusals before either."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from proxy.oci.faults import Fault, Unavailable
from proxy.trust.keys import KeyState, fingerprint
from proxy.wiring.keydesk import KeyDesk
from proxy.wiring.signer import Stray
from tests.worlds.conversation import World, world

R = {"reason": "Tuesday"}


async def no_strays() -> Sequence[Stray]:
    return []


def desk(w: World) -> KeyDesk:
    return KeyDesk(lambda: w.house, no_strays)


def states(w: World) -> list[KeyState]:
    return [key.state for key in w.store.keybook.ring().ours]


async def test_a_whole_life() -> None:
    w = await world()
    d = desk(w)
    done = await d.change({"action": "rotate", "profile": "release", **R})
    assert [k["state"] for k in done["keys"]] == ["active", "trusted"]
    assert done["keys"][0]["public_key"].startswith("-----BEGIN PUBLIC KEY-----")
    new, old = (k["fingerprint"] for k in done["keys"])
    assert [k["state"] for k in (await d.change({"action": "retire", "key": old, **R}))["keys"]] == ["retired"]
    (ready,) = (await d.change({"action": "prepare", "profile": "release", **R}))["keys"]
    done = await d.change({"action": "activate", "key": ready["fingerprint"], **R})
    assert [k["state"] for k in done["keys"]] == ["active", "trusted"]
    done = await d.change({"action": "compromise", "key": ready["fingerprint"], "rotate": "yes", **R})
    assert [k["state"] for k in done["keys"]] == ["compromised", "active"]
    assert states(w) == [KeyState.RETIRED, KeyState.TRUSTED, KeyState.COMPROMISED, KeyState.ACTIVE]
    shown = await d.keys()
    assert [k["state"] for k in shown["keys"]] == states(w)
    assert new in {k["fingerprint"] for k in shown["keys"]}


@pytest.mark.parametrize(
    ("action", "lines", "said"),
    [
        ("rotate", 3, "still verifies"),
        ("prepare", 2, "signs nothing before it is activated"),
        ("compromise", 2, "no way back"),
    ],
)
async def test_a_plan_changes_nothing(action: str, lines: int, said: str) -> None:
    w = await world()
    before, events = w.store.keybook.ring(), len(w.store.journal.events)
    key = fingerprint(before.ours[0].spki)
    given = {"action": action, "profile": "release", "key": key, "rotate": "yes", "dry_run": "yes", **R}
    answer = await desk(w).change(given)
    assert answer["done"] is False
    assert len(answer["plan"]) == lines
    assert said in answer["plan"][-1]
    assert (w.store.keybook.ring(), len(w.store.journal.events)) == (before, events)


@pytest.mark.parametrize("dry", [{}, {"dry_run": "yes"}])
@pytest.mark.parametrize("action", ["retire", "compromise", "activate", "rotate", "prepare", "destroy"])
async def test_what_would_be_refused_is_refused_in_the_plan_too(action: str, dry: dict[str, str]) -> None:
    w = await world()
    key = fingerprint(w.store.keybook.ring().ours[0].spki)
    with pytest.raises(Fault, match=r"countersign keys|--rotate|already|there are: release|they can: rotate"):
        await desk(w).change({"action": action, "key": key, "profile": "nobody", **R, **dry})
    assert states(w) == [KeyState.ACTIVE]


async def test_keys_in_no_record_are_listed_and_a_token_that_is_away_is_said() -> None:
    w = await world()

    async def strays() -> Sequence[Stray]:
        return [Stray("hsm", "release-x", "cd" * 32)]

    async def away() -> Sequence[Stray]:
        raise Unavailable("token hsm is away")

    listed = await KeyDesk(lambda: w.house, strays).keys()
    assert listed["unrecorded"] == [{"token": "hsm", "label": "release-x", "fingerprint": "cd" * 32}]
    assert (await KeyDesk(lambda: w.house, away).keys())["not_looked"] == "token hsm is away"
