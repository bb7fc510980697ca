"""Attack 23: parameters that upstream obeys and we did not judge. Each operation has a list; the rest goes nowhere."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.oci.faults import Fault
from proxy.oci.operation import FinishUpload, PushManifest
from proxy.oci.paths import parse, render

HEX = "ab" * 32
DIGEST = f"sha256:{HEX}"
QUOTED = f"sha256%3A{HEX}"
OTHER = "sha256:" + "cd" * 32
EVERY = (
    f"n=3&last=a&artifactType=x%2Fy&digest={DIGEST}&mount={DIGEST}&from=b&tag=t&origin=docker.io&ns=docker.io&evil=1"
)


@pytest.mark.parametrize(
    ("line", "written"),
    [
        ("GET /v2/", "/v2/"),
        ("HEAD /v2/", "/v2/"),
        ("GET /v2/_catalog", "/v2/_catalog?n=3&last=a"),
        ("GET /v2/a/tags/list", "/v2/a/tags/list?n=3&last=a"),
        ("GET /v2/a/manifests/latest", "/v2/a/manifests/latest"),
        ("HEAD /v2/a/manifests/latest", "/v2/a/manifests/latest"),
        ("PUT /v2/a/manifests/latest", "/v2/a/manifests/latest"),
        (f"PUT /v2/a/manifests/{DIGEST}", f"/v2/a/manifests/{DIGEST}?tag=t"),
        ("DELETE /v2/a/manifests/latest", "/v2/a/manifests/latest"),
        (f"DELETE /v2/a/manifests/{DIGEST}", f"/v2/a/manifests/{DIGEST}"),
        (f"GET /v2/a/blobs/{DIGEST}", f"/v2/a/blobs/{DIGEST}"),
        (f"HEAD /v2/a/blobs/{DIGEST}", f"/v2/a/blobs/{DIGEST}"),
        (f"DELETE /v2/a/blobs/{DIGEST}", f"/v2/a/blobs/{DIGEST}"),
        ("POST /v2/a/blobs/uploads/", f"/v2/a/blobs/uploads/?digest={QUOTED}&mount={QUOTED}&from=b"),
    ],
)
def test_unknown_parameters_are_dropped(line: str, written: str) -> None:
    method, path = line.split(" ")
    assert render(parse(method, path, EVERY)) == (method, written)


def test_what_clients_tell_a_mirror_does_not_pass_with_the_paging_of_referrers() -> None:
    op = parse(
        "GET", f"/v2/a/referrers/{DIGEST}", "ns=docker.io&nextToken=a%2Bb&ORIGIN=x&artifactType=application/x+json"
    )
    assert render(op)[1] == f"/v2/a/referrers/{DIGEST}?nextToken=a%2Bb&artifactType=application%2Fx%2Bjson"


def test_every_tag_of_a_push_by_digest_is_there_to_be_judged() -> None:
    op = parse("PUT", f"/v2/a/manifests/{DIGEST}", "tag=one&t%61g=two&tag=one&Tag=three")
    assert isinstance(op, PushManifest)
    assert op.tags == ("one", "two")
    assert render(op)[1] == f"/v2/a/manifests/{DIGEST}?tag=one&tag=two"


@pytest.mark.parametrize(
    "query", ["tag=", "tag=a/b", "tag=..", "tag=a%2fb", "tag=a%00", f"tag={DIGEST}", "tag=a&tag=%zz", "tag=a+b"]
)
def test_a_tag_that_is_none_refuses_the_push(query: str) -> None:
    with pytest.raises(Fault):
        parse("PUT", f"/v2/a/manifests/{DIGEST}", query)


@pytest.mark.parametrize(
    "query",
    [
        f"digest={DIGEST}&digest={OTHER}",
        f"digest={DIGEST}&%64igest={OTHER}",
        f"%64%69%67%65%73%74={OTHER}&digest={DIGEST}",
        f"_state=x;digest={OTHER}&digest={DIGEST}",
        f"_state=x%&digest={DIGEST}",
        f"_state=x#&digest={DIGEST}",
        f"_state=x y&digest={DIGEST}",
        f"_state=x\r\n&digest={DIGEST}",
        f"={OTHER}&digest={DIGEST}",
        f"Digest={OTHER}",
        "_state=x",
        "digest=",
    ],
)
def test_a_blob_is_finished_with_one_digest_only(query: str) -> None:
    with pytest.raises(Fault):
        parse("PUT", "/v2/a/blobs/uploads/u", query)


def test_other_spellings_of_digest_never_reach_upstream() -> None:
    op = parse("PUT", "/v2/a/blobs/uploads/u", f"DIGEST={OTHER}&_state=x&dige%53t={OTHER}&digest={DIGEST}")
    assert isinstance(op, FinishUpload)
    assert (op.digest, op.state) == (DIGEST, (("_state", "x"),))
    assert render(op)[1] == f"/v2/a/blobs/uploads/u?_state=x&digest={QUOTED}"
    assert (
        render(parse("PATCH", "/v2/a/blobs/uploads/u", f"digest={OTHER}&_state=x"))[1]
        == "/v2/a/blobs/uploads/u?_state=x"
    )


@given(st.lists(st.sampled_from(["%3D", "%2f", "%2F", "%00", "a", "+", "=", "~", "_", "%"])).map("".join))
def test_the_state_of_an_upload_survives_byte_for_byte_or_not_at_all(state: str) -> None:
    try:
        op = parse("PATCH", "/v2/a/blobs/uploads/u", f"_state={state}")
    except Fault:
        return
    assert render(op) == ("PATCH", f"/v2/a/blobs/uploads/u?_state={state}")


@given(st.text(max_size=80), st.sampled_from(
    ["GET /v2/_catalog", "GET /v2/a/tags/list", f"GET /v2/a/referrers/{DIGEST}", f"PUT /v2/a/manifests/{DIGEST}",
     "POST /v2/a/blobs/uploads/", "PATCH /v2/a/blobs/uploads/u"]))  # fmt: skip
def test_any_query_is_refused_or_written_as_it_was_understood(query: str, line: str) -> None:
    method, path = line.split(" ")
    try:
        op = parse(method, path, query)
    except Fault:
        return
    written = render(op)[1]
    assert written.isascii()
    assert written.isprintable()
    assert parse(method, path, written.partition("?")[2]) == op
