from __future__ import annotations

import pytest
from hypothesis import given

from proxy.oci import operation as o
from proxy.oci.faults import Fault
from proxy.oci.limits import Limits
from proxy.oci.paths import ALLOWED, PATH_LENGTH, SESSION_LENGTH, parse, render
from proxy.oci.reference import parse_digest, parse_repository, parse_tag
from tests.worlds.strategies import operations

HEX = "0123456789abcdef" * 4
TEXT = f"sha256:{HEX}"
DIGEST = parse_digest(TEXT)
NAME = parse_repository("team/app")
LATEST = parse_tag("latest")

TABLE: list[tuple[str, str, str, o.Operation]] = [
    ("GET", "/v2/", "", o.CheckApi()),
    ("HEAD", "/v2/", "", o.CheckApi(head=True)),
    ("GET", "/v2", "", o.CheckApi()),
    ("GET", "/v2/_catalog", "n=&last=", o.ListRepositories()),
    ("GET", "/v2/_catalog", "n=5&last=team%2Fapp", o.ListRepositories(5, "team/app")),
    ("GET", "/v2/team/app/tags/list", "n=0", o.ListTags(NAME, 0)),
    ("GET", f"/v2/team/app/referrers/{TEXT}", "", o.ListReferrers(NAME, DIGEST)),
    ("GET", "/v2/team/app/manifests/latest", "", o.PullManifest(NAME, LATEST)),
    ("HEAD", f"/v2/team/app/manifests/{TEXT}", "", o.PullManifest(NAME, DIGEST, head=True)),
    ("PUT", "/v2/team/app/manifests/latest", "", o.PushManifest(NAME, LATEST)),
    ("DELETE", "/v2/team/app/manifests/latest", "", o.DeleteManifest(NAME, LATEST)),
    ("GET", f"/v2/team/app/blobs/{TEXT}", "", o.PullBlob(NAME, DIGEST)),
    ("HEAD", f"/v2/team/app/blobs/{TEXT}", "", o.PullBlob(NAME, DIGEST, head=True)),
    ("DELETE", f"/v2/team/app/blobs/{TEXT}", "", o.DeleteBlob(NAME, DIGEST)),
    ("POST", "/v2/team/app/blobs/uploads/", "", o.StartUpload(NAME)),
    ("POST", "/v2/team/app/blobs/uploads/", f"digest={TEXT}", o.StartUpload(NAME, DIGEST)),
    ("POST", "/v2/team/app/blobs/uploads/", f"mount={TEXT}", o.StartUpload(NAME, None, DIGEST)),
    ("GET", "/v2/team/app/blobs/uploads/u-1", "_state=a%3D%3d", o.UploadStatus(NAME, "u-1", (("_state", "a%3D%3d"),))),
    ("HEAD", "/v2/team/app/blobs/uploads/u-1", "", o.UploadStatus(NAME, "u-1", head=True)),
    ("PATCH", "/v2/team/app/blobs/uploads/u-1", "", o.UploadChunk(NAME, "u-1")),
    ("OPTIONS", "/v2", "", o.Options(o.CheckApi())),
    ("OPTIONS", "/v2/team/app/manifests/latest", "x=y", o.Options(o.PullManifest(NAME, LATEST))),
    ("OPTIONS", "/v2/team/app/tags/list", "n=x", o.Options(o.ListTags(NAME))),
    ("OPTIONS", "/v2/team/app/blobs/uploads/", f"mount={TEXT}", o.Options(o.StartUpload(NAME))),
    (
        "OPTIONS",
        "/v2/team/app/blobs/uploads/u-1",
        "_state=x",
        o.Options(o.UploadStatus(NAME, "u-1", (("_state", "x"),))),
    ),
    ("DELETE", "/v2/team/app/blobs/uploads/u-1", "", o.CancelUpload(NAME, "u-1")),
    (
        "PUT",
        "/v2/team/app/blobs/uploads/u-1",
        f"_state=x&digest={TEXT}&k",
        o.FinishUpload(NAME, "u-1", DIGEST, (("_state", "x"), ("k", ""))),
    ),
]


@pytest.mark.parametrize(("method", "path", "query", "expected"), TABLE)
def test_each_request_line_is_its_operation(method: str, path: str, query: str, expected: o.Operation) -> None:
    assert parse(method, path, query) == expected


@given(operations())
def test_what_is_rendered_is_read_back_as_the_same(op: o.Operation) -> None:
    method, target = render(op)
    path, _, query = target.partition("?")
    assert parse(method, path, query) == op


@pytest.mark.parametrize(
    ("path", "name", "kind"),
    [
        ("/v2/a/blobs/uploads/manifests/latest", "a/blobs/uploads", o.PullManifest),
        ("/v2/a/manifests/tags/list", "a/manifests", o.ListTags),
        ("/v2/a/blobs/uploads/tags/list", "a/blobs/uploads", o.ListTags),
        ("/v2/a/tags/manifests/list", "a/tags", o.PullManifest),
        ("/v2/blobs/uploads/blobs/uploads/list", "blobs/uploads", o.UploadStatus),
        (f"/v2/manifests/blobs/{TEXT}", "manifests", o.PullBlob),
        (f"/v2/v2/referrers/referrers/{TEXT}", "v2/referrers", o.ListReferrers),
    ],
)
def test_words_of_the_paths_may_be_parts_of_names(path: str, name: str, kind: type) -> None:
    op = parse("GET", path)
    assert isinstance(op, kind)
    assert getattr(op, "repository") == name  # noqa: B009 -- not every operation has one, these do


