"""Who may not push is told so at the first byte of the first layer."""

from __future__ import annotations

import pytest

from proxy.oci.faults import Fault
from proxy.oci.operation import StartUpload
from proxy.oci.reference import digest_of, parse_repository
from proxy.trust.event import Kind
from proxy.trust.explain import as_json, from_json
from proxy.trust.policy import Policy, PushRules
from tests.worlds.conversation import ANYBODY, REPO, signed_by, user, world
from tests.worlds.registry import MemoryRegistry
from tests.worlds.registry_access import Access
from tests.worlds.rights import TableRights

CI_ONLY = Policy(("team/**",), PushRules(sign_with=("release",), allow=("ci",)), signed_by("release"), contact="#help")


async def test_an_upload_by_somebody_who_may_not_push_is_refused_with_a_text() -> None:
    w = await world(CI_ONLY)
    with pytest.raises(Fault) as refused:
        await w.say(StartUpload(REPO), user("alice"))
    assert refused.value.status == 403
    assert refused.value.reason == "push_not_allowed"
    assert refused.value.message.startswith(
        "blocked by countersign (not a login problem): team/app: you are not on this repository's push list; ask #help"
    )
    assert set(w.store.journal.kinds()) == {Kind.PUSH_DENIED}
    assert not [seen for seen in w.registry.seen if isinstance(seen.operation, StartUpload)]


async def test_a_mount_by_somebody_who_may_not_push_names_the_blob() -> None:
    w = await world(CI_ONLY)
    with pytest.raises(Fault, match=digest_of(b"x")[:19]):
        await w.say(StartUpload(REPO, mount=digest_of(b"x"), source=parse_repository("team/base")), user("alice"))


async def test_a_repository_without_a_policy_takes_no_upload() -> None:
    w = await world(CI_ONLY)
    with pytest.raises(Fault) as refused:
        await w.say(StartUpload(parse_repository("other/app")), user("ci"))
    assert refused.value.reason == "no_policy"


async def test_whoever_may_push_uploads() -> None:
    w = await world(CI_ONLY, rights=TableRights(frozenset({"ci"})))
    assert (await w.say(StartUpload(REPO), user("ci"))).status == 202
    everybody = await world()
    assert (await everybody.say(StartUpload(REPO), ANYBODY)).status == 202


async def test_who_has_not_said_who_they_are_is_asked_first() -> None:
    w = await world(CI_ONLY, registry=MemoryRegistry(access=Access("htpasswd", {"ci": "secret"})))
    answer = await w.say(StartUpload(REPO), ANYBODY)
    assert answer.status == 401
    assert "www-authenticate" in dict(answer.headers)


async def test_the_refusal_has_a_page() -> None:
    """It is kept like every decision, although it is about no image; the page leaves out what there is not."""
    w = await world(CI_ONLY)
    with pytest.raises(Fault) as refused:
        await w.say(StartUpload(REPO), user("alice"))
    known = await w.store.journal.decision(str(refused.value.detail).rpartition("/")[2])
    assert known is not None
    assert from_json(as_json(known)) == known
