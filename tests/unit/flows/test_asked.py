from __future__ import annotations

from proxy.flows.asked import Answer, Asked
from proxy.ports import Credential


def test_the_first_of_a_repeated_header_counts_and_none_is_none() -> None:
    asked = Asked(Credential(), "r", (("accept", "a"), ("accept", "b"), ("range", "")))
    assert asked.header("accept") == "a"
    assert asked.header("range") == ""
    assert asked.header("cookie") is None


def test_neither_a_credential_nor_a_body_is_shown_where_a_request_is_printed() -> None:
    assert "canary" not in repr(Asked(Credential("Basic canary"), "r"))
    assert "canary" not in repr(Answer(200, (), b"canary"))
