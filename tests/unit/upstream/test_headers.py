from __future__ import annotations

from proxy.upstream.headers import from_upstream, is_plain, to_upstream


def test_repeated_headers_stay_repeated_and_in_order() -> None:
    sent = [("Accept", "a/b"), ("ACCEPT", "c/d"), ("accept", "e/f")]
    assert to_upstream(sent) == [("accept", "a/b"), ("accept", "c/d"), ("accept", "e/f")]


def test_only_named_headers_go_up() -> None:
    named = [
        ("content-type", "application/json"),
        ("content-range", "0-1"),
        ("range", "bytes=0-1"),
        ("if-none-match", '"x"'),
        ("if-match", '"x"'),
        ("user-agent", "docker/29"),
        ("docker-upload-uuid", "1"),
        ("oci-subject", "sha256:1"),
    ]
    others = ["authorization", "cookie", "host", "content-length", "expect", "accept-encoding", "transfer-encoding"]
    others += ["connection", "x-forwarded-for", "forwarded", "te", "upgrade", "proxy-authorization", "x-anything"]
    assert to_upstream([*named, *((name, "1") for name in others)]) == named


def test_values_that_are_read_differently_by_different_parsers_do_not_go_up() -> None:
    assert to_upstream([("user-agent", "a\r\nAuthorization: x"), ("accept", "\udce4"), ("accept", "ok/ok")]) == [
        ("accept", "ok/ok")
    ]


def test_the_connections_own_headers_do_not_come_down() -> None:
    came = [
        ("Connection", "close, X-Secret"),
        ("X-Secret", "1"),
        ("Keep-Alive", "5"),
        ("Upgrade", "h2c"),
        ("Trailer", "x"),
        ("Set-Cookie", "a=b"),
        ("Strict-Transport-Security", "max-age=1"),
        ("ETag", '"x"'),
        ("Docker-Content-Digest", "sha256:1"),
        ("Content-Length", "5"),
        ("Link", "<a>"),
        ("Link", "<b>"),
    ]
    assert from_upstream(came) == (
        ("etag", '"x"'),
        ("docker-content-digest", "sha256:1"),
        ("content-length", "5"),
        ("link", "<a>"),
        ("link", "<b>"),
    )


def test_a_length_beside_chunks_is_not_passed_on() -> None:
    assert from_upstream([("Transfer-Encoding", "chunked"), ("Content-Length", "5"), ("ETag", "x")]) == (("etag", "x"),)


def test_plain() -> None:
    assert is_plain("text/plain; q=0.5\t")
    assert not any(map(is_plain, ("\x1b[31m", "a\nb", "é", "\x00", "\x7f")))