def test_a_session_never_reads_as_the_start_of_another_upload() -> None:
    with pytest.raises(Fault) as refused:
        parse("GET", "/v2/a/blobs/uploads/")
    assert (refused.value.status, refused.value.headers["Allow"]) == (405, "POST")


@pytest.mark.parametrize(("endpoint", "path"), [
    ("api", "/v2/"),
    ("catalog", "/v2/_catalog"),
    ("tags", "/v2/a/tags/list"),
    ("referrers", f"/v2/a/referrers/{TEXT}"),
    ("manifests", "/v2/a/manifests/b"),
    ("blobs", f"/v2/a/blobs/{TEXT}"),
    ("uploads", "/v2/a/blobs/uploads/"),
    ("upload", "/v2/a/blobs/uploads/b"),
])  # fmt: skip
def test_other_methods_are_answered_with_those_there_are(endpoint: str, path: str) -> None:
    every = {"GET", "HEAD", "PUT", "POST", "PATCH", "DELETE", "LOCK", "TRACE", "CONNECT", "get", "GET\r\n", ""}
    for method in every - {*ALLOWED[endpoint]}:
        with pytest.raises(Fault) as refused:
            parse(method, path)
        assert (refused.value.code, refused.value.status) == ("UNSUPPORTED", 405)
        assert refused.value.headers == {"Allow": ", ".join(ALLOWED[endpoint])}


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/", "NAME_UNKNOWN"),
        ("/v2x", "NAME_UNKNOWN"),
        ("/v1/a/manifests/b", "NAME_UNKNOWN"),
        ("/v2/a", "NAME_UNKNOWN"),
        ("/v2/_catalog/", "NAME_UNKNOWN"),
        ("/v2/a/tags/list/", "NAME_UNKNOWN"),
        ("/v2/a/manifests/", "NAME_UNKNOWN"),
        ("/v2/a/blobs/", "NAME_UNKNOWN"),
        ("/v2/_oci/ext/discover", "NAME_UNKNOWN"),
        ("/v2/manifests/latest", "NAME_INVALID"),
        ("/v2/tags/list", "NAME_INVALID"),
        ("/v2/A/manifests/b", "NAME_INVALID"),
        ("/v2/a/manifests/.hidden", "MANIFEST_INVALID"),
        ("/v2/a/blobs/uploads", "DIGEST_INVALID"),
        ("/v2/a/referrers/latest", "DIGEST_INVALID"),
        (f"/v2/a/blobs/uploads/{TEXT}", "BLOB_UPLOAD_INVALID"),
        (f"/v2/a/blobs/uploads/{'u' * (SESSION_LENGTH + 1)}", "BLOB_UPLOAD_INVALID"),
        (f"/v2/{'a' * 3000}/manifests/b", "NAME_INVALID"),
    ],
)
def test_what_has_no_name_is_refused_by_code(path: str, code: str) -> None:
    with pytest.raises(Fault) as refused:
        parse("GET", path)
    assert refused.value.code == code


def test_the_number_of_entries_is_bounded_by_the_limits_given() -> None:
    assert parse("GET", "/v2/_catalog", "n=50", Limits(list_entries=7)) == o.ListRepositories(7)


def test_an_upload_ends_with_a_digest_or_not_at_all() -> None:
    with pytest.raises(Fault, match="digest= is missing"):
        parse("PUT", "/v2/a/blobs/uploads/u", "_state=x")


def test_a_source_without_a_mount_means_nothing() -> None:
    assert parse("POST", "/v2/a/blobs/uploads/", "from=b") == o.StartUpload(parse_repository("a"))


def test_too_many_tags_at_once_are_refused() -> None:
    with pytest.raises(Fault, match="at once"):
        parse("PUT", f"/v2/a/manifests/{TEXT}", "&".join(f"tag=t{n}" for n in range(33)))


def test_paging_parameters_are_bounded() -> None:
    with pytest.raises(Fault, match="paging parameters"):
        parse("GET", f"/v2/a/referrers/{TEXT}", "next=" + "x" * 2048)


@pytest.mark.parametrize(
    ("path", "told"),
    [
        (f"/v2/{'n' * 256}/tags/list", "256 characters, at most 255"),
        (f"/v2/a/manifests/{'t' * 129}", "129 characters, at most 128"),
        (
            f"/v2/a/blobs/uploads/{'u' * (SESSION_LENGTH + 1)}",
            f"{SESSION_LENGTH + 1} characters, at most {SESSION_LENGTH}",
        ),
        ("/v2/" + "n" * PATH_LENGTH, f"path of {PATH_LENGTH + 4} characters; at most {PATH_LENGTH} are read"),
    ],
)
def test_what_is_too_long_is_told_with_its_length(path: str, told: str) -> None:
    with pytest.raises(Fault, match=told):
        parse("GET", path)


def test_what_is_as_long_as_may_be_is_read() -> None:
    for path in (f"/v2/{'n' * 255}/manifests/{'t' * 128}", f"/v2/a/blobs/uploads/{'u' * SESSION_LENGTH}"):
        assert render(parse("GET", path)) == ("GET", path)
