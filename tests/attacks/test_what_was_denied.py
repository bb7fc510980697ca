"""Attacks on denials: by tag, child, parent, layer, another name, a remembered verdict, an exception, a new push."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from proxy.journal.event import EventKind
from proxy.oci.faults import Fault, Unavailable
from proxy.oci.manifest import OCI_INDEX
from proxy.oci.operation import PullManifest, PushManifest, StartUpload
from proxy.oci.reference import Digest, digest_of, parse_reference, parse_repository, signature_tag
from proxy.trust.actor import Actor
from proxy.trust.fact import ManifestFact
from proxy.trust.policy import Policy, PullRules, PushRules
from proxy.trust.requirement import Mode
from tests.worlds.conversation import REPO, SIGN, World, user, world
from tests.worlds.denials import denied
from tests.worlds.images import image, index
from tests.worlds.memory import NOON
from tests.worlds.orders import denial, exception
from tests.worlds.rights import TableRights

APP, OTHER = image("app"), image("other")
LAYER = digest_of(APP.blobs[1])
MANY = index(APP, OTHER)


async def deny(w: World, digest: Digest | None = None, repositories: str = "**", name: str = "d1") -> None:
    await w.store.overrides.deny(denial(digest, repositories, name=name))


@pytest.mark.parametrize("head", [False, True])
@pytest.mark.parametrize("mode", ["enforce", "warn", "off"])
async def test_a_signed_image_by_tag_and_by_digest_in_every_mode(mode: Mode, head: bool) -> None:
    rights = TableRights(pushers=frozenset({"alice"}))
    w = await world(replace(SIGN, pull=replace(SIGN.pull, mode=mode)), rights=rights)
    await w.push(APP, "team/app", "1", user("alice"))
    assert (await w.pull("team/app", "1", head=head)).status == 200
    await deny(w, APP.digest)
    for reference in ("1", APP.digest):
        fault = await denied(w, lambda r=reference: w.pull("team/app", r, head=head), "denied_digest")  # type: ignore[misc]
        assert "denied by an operator" in fault.message
    decision = next(d for d in w.store.journal.decisions.values() if d.reason == "denied_digest")
    assert "CVE-2026-1" in decision.checks[0].detail


async def test_a_child_whose_denied_index_is_hidden_behind_many_others() -> None:
    w = await world()
    await w.push(MANY, "team/app", "1")
    await w.push(APP, "team/app", "mine")  # it stands by itself
    await deny(w, MANY.digest)
    for number in range(70):
        junk = digest_of(str(number).encode())
        await w.store.facts.learn(ManifestFact(REPO, junk, OCI_INDEX, 1, (APP.digest,), (), None))
    assert await w.blocked("team/app", "mine") == "denied_digest"


async def test_in_whatever_repository_it_is() -> None:
    w = await world()
    await w.push(APP, "other/copy", "1")
    await deny(w, APP.digest)
    assert await w.blocked("other/copy", "1") == "denied_digest"


async def test_a_tag_that_is_moved_to_it() -> None:
    w = await world()
    await w.push(OTHER, "team/app", "1")
    await deny(w, APP.digest)
    w.put_behind(APP, "team/app", "1")
    assert await w.blocked("team/app", "1") == "denied_digest"


async def test_a_child_by_itself_and_through_its_index() -> None:
    w = await world()
    await w.push(MANY, "team/app", "1")
    await deny(w, APP.digest)
    assert await w.blocked("team/app", APP.digest) == "denied_digest"
    assert (await w.pull("team/app", "1")).status == 200, "the other platforms go on"
    assert (await w.pull("team/app", OTHER.digest)).status == 200


async def test_the_children_of_a_denied_index_although_they_are_signed() -> None:
    w = await world()
    await w.push(index(MANY), "team/app", "1")
    assert (await w.pull("team/app", APP.digest)).status == 200
    await deny(w, MANY.digest)
    for digest in (MANY.digest, APP.digest, OTHER.digest):
        assert await w.blocked("team/app", digest) == "denied_digest"
    assert (await w.pull("team/app", "1")).status == 200


async def test_its_layers_unless_an_image_that_is_not_denied_has_them_too() -> None:
    w = await world()
    await w.push(APP, "team/app", "1")
    assert (await w.blob("team/app", LAYER)).status == 200
    await deny(w, APP.digest)
    await denied(w, lambda: w.blob("team/app", LAYER), "denied_digest")
    await w.push(image("app", annotations={"built": "again"}), "team/app", "2")
    assert (await w.blob("team/app", LAYER)).status == 200


@pytest.mark.parametrize("rules", [PullRules("warn"), PullRules("off"), replace(SIGN.pull, blobs="open")])
async def test_its_layers_where_blobs_are_open(rules: PullRules) -> None:
    w = await world(replace(SIGN, pull=rules))
    await w.push(MANY, "team/app", "1")
    await deny(w, MANY.digest)
    await denied(w, lambda: w.blob("team/app", LAYER), "denied_digest")
    unknown = w.registry.put_blob("team/app", b"of something else")
    assert (await w.blob("team/app", unknown)).status == 200


async def test_a_layer_that_is_denied_itself() -> None:
    w = await world()
    await w.push(APP, "team/app", "1")
    await deny(w, LAYER)
    await denied(w, lambda: w.blob("team/app", LAYER), "denied_digest")


async def test_a_layer_by_mounting_it_elsewhere() -> None:
    w = await world()
    await w.push(APP, "team/app", "1")
    await deny(w, APP.digest)
    source = parse_repository("team/app")
    answer = await w.say(StartUpload(parse_repository("mine/app"), mount=LAYER, source=source))
    assert answer.status == 202, "an ordinary upload"


async def test_reviewers_open_heads_and_pushers_get_nothing_but_a_tag_is_pushed_over() -> None:
    """What replaces it is pushed by people whose clients first ask whether the tag is there."""
    rules = replace(SIGN.pull, reviewers=("scanner",), head_on_denied=True)
    policy = replace(SIGN, push=PushRules(sign_with=("release",), allow=("alice",)), pull=rules)
    rights = TableRights(frozenset({"alice", "scanner"}), frozenset({"alice"}))
    w = await world(policy, rights=rights)
    await w.push(APP, "team/app", "1", by=user("alice"))
    await deny(w, APP.digest)
    assert await w.blocked("team/app", "1", user("scanner")) == "denied_digest"
    assert await w.blocked("team/app", "1", user("scanner"), head=True) == "denied_digest"
    await denied(w, lambda: w.blob("team/app", LAYER, user("scanner")), "denied_digest")
    for reference in ("1", APP.digest):
        assert await w.blocked("team/app", reference, user("alice")) == "denied_digest"
        assert await w.blocked("team/app", reference, user("alice"), head=True) == "denied_digest"
    await denied(w, lambda: w.look("team/app", APP.digest, user("alice")), "denied_digest")
    await denied(w, lambda: w.look("team/app", "1", user("scanner")), "denied_digest")
    with pytest.raises(Fault) as looked:
        await w.look("team/app", "1", user("alice"))
    assert looked.value.status == 404
    await w.push(OTHER, "team/app", "1", by=user("alice"))
    assert (await w.pull("team/app", "1", user("alice"), head=True)).status == 200


async def test_an_exception_does_not_help() -> None:
    w = await world()
    w.put_behind(APP, "team/app", "1")
    await w.store.overrides.keep(exception(digest=APP.digest))
    await w.store.overrides.keep(exception(name="e2"))
    assert (await w.pull("team/app", "1")).status == 200
    await deny(w, APP.digest)
    assert await w.blocked("team/app", "1") == "denied_digest"
    await denied(w, lambda: w.blob("team/app", LAYER), "denied_digest")


async def test_pushing_it_again_under_another_name() -> None:
    w = await world()
    await w.push(APP, "team/app", "1")
    await deny(w, APP.digest)
    op = PushManifest(parse_repository("other/app"), parse_reference("2"))
    await denied(w, lambda: w.say(op, body=APP.body, content_type=APP.media_type), "denied_digest")
    assert w.tag("other/app", "2") is None


async def test_a_new_index_of_it_is_not_signed_into_it() -> None:
    w = await world()
    await w.push(MANY, "team/app", "1")
    before = len(await w.store.ledger.entries(REPO, APP.digest))
    await deny(w, APP.digest)
    op = PushManifest(REPO, parse_reference("2"))
    assert (await w.say(op, body=MANY.body, content_type=OCI_INDEX)).status == 201
    assert len(await w.store.ledger.entries(REPO, APP.digest)) == before
    assert await w.blocked("team/app", APP.digest) == "denied_digest"


async def test_a_repository_for_pulls_and_pushes() -> None:
    w = await world()
    await w.push(APP, "team/app", "1")
    await deny(w, None, "team/*")
    assert await w.blocked("team/app", "1") == "denied_digest"
    await denied(w, lambda: w.blob("team/app", LAYER), "denied_digest")
    op = PushManifest(REPO, parse_reference("2"))
    await denied(w, lambda: w.say(op, body=OTHER.body, content_type=OTHER.media_type), "denied_digest")
    await denied(w, lambda: w.say(StartUpload(REPO)), "denied_digest")
    await w.push(OTHER, "other/app", "1")
    assert (await w.pull("other/app", "1")).status == 200


async def test_until_is_past_and_removed_is_gone() -> None:
    w = await world()
    await w.push(APP, "team/app", "1")
    await w.store.overrides.deny(replace(denial(APP.digest), until=NOON + timedelta(minutes=10)))
    assert await w.blocked("team/app", "1") == "denied_digest"
    w.store.clock.advance(600)
    assert (await w.pull("team/app", "1")).status == 200
    await deny(w, APP.digest, name="d2")
    assert await w.blocked("team/app", "1") == "denied_digest"
    await w.store.overrides.lift("d2")
    assert (await w.pull("team/app", "1")).status == 200


async def test_while_the_answer_was_on_its_way(monkeypatch: pytest.MonkeyPatch) -> None:
    w = await world()
    await w.push(APP, "team/app", "1")
    decided = w.store.journal.decided

    async def slow(*given: object, **more: object) -> None:
        await deny(w, APP.digest) if not w.store.overrides.in_force().denials else None
        await decided(*given, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(w.store.journal, "decided", slow)
    assert await w.blocked("team/app", "1") == "denied_digest"


async def test_its_signatures_are_no_images() -> None:
    """Whoever cleans up may still look at what signed it."""
    w = await world()
    await w.push(APP, "team/app", "1")
    await deny(w, APP.digest)
    assert (await w.pull("team/app", signature_tag(APP.digest))).status == 200


async def test_what_is_known_holds_while_the_store_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    w = await world()
    await w.push(MANY, "team/app", "1")
    await w.pull("team/app", "1")
    await deny(w, MANY.digest)

    async def away(*_: object, **__: object) -> None:
        raise Unavailable("store: gone")

    for name in ("parents", "ancestors", "listing", "manifest", "learn"):
        monkeypatch.setattr(w.store.facts, name, away)
    assert await w.blocked("team/app", "1") == "denied_digest"
    assert await w.blocked("team/app", APP.digest) in {"denied_digest", "not_verifiable"}


async def test_signing_it_by_hand() -> None:
    from proxy.registry.request import Request
    from proxy.registry.signing.sign_existing import sign_existing
    from tests.worlds.conversation import ANYBODY

    w = await world()
    w.put_behind(APP, "team/app", "1")
    await deny(w, APP.digest)
    with pytest.raises(Fault, match="an operator denied"):
        await sign_existing(
            PullManifest(REPO, parse_reference("1")), Actor("ann", "socket", "r", "r"), Request(ANYBODY, "r"), w.ports
        )
    assert EventKind.SIGNED not in w.store.journal.kinds()


async def test_no_policy_is_no_way_around() -> None:
    w = await world(Policy(("nothing",)))
    w.put_behind(APP, "team/app", "1")
    await deny(w, APP.digest)
    assert await w.blocked("team/app", "1") == "denied_digest"
