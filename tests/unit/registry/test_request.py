from __future__ import annotations

from proxy.registry.ports.upstream import Credential
from proxy.registry.request import Request, Response


def test_the_first_of_a_repeated_header_counts_and_none_is_none() -> None:
    request = Request(Credential(), "r", (("accept", "a"), ("accept", "b"), ("range", "")))
    assert request.header("accept") == "a"
    assert request.header("range") == ""
    assert request.header("cookie") is None


def test_neither_a_credential_nor_a_body_is_shown_where_a_request_is_printed() -> None:
    assert "canary" not in repr(Request(Credential("Basic canary"), "r"))
    assert "canary" not in repr(Response(200, (), b"canary"))
