"""Attack 22: paths that we read one way and upstream another.

The property behind every case: a path that is accepted is the very path that is written for upstream.
"""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proxy.oci.faults import Fault
from proxy.oci.operation import Operation
from proxy.oci.paths import ALLOWED, parse, render
from tests.worlds.strategies import operations

DIGEST = "sha256:" + "ab" * 32
METHODS = sorted({method for allowed in ALLOWED.values() for method in allowed})
HOSTILE = [
    "..", ".", "%2e%2e", "%2e", "%2f", "%2F", "%5c", "\\", "//", "/../", "/./", ";", ";a=b", "%00", "\x00", "#", "%23",
    "?", "%3f", "%", "%25", "%252f", "%c0%af", " ", "+", "\t", "\r\n", "\r\nHost: evil", "\u2215", "\uff0f", "\u0131",
    "\ud800", "@", "*", "|", '"', "<", "//evil.example/", "http://evil.example/", "/V2/", "/v2/", "/", "\x7f",
    "\x1b[31m",
]  # fmt: skip


def agree(method: str, path: str) -> None:
    """Refused as a client's error, or rendered to the same path for the same method."""
    try:
        op = parse(method, path)
    except Fault as fault:
        if not (400 <= fault.status < 500 and fault.message.isascii() and fault.message.isprintable()):
            raise
        return
    assert render(op) == (method, path)


@given(operations(), st.sampled_from(HOSTILE), st.integers(0, 400))
def test_something_hostile_anywhere_in_a_good_path(op: Operation, hostile: str, at: int) -> None:
    method, target = render(op)
    path = target.partition("?")[0]
    at %= len(path) + 1
    agree("GET" if method == "PUT" else method, path[:at] + hostile + path[at:])


@given(st.sampled_from(METHODS), st.lists(st.sampled_from(
    ["/", "v2", "V2", "..", ".", "a", "A", "blobs", "uploads", "manifests", "tags", "list", "referrers", "_catalog",
     DIGEST, "latest", "%2f", "a%2fb", ":", "~", "=", "-", "_", "", ";", "\\"]), max_size=14).map("".join))  # fmt: skip
@example("POST", "/v2/a/blobs/uploads/")
@example("POST", "/v2/a/blobs/uploads/blobs/uploads/")
@example("GET", "/v2/a/blobs/uploads/tags/list")
def test_paths_put_together_from_our_own_words(method: str, path: str) -> None:
    agree("GET" if method == "PUT" else method, path)
    agree("GET" if method == "PUT" else method, "/v2/" + path)


@given(st.text(max_size=60))
def test_any_text(text: str) -> None:
    agree("GET", text)
    agree("GET", f"/v2/{text}/manifests/latest")
    agree("GET", f"/v2/a/manifests/{text}")


@pytest.mark.parametrize(
    "path",
    [
        "/v2/signed/../unsigned/manifests/latest",
        "/v2/signed/%2e%2e/unsigned/manifests/latest",
        "/v2/signed%2fapp/manifests/latest",
        "/v2/signed%2Fapp/manifests/latest",
        "/v2/signed%5capp/manifests/latest",
        "/v2/signed\\app/manifests/latest",
        "/v2//signed/manifests/latest",
        "//v2/signed/manifests/latest",
        "/v2/signed//manifests/latest",
        "/v2/signed/manifests//latest",
        "/v2/signed;x/manifests/latest",
        "/v2/signed/manifests/latest;x",
        "/v2/signed/manifests/latest%00",
        "/v2/signed/manifests/latest\x00",
        "/v2/signed/manifests/latest#x",
        "/v2/signed/manifests/latest/",
        "/v2/signed/manifests/latest%",
        "/v2/signed/tags/list/",
        "/v2/signed/manifests/",
        "/v2/signed/%6danifests/latest",
        "/V2/signed/manifests/latest",
        "/v2/SIGNED/manifests/latest",
        "/v2/./signed/manifests/latest",
        "/./v2/signed/manifests/latest",
        "/x/../v2/signed/manifests/latest",
        "v2/signed/manifests/latest",
        "http://registry.example/v2/signed/manifests/latest",
        "*",
        "",
        "/v2/signed/manifests/sha256%3a" + "ab" * 32,
        "/v2/signed/blobs/uploads/..",
        "/v2/signed/blobs/uploads/../../manifests/latest",
        "/v2/signed/blobs/uploads/%2e%2e",
        "/v2/signed/blobs/uploads/u/v",
        "/v2/../admin",
        "/v2/_catalog/../signed/manifests/latest",
    ],
)
def test_known_walks_around_a_classifier_are_refused(path: str) -> None:
    for method in ("GET", "HEAD", "DELETE", "PATCH", "POST", "PUT"):
        with pytest.raises(Fault) as refused:
            parse(method, path)
        assert 400 <= refused.value.status < 500
