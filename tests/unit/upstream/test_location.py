from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.oci import operation as ops
from proxy.oci.faults import Corrupt, Unavailable
from proxy.oci.operation import Operation
from proxy.oci.paths import parse
from proxy.oci.reference import digest_of, parse_repository, parse_tag
from proxy.upstream.location import origin, path_here, rewritten

BASE = "https://registry.example:5000"
AT = "/v2/team/app/blobs/uploads/"
REPOSITORY = parse_repository("team/app")
START = ops.StartUpload(REPOSITORY)
BLOB = ops.PullBlob(REPOSITORY, digest_of(b""))


@pytest.mark.parametrize(
    ("url", "same"),
    [
        ("https://Registry.Example:5000/x?y#z", "https://registry.example:5000"),
        ("HTTPS://registry.example", "https://registry.example:443"),
        ("http://registry.example.", "http://registry.example:80"),
        ("http://[::1]:5000/v2/", "http://[::1]:5000"),
    ],
)
def test_an_origin_is_scheme_host_and_port(url: str, same: str) -> None:
    assert origin(url) == same


@pytest.mark.parametrize(
    "url",
    [
        "",
        "/v2/",
        "//registry.example",
        "ftp://registry.example",
        "https://",
        "https://registry.example@evil.example/",
        "https://evil.example\\@registry.example/",
        "https://registry.example%2eevil.example/",
        "https://registry.example:port/",
        "https://registry.exämple/",
        "https://registry.example/a b",
        "https://registry.example/\n",
        "https://[::1/",
    ],
)
def test_what_parsers_read_differently_is_no_origin(url: str) -> None:
    with pytest.raises(ValueError, match=r"URL|Port|port|IPv6"):
        origin(url)


@pytest.mark.parametrize(
    ("target", "path"),
    [
        (f"{BASE}/v2/team/app/blobs/uploads/1?_state=a%2Bb%3D&x=y", "/v2/team/app/blobs/uploads/1?_state=a%2Bb%3D&x=y"),
        ("/v2/team/app/blobs/uploads/1?_state=a+b", "/v2/team/app/blobs/uploads/1?_state=a+b"),
        ("1?_state=a", "/v2/team/app/blobs/uploads/1?_state=a"),
        ("//registry.example:5000/v2/x", "/v2/x"),
        ("HTTPS://REGISTRY.example:5000/v2/x", "/v2/x"),
        ("https://evil.example/v2/x", None),
        ("//evil.example/v2/x", None),
        ("http://registry.example:5000/v2/x", None),
        ("https://registry.example/v2/x", None),
        ("https://registry.example:5000.evil.example/v2/x", "error"),
        ("https://registry.example:5000@evil.example/v2/x", "error"),
        ("https://evil.example\\@registry.example:5000/v2/x", "error"),
        ("/storage/x", None),
        ("../../../../../x", None),
        ("/v2/x\r\nSet-Cookie: a", "error"),
    ],
)
def test_a_target_is_below_upstream_or_it_is_not(target: str, path: str | None) -> None:
    if path == "error":
        with pytest.raises(Corrupt):
            path_here(target, base=BASE, asked=BASE + AT)
    else:
        assert path_here(target, base=BASE, asked=BASE + AT) == path


def test_an_upstream_below_a_path_keeps_it_to_itself() -> None:
    base = "https://host.example/artifactory/docker"
    assert path_here(f"{base}/v2/a/blobs/uploads/1", base=base, asked=base + AT) == "/v2/a/blobs/uploads/1"
    assert path_here("/artifactory/docker/v2/x?y", base=base, asked=base + AT) == "/v2/x?y"
    assert path_here("/v2/x", base=base, asked=base + AT) is None


_STATE = st.text("ABCxyz019-._~%+*=:@", max_size=60)


@given(session=st.text("abcdef0123456789-", min_size=1, max_size=36), state=_STATE)
def test_upload_state_survives_untouched(session: str, state: str) -> None:
    path = f"/v2/team/app/blobs/uploads/{session}?_state={state}"
    assert path_here(BASE + path, base=BASE, asked=BASE + AT) == path


def _location(operation: Operation, status: int, value: str) -> str | None:
    headers = rewritten((("etag", "1"), ("location", value)), status, operation, base=BASE, asked=BASE + AT)
    assert headers[0] == ("etag", "1")
    return dict(headers).get("location")


def test_an_upload_goes_on_through_us() -> None:
    path = "/v2/team/app/blobs/uploads/1?_state=x"
    location = _location(START, 202, BASE + path)
    assert location == path
    assert isinstance(parse("PATCH", path.partition("?")[0], "_state=x"), ops.UploadChunk)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_blob_elsewhere_is_the_callers_to_fetch(status: int) -> None:
    assert _location(BLOB, status, "https://s3.example/x?sig=1%2B") == "https://s3.example/x?sig=1%2B"
    assert _location(BLOB, status, f"{BASE}/v2/team/app/blobs/x") == "/v2/team/app/blobs/x"


@pytest.mark.parametrize(
    "operation", [ops.CheckApi(), ops.PullManifest(REPOSITORY, parse_tag("1")), START, ops.ListTags(REPOSITORY)]
)
def test_a_redirect_of_anything_else_leads_around_us(operation: Operation) -> None:
    with pytest.raises(Unavailable, match="redirect"):
        _location(operation, 307, "https://evil.example/v2/")


def test_a_foreign_address_of_created_content_is_left_out() -> None:
    assert _location(START, 201, "http://internal:5000/v2/team/app/blobs/x") is None


def test_pages_go_on_through_us() -> None:
    value = f'<{BASE}/v2/_catalog?last=a%2Fb&n=2>; rel="next", </v2/_catalog?n=2>; rel="first"'
    headers = rewritten((("link", value),), 200, ops.ListRepositories(), base=BASE, asked=f"{BASE}/v2/_catalog")
    assert headers == (("link", '</v2/_catalog?last=a%2Fb&n=2>; rel="next", </v2/_catalog?n=2>; rel="first"'),)


@pytest.mark.parametrize("value", ['<https://evil.example/v2/>; rel="next"', "</v2/x", "</other>; rel=next"])
def test_pages_elsewhere_are_refused(value: str) -> None:
    with pytest.raises(Corrupt, match="next page"):
        rewritten((("link", value),), 200, ops.ListRepositories(), base=BASE, asked=f"{BASE}/v2/_catalog")
