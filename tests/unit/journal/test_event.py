from __future__ import annotations

import re

import pytest

from proxy.journal.event import Event, EventKind
from tests.worlds.memory import NOON


def test_kinds_are_stored_as_words_of_one_shape_each_of_them_once() -> None:
    names = [kind.value for kind in EventKind.__members__.values()]
    assert len(set(names)) == len(names) == len(EventKind)
    assert all(re.fullmatch(r"[a-z]+\.[a-z_]+", name) for name in names)
    assert all(EventKind(name) is kind for name, kind in zip(names, EventKind, strict=True))


def test_an_event_nobody_asked_for_is_the_proxy_s_own_and_details_are_not_shared() -> None:
    one, other = Event(NOON, EventKind.STARTED), Event(NOON, EventKind.STARTED)
    assert (one.who, one.how, one.decision_id) == ("countersign", "", "")
    assert one == other
    with pytest.raises(TypeError):
        one.detail["who"] = "somebody"  # type: ignore[index]
