from __future__ import annotations

from proxy.registry.reading.recall import EACH, Recall

NOW = 100.0


def mac(n: int) -> bytes:
    return n.to_bytes(32, "big")


def recall(entries: int = 10_000) -> Recall:
    return Recall(entries, lambda: NOW)


def test_an_answer_is_one_credentials_for_one_right_in_one_repository_until_its_end() -> None:
    r = recall()
    r.tell(mac(1), "read", "team/app", NOW + 1)
    assert r.holds(mac(1), "read", "team/app")
    for other in ((mac(2), "read", "team/app"), (mac(1), "push", "team/app"), (mac(1), "read", "team/other")):
        assert not r.holds(*other)
    r.tell(mac(1), "read", "team/app", NOW)
    assert not r.holds(mac(1), "read", "team/app")


def test_no_repository_is_read_as_a_part_of_another_name() -> None:
    r = recall()
    r.tell(mac(1), "read", "a", NOW + 1)
    assert not r.holds(mac(1), "reada", "")


def test_one_credential_cannot_have_more_than_its_own_bound() -> None:
    r = recall()
    for n in range(EACH + 10):
        r.tell(mac(1), "read", f"r{n}", NOW + 1)
    assert len(r) == EACH + 1
    assert not r.holds(mac(1), "read", "r9")
    assert r.holds(mac(1), "read", f"r{EACH + 9}")


def test_all_together_are_bounded_and_who_is_asked_about_stays() -> None:
    r = recall(entries=100)
    r.tell(mac(0), "read", "r", NOW + 1)
    for n in range(1, 500):
        r.tell(mac(n), "read", "r" * 255, NOW + 1)
        assert r.holds(mac(0), "read", "r")
        assert len(r) <= 100
    assert not r.holds(mac(1), "read", "r" * 255)


def test_what_is_dropped_and_forgotten_is_counted_no_more() -> None:
    r = recall()
    for right in ("read", "push"):
        r.tell(mac(1), right, "r", NOW + 1)
    r.drop(mac(1), "read", "r")
    assert not r.holds(mac(1), "read", "r")
    assert r.holds(mac(1), "push", "r")
    assert len(r) == 2
    r.drop(mac(1), "push", "r")
    assert len(r) == 0
    r.tell(mac(1), "read", "r", NOW + 1)
    r.forget(mac(1))
    r.forget(mac(2))
    assert len(r) == 0
