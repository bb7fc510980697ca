from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.oci import operation as ops
from proxy.oci.faults import Corrupt, Fault, Told, Unavailable
from proxy.oci.paths import parse
from proxy.oci.reference import digest_of, parse_repository
from proxy.upstream.uploads import TARGET_LENGTH, WRAPPED, Uploads

BASE = "https://registry.example:5000"
APP = parse_repository("team/app")
ASKED = f"{BASE}/v2/team/app/blobs/uploads/"
DIGEST = digest_of(b"a layer")
GHCR = "/v2/team/app/blobs/upload/1f:2?_state=a%2Bb"
GAR = "/artifacts-uploads/namespaces/p/repositories/team%2Fapp/uploads/AF9~x?y=1"


def uploads(*origins: str, key: bytes = b"k" * 32, base: str = BASE) -> Uploads:
    return Uploads(base, origins, key)


def goes_on(location: str, method: str = "PATCH", extra: str = "") -> ops.Upload:
    """Return the operation of a client that goes on at this address."""
    path, _, query = (location + extra).partition("?")
    op = parse(method, path, query)
    assert isinstance(op, ops.Upload)
    return op


@pytest.mark.parametrize(
    "location",
    [f"{BASE}/v2/team/app/blobs/uploads/1?_state=a%2Bb%3D", "/v2/team/app/blobs/uploads/1?x=y", "1?_state=a"],
)
def test_an_address_of_the_specification_is_handed_on_as_it_is(location: str) -> None:
    here = uploads().here(location, APP, ASKED)
    assert here.startswith("/v2/team/app/blobs/uploads/1?")
    assert here.endswith(location.partition("?")[2])
    assert uploads().target(goes_on(here)).url == BASE + here


@pytest.mark.parametrize(
    "location", [GHCR, BASE + GHCR, GAR, "../../../../../x", "/", f"/v2/team/app/blobs/uploads/{WRAPPED}", "?a=b"]
)
def test_any_other_path_of_upstream_comes_back_as_it_was(location: str) -> None:
    here = uploads().here(location, APP, ASKED)
    assert here.startswith(f"/v2/team/app/blobs/uploads/{WRAPPED}?at=")
    found = uploads().target(goes_on(here))
    assert (found.method, found.own) == ("PATCH", True)
    assert found.url.startswith(f"{BASE}/")
    assert location.startswith(("..", "?")) or found.url.endswith(location.removeprefix(BASE))


def test_an_upload_is_finished_with_its_digest_at_the_end_of_upstreams_query() -> None:
    for location, joined in ((GAR, "&"), (GAR.partition("?")[0], "?")):
        here = uploads().here(location, APP, ASKED)
        done = uploads().target(goes_on(here, "PUT", f"&digest={DIGEST}"))
        assert done.url == f"{BASE}{location}{joined}digest={DIGEST.replace(':', '%3A')}"
        assert done.method == "PUT"


def test_a_relative_address_is_relative_to_what_was_asked() -> None:
    asked = f"{BASE}/artifacts-uploads/x/1"
    assert uploads().target(goes_on(uploads().here("2", APP, asked))).url == f"{BASE}/artifacts-uploads/x/2"


def test_another_origin_is_refused_unless_it_is_listed_and_never_gets_a_password() -> None:
    with pytest.raises(Unavailable, match=r"at 'https://store\.example/x', which is not its own address") as refused:
        uploads().here("https://store.example/x?secret=1", APP, ASKED)
    assert refused.value.told is Told.UPLOADS
    assert "secret" not in str(refused.value)
    listed = uploads("https://store.example")
    found = listed.target(goes_on(listed.here("https://store.example/x?secret=1", APP, ASKED)))
    assert (found.url, found.own) == ("https://store.example:443/x?secret=1", False)


def test_an_origin_that_is_listed_no_more_gets_nothing_more() -> None:
    here = uploads("https://store.example").here("https://store.example/x", APP, ASKED)
    with pytest.raises(Fault, match="start the upload again"):
        uploads().target(goes_on(here))


@pytest.mark.parametrize("location", ["/v2/team/app/manifests/latest", f"/v2/other/blobs/{DIGEST}", "/v2/_catalog"])
def test_an_upload_never_goes_on_where_manifests_are_pushed(location: str) -> None:
    with pytest.raises(Corrupt, match="no place for uploads"):
        uploads().here(location, APP, ASKED)


def test_what_parsers_read_differently_is_refused() -> None:
    for location in ("https://evil.example\\@registry.example:5000/x", "/x\r\nA: b", "https://[::1/"):
        with pytest.raises(Corrupt):
            uploads().here(location, APP, ASKED)


def test_an_address_may_have_4_kib() -> None:
    whole = "/x?" + "a" * (TARGET_LENGTH - 3)
    here = uploads().here(whole, APP, ASKED)
    assert uploads().target(goes_on(here)).url == BASE + whole
    with pytest.raises(Corrupt, match="4097 characters, at most 4096") as refused:
        uploads().here(whole + "a", APP, ASKED)
    assert refused.value.told is Told.PLACE
    assert str(TARGET_LENGTH) in Told.PLACE


@given(position=st.integers(0, 10_000), into=st.sampled_from("AZaz09-_"))
def test_nobody_but_upstream_says_where_an_upload_goes_on(position: int, into: str) -> None:
    here = uploads().here(GAR, APP, ASKED)
    head, query = here.partition("?at=")[0], here.partition("?at=")[2]
    at = position % len(query)
    if query[at] in (into, "&", "=") or "&seal=" in query[at : at + 6] or query[at - 5 : at + 6].count("&seal="):
        return
    forged = f"{head}?at={query[:at]}{into}{query[at + 1 :]}"
    try:
        url = uploads().target(goes_on(forged)).url
    except Fault as fault:
        assert fault.code == "BLOB_UPLOAD_UNKNOWN"
    else:
        assert url == BASE + GAR  # only bits that base64 does not use were changed


def test_an_address_is_for_its_repository_and_its_key() -> None:
    here = uploads().here(GAR, APP, ASKED)
    with pytest.raises(Fault):
        uploads(key=b"j" * 32).target(goes_on(here))
    with pytest.raises(Fault):
        uploads().target(goes_on(here.replace("team/app", "team/other")))


def test_every_server_with_the_key_reads_it() -> None:
    assert uploads().target(goes_on(uploads().here(GAR, APP, ASKED))).url == BASE + GAR


def test_an_upstream_below_a_path_has_uploads_elsewhere_on_its_origin() -> None:
    base = "https://host.example/artifactory/docker"
    below = uploads(base=base)
    assert below.here(f"{base}/v2/team/app/blobs/uploads/1", APP, base) == "/v2/team/app/blobs/uploads/1"
    found = below.target(goes_on(below.here("/v2/team/app/blobs/uploads/1", APP, base)))
    assert (found.url, found.own) == ("https://host.example/v2/team/app/blobs/uploads/1", True)
