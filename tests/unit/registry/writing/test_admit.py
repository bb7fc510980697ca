from __future__ import annotations

import pytest

from proxy.oci.faults import Fault
from proxy.oci.limits import Limits
from proxy.oci.manifest import OCI_MANIFEST, parse
from proxy.oci.operation import PushManifest
from proxy.oci.reference import Tag, fallback_tag, parse_tag, signature_tag
from proxy.registry.request import Request, Response
from proxy.registry.writing.admit import admit, ask_to_log_in, unmoved
from proxy.registry.writing.immutable import immutable
from proxy.registry.writing.tags import held
from proxy.trust.policy import Policy, PushRules
from proxy.trust.question import Anonymous, Resolved
from tests.worlds.conversation import ANYBODY, REPO, World, user, world
from tests.worlds.images import image
from tests.worlds.registry import Access, MemoryRegistry

APP = image("app")
SUBJECT = Resolved(APP.digest, APP.media_type, APP.body, parse(APP.body, OCI_MANIFEST, Limits()))
V1 = parse_tag("v1")


async def ask(w: World, *tags: Tag, request: Request | None = None) -> object:
    op, request = PushManifest(REPO, tags[0] if tags else APP.digest), request or Request(user("x"), "r")
    admitted = await admit(op, SUBJECT.digest, request, w.ports)
    if isinstance(admitted, tuple):
        async with held(REPO, tags, w.ports, moving_to=SUBJECT.digest) as hold:
            await unmoved(op, admitted[0], SUBJECT, hold, admitted[1], request, w.ports)
    return admitted


async def test_admitted_with_policy_and_caller() -> None:
    w = await world()
    assert await ask(w, V1) == (w.rules.current().policies[0], Anonymous("x"))


@pytest.mark.parametrize(
    ("push", "reason"),
    [(PushRules(allow=()), "push_not_allowed"), (PushRules(immutable_tags=("v*",)), "tag_immutable")],
)
async def test_refused_with_its_reason_and_a_row(push: PushRules, reason: str) -> None:
    w = await world(Policy(("**",), push))
    w.put_behind(image("there"), "team/app", "v1")
    with pytest.raises(Fault) as refused:
        await ask(w, V1)
    assert refused.value.reason == reason
    assert [e.reason for e in w.store.journal.events] == [reason]


async def test_an_immutable_tag_may_be_set_once_and_again_to_the_same() -> None:
    w = await world(Policy(("**",), PushRules(immutable_tags=("v*",))))
    assert isinstance(await ask(w, V1), tuple)
    w.put_behind(APP, "team/app", "v1")
    assert isinstance(await ask(w, V1), tuple)
    assert immutable(w.rules.current().policies[0], [V1, parse_tag("latest")]) == [V1]
    assert immutable(None, [V1]) == []
    everything = Policy(("**",), PushRules(immutable_tags=("*",)))
    names = [fallback_tag(APP.digest), signature_tag(APP.digest)]
    names += [Tag(f"{fallback_tag(APP.digest)}.{kind}") for kind in ("att", "sbom", "cosign")]
    assert immutable(everything, [V1, *names]) == [V1], "signers must be able to write theirs"
    assert immutable(everything, [Tag("sha256-abc.att"), Tag("v1.sig")]) == ["sha256-abc.att", "v1.sig"]


async def test_who_has_not_said_who_they_are_is_first_asked_to() -> None:
    registry = MemoryRegistry(access=Access("htpasswd", users={"x": "secret"}))
    w = await world(Policy(("**",), PushRules(allow=("x",))), registry=registry)
    answer = await ask(w, V1, request=Request(ANYBODY, "r"))
    assert isinstance(answer, Response)
    assert answer.status == 401
    assert "www-authenticate" in dict(answer.headers)
    assert await ask_to_log_in(Request(user("x"), "r"), w.ports) is None
