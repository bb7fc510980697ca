from __future__ import annotations

import re

import pytest

from proxy.journal.event import EventKind
from proxy.oci.faults import Fault, Told, Unavailable
from proxy.oci.operation import DeleteManifest, ListTags, PullManifest
from proxy.oci.reference import parse_reference
from proxy.registry.reading.refuse import refuse
from proxy.registry.request import Request
from proxy.trust import explain
from proxy.trust.policy import Policy, PushRules
from proxy.trust.question import Named
from proxy.trust.reason import Reason, fix_for
from proxy.web.now import Inspection
from proxy.web.pages import Pages
from proxy.web.rendering import Rendering
from tests.worlds.conversation import ANYBODY, REPO, SIGN, World, world
from tests.worlds.images import image
from tests.worlds.listener import in_memory
from tests.worlds.registry import Said, Seen

V1 = parse_reference("v1")


async def refused(w: World, reason: Reason, *, pushing: bool = False) -> Fault:
    kind, who = (EventKind.PUSH_DENIED if pushing else EventKind.PULL_DENIED), Named("bob", "basic")
    return await refuse(kind, REPO, V1, reason, "the detail", who, Request(ANYBODY, "r7"), w.ports, pushing=pushing)


@pytest.mark.parametrize("pushing", [False, True])
@pytest.mark.parametrize("reason", list(Reason))
async def test_every_refusal_has_a_page_a_row_and_a_line(reason: Reason, pushing: bool) -> None:
    w = await world()
    fault = await refused(w, reason, pushing=pushing)
    assert (fault.code, fault.status, fault.reason) == ("DENIED", 403, reason)
    assert len(fault.message) <= 300
    (row,) = w.store.journal.events
    assert (row.who, row.how, row.reason, row.request_id) == ("bob", "basic", reason, "r7")
    decision = await w.store.journal.decision(row.decision_id)
    assert decision is not None
    assert not decision.allowed
    assert fault.message.endswith(f"/-/d/{decision.id}")
    assert fault.detail is None, "crane and oras would show the link a second time in the same line"
    retry = reason in {Reason.NOT_VERIFIABLE, Reason.NOT_SIGNED}
    assert ("Retry-After" in fault.headers) is retry


INSIDE = (
    "token 'hsm' of module /usr/lib/softhsm/libsofthsm2.so at 10.0.0.7:5000: <object at 0x7f4a054d5130> [Connect call"
)
NEVER = re.compile(
    r"/usr/|\.so\b|\b0x|<class|object at|Error\(|\b\w+\.\w+Error\b|127\.0\.0|\b10\.|192\.168|localhost|pkcs11:"
)


@pytest.mark.parametrize("pushing", [False, True])
@pytest.mark.parametrize("reason", list(Reason))
async def test_what_developers_read_has_nothing_of_the_inside(reason: Reason, pushing: bool) -> None:
    """Before: a push while the HSM was away named its module; an outage of upstream was shown as a Python object."""
    w = await world()
    page = Pages(Rendering(w.ports.name, w.ports.url), w.store.journal.decision, nobody)
    for told in Told:
        kind = EventKind.PUSH_DENIED if pushing else EventKind.PULL_DENIED
        to = (Request(ANYBODY, "r7"), w.ports)
        fault = await refuse(kind, REPO, V1, reason, INSIDE, Named("bob", "basic"), *to, pushing=pushing, told=told)
        shown = [fault.message, fault.phrase or "", str(fault.headers)]
        made = fault.message.rpartition("/")[2]
        call = f"/-/d/{made}"
        async with in_memory(page.reading(page.decision)) as proxy:
            shown += [(await proxy.get(f"{call}?format={form}")).decode() for form in ("text", "html", "json")]
        for text in shown:
            assert (found := NEVER.search(text.replace(made, "ID"))) is None, f"{found}: {text}"


async def nobody(*_: object) -> Inspection:
    raise Fault("DENIED", "nobody may look")


def test_our_own_words_have_nothing_of_the_inside() -> None:
    said = [*(text for reason in Reason for text in (*vars(reason.row.lesson).values(), reason.row.what)), *Told]
    said += [fix_for(each, None, "registry.example.com", pushing=p) for each in Reason for p in (True, False)]
    assert [text for text in said if NEVER.search(text)] == []


@pytest.mark.parametrize("deleting", [False, True])
async def test_what_is_not_known_of_an_immutable_tag_is_told_without_the_cause(deleting: bool) -> None:
    w = await world(Policy(("**",), PushRules(("release",), immutable_tags=("v*",)), SIGN.pull))
    digest = w.put_behind(image("behind"), "team/app", "v1")

    def silent(seen: Seen) -> Said | None:
        asked = ListTags if deleting else PullManifest
        if isinstance(seen.operation, asked) and getattr(seen.operation, "reference", "v1") == "v1":
            raise Unavailable(INSIDE, told=Told.REGISTRY)
        return None

    w.registry.hooks.append(silent)
    with pytest.raises(Fault, match="immutable") as refused:
        await (w.say(DeleteManifest(REPO, digest)) if deleting else w.push(image("new"), "team/app", "v1"))
    assert NEVER.search(refused.value.message.rpartition("/")[0]) is None
    (row,) = [row for row in w.store.journal.events if row.kind is EventKind.PUSH_DENIED]
    assert INSIDE in str(row.detail["what"]), "operators read it"
    decision = await w.store.journal.decision(row.decision_id)
    assert decision is not None
    shown = explain.text(explain.for_callers(decision), w.ports.name, w.ports.url)
    assert NEVER.search(shown.replace(decision.id, "ID")) is None


async def test_deleting_an_immutable_tag_is_not_told_to_push_under_a_new_one() -> None:
    """Before: a deletion was told that the tag may not move, and to push under a new tag."""
    w = await world(Policy(("**",), PushRules(("release",), immutable_tags=("v*",)), SIGN.pull, contact="#help"))
    await w.push(image(), "team/app", "v1")
    for reference in (V1, image().digest):
        with pytest.raises(Fault, match=r"it may not be deleted \(the policy makes tag v1 .*\); ask #help - "):
            await w.say(DeleteManifest(REPO, reference))


async def test_a_store_that_is_down_takes_the_row_and_not_the_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    w = await world()

    async def down(*_: object, **__: object) -> None:
        raise Unavailable("store: locked")

    monkeypatch.setattr(w.store.journal, "decided", down)
    assert (await refused(w, Reason.UNSIGNED)).status == 403
