from __future__ import annotations

import pytest

from proxy.oci.bounded import Bounded


def test_the_least_recently_used_goes_first_and_a_value_larger_than_all_is_not_kept() -> None:
    kept: Bounded[str, str] = Bounded(6, len)
    kept["a"], kept["b"], kept["c"] = "11", "22", "33"
    assert kept.get("a") == "11"
    kept["d"] = "44"
    assert (list(kept), kept.used, "b" in kept) == (["c", "a", "d"], 6, False)
    kept["d"] = "4444444"
    assert (list(kept), kept.used) == (["c", "a"], 4)
    with pytest.raises(KeyError):
        kept["d"]


def test_an_entry_ends_after_its_time_and_what_has_ended_is_dropped_at_the_next_one() -> None:
    now = [0.0]
    kept: Bounded[str, int] = Bounded(10, seconds=5, now=lambda: now[0])
    kept["a"] = 1
    now[0] = 4.9
    assert (kept.get("a"), kept["a"], kept.get("x", 7)) == (1, 1, 7)
    kept["b"] = 2
    now[0] = 5
    assert ("a" in kept, kept.get("a")) == (False, None)
    kept["c"] = 3
    assert list(kept) == ["b", "c"]
    now[0] = 99
    kept["d"] = 4
    assert (list(kept), kept.used) == (["d"], 1)


def test_nothing_is_kept_for_no_time_at_all() -> None:
    kept: Bounded[str, int] = Bounded(10, seconds=0)
    kept["a"] = 1
    assert (len(kept), kept.get("a")) == (0, None)


def test_entries_are_found_by_what_they_are_about_until_they_are_dropped() -> None:
    now = [0.0]
    kept: Bounded[str, str] = Bounded(3, seconds=5, now=lambda: now[0], subjects=lambda key, value: (key[0], value))
    kept["a1"], kept["a2"], kept["b1"] = "x", "y", "y"
    assert (kept.about("a"), kept.about("y"), kept.about("z")) == (["a1", "a2"], ["a2", "b1"], [])
    kept["a2"] = "x"
    assert (kept.about("y"), kept.about("x")) == (["b1"], ["a1", "a2"])
    kept.drop("a")
    assert (list(kept), kept._about) == (["b1"], {"b": {"b1": None}, "y": {"b1": None}})
    now[0] = 6
    assert kept.about("b") == []
    kept.clear()
    assert (kept.used, kept._about) == (0, {})
