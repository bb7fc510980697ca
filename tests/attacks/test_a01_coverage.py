"""Attack 1: every way to ask for one unsigned image, in every combination. No cell of the table lets it out."""

from __future__ import annotations

from itertools import product

import pytest

from proxy.journal.event import EventKind
from proxy.oci.faults import Fault
from proxy.oci.manifest import DOCKER_MANIFEST, INDEXES, MANIFESTS, OCI_MANIFEST
from proxy.oci.operation import PullManifest
from proxy.oci.reference import parse_reference
from proxy.registry.handle import handle
from proxy.registry.ports.upstream import Credential
from proxy.registry.request import Request, Response
from proxy.trust.policy import Policy, PullRules
from tests.worlds.conversation import ANYBODY, REPO, SIGN, World, signed_by, user, world
from tests.worlds.images import Image, image
from tests.worlds.rights import TableRights

GOOD, BAD = image("good"), image("bad")
CALLERS: dict[str, Credential] = {
    "anonymous": ANYBODY,
    "proven, neither pusher nor reviewer": user("reader"),
    "pusher": user("pusher"),
    "reviewer": user("scanner"),
    "claims to be the reviewer": user("scanner-not-proven"),
    "bearer": Credential("Bearer abc.def.ghi"),
    "unknown scheme": Credential("Negotiate abcdef"),
    "ours": Credential(ours=True),
}
ACCEPTS = {
    "none": (),
    "any": ("*/*",),
    "all, five times": (*sorted(MANIFESTS | INDEXES), "application/json"),
    "in one line": (", ".join(sorted(MANIFESTS | INDEXES)),),
    "oci only": (OCI_MANIFEST,),
    "with weights": (f"{OCI_MANIFEST};q=0.1, {DOCKER_MANIFEST};q=0",),
}
CONDITIONS: dict[str, tuple[tuple[str, str], ...]] = {
    "plain": (),
    "if-none-match, the digest": (("if-none-match", f'"{BAD.digest}", "{GOOD.digest}"'),),
    "if-none-match, anything": (("if-none-match", "*"),),
    "a range": (("range", "bytes=0-"),),
    "a range that ends": (("range", "bytes=0-10"), ("if-range", f'"{BAD.digest}"')),
    "if-modified-since": (("if-modified-since", "Sat, 29 Oct 2050 19:43:31 GMT"),),
}
CELLS = list(product(CALLERS, ACCEPTS, CONDITIONS))


class Names(TableRights):
    """Names by Basic only; two of them are proven."""

    def __init__(self) -> None:
        super().__init__(frozenset({"reader", "pusher", "scanner"}), frozenset({"pusher"}))

    async def may_push(self, repository: object, credential: Credential) -> bool:
        return credential == CALLERS["pusher"]


async def scene(*, head_on_denied: bool = False) -> World:
    pull = PullRules(require=signed_by("release").require, reviewers=("scanner",), head_on_denied=head_on_denied)
    w = await world(Policy(("**",), SIGN.push, pull), rights=Names())
    await w.push(GOOD, "team/app", "good", by=user("pusher"))
    w.put_behind(BAD, "team/app", "bad")
    return w


async def ask(w: World, one: Image, cell: tuple[str, str, str], *, tag: str | None, head: bool) -> Response:
    who, accept, condition = cell
    headers = (*(("accept", value) for value in ACCEPTS[accept]), *CONDITIONS[condition])
    reference = parse_reference(tag or one.digest)
    return await handle(PullManifest(REPO, reference, head), Request(CALLERS[who], "r", headers), w.ports)


@pytest.mark.parametrize("warm", [False, True], ids=["cold", "warm"])
@pytest.mark.parametrize("tag", ["bad", None], ids=["tag", "digest"])
async def test_get_of_the_unsigned_image_is_denied_in_every_cell_but_to_a_reviewer(warm: bool, tag: str | None) -> None:
    w = await scene()
    if warm:
        assert (await ask(w, BAD, ("reviewer", "any", "plain"), tag=tag, head=False)).body == BAD.body
    for cell in CELLS:
        if cell[0] == "reviewer":
            answer = await ask(w, BAD, cell, tag=tag, head=False)
            assert answer.status == (304 if cell[2].startswith("if-none-match") else 200)
            continue
        with pytest.raises(Fault) as refused:
            await ask(w, BAD, cell, tag=tag, head=False)
        fault = refused.value
        assert (fault.code, fault.status, fault.reason) == ("DENIED", 403, "unsigned"), cell
    reviewed = [e for e in w.store.journal.events if e.kind is EventKind.PULL_REVIEWED]
    assert {(e.who, e.how) for e in reviewed} == {("scanner", "basic")}


@pytest.mark.parametrize("open_heads", [False, True])
@pytest.mark.parametrize("tag", ["bad", None], ids=["tag", "digest"])
async def test_head_of_the_unsigned_image_answers_only_reviewers(tag: str | None, open_heads: bool) -> None:
    w = await scene(head_on_denied=open_heads)
    for cell in CELLS:
        if cell[0] == "pusher" and cell[1] == "oci only":  # as a client looks before it pushes
            with pytest.raises(Fault) as looked:
                await ask(w, BAD, cell, tag=tag, head=True)
            assert (looked.value.code, looked.value.status) == ("MANIFEST_UNKNOWN", 404), cell
            assert BAD.digest not in looked.value.message or tag is None
            continue
        if open_heads or cell[0] == "reviewer":
            answer = await ask(w, BAD, cell, tag=tag, head=True)
            assert answer.body == b""
            assert dict(answer.headers)["docker-content-digest"] == BAD.digest
            continue
        with pytest.raises(Fault) as refused:
            await ask(w, BAD, cell, tag=tag, head=True)
        assert (refused.value.code, refused.value.status) == ("DENIED", 403), cell


@pytest.mark.parametrize("head", [False, True], ids=["get", "head"])
@pytest.mark.parametrize("tag", ["good", None], ids=["tag", "digest"])
async def test_the_signed_image_is_the_same_bytes_in_every_cell(tag: str | None, head: bool) -> None:
    w = await scene()
    for cell in CELLS:
        answer = await ask(w, GOOD, cell, tag=tag, head=head)
        said = dict(answer.headers)
        assert said["docker-content-digest"] == GOOD.digest, cell
        if cell[2].startswith("if-none-match"):
            assert (answer.status, answer.body) == (304, b"")
            continue
        assert answer.status == 200, cell
        assert said["content-type"] == GOOD.media_type
        assert int(said["content-length"]) == len(GOOD.body)
        assert answer.body == (b"" if head else GOOD.body), cell


async def test_every_denial_is_on_the_record_with_its_caller() -> None:
    w = await scene()
    for who in CALLERS:
        if who != "reviewer":
            with pytest.raises(Fault):
                await ask(w, BAD, (who, "any", "plain"), tag="bad", head=False)
    rows = [e for e in w.store.journal.events if e.kind is EventKind.PULL_DENIED]
    assert sum(int(e.detail.get("count", 1)) for e in rows) == len(CALLERS) - 1
    assert {e.who for e in rows} == {"anonymous", "reader", "pusher"}
    assert {e.reason for e in rows} == {"unsigned"}
