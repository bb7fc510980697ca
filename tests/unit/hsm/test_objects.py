"""What is destroyed and what is not, on a session that is a list; real ones are in tests/contract."""

from __future__ import annotations

from typing import Any

import pytest
from pkcs11 import Attribute, ObjectClass

from hsm import wire
from hsm.objects import Objects, Refusal
from tests.worlds.softkey import SoftKey, soft_key

MINE, OTHER = soft_key(), soft_key()
REQUEST = wire.Destroy("0001", "01", "release", "ecdsa-p256", MINE.spki, 30)


class Thing(dict[Attribute, Any]):
    """An object on the token."""

    def __init__(self, there: list[Thing], **attributes: Any) -> None:
        super().__init__({Attribute[name]: value for name, value in attributes.items()})
        self._there = there
        there.append(self)

    def __missing__(self, _: Attribute) -> Any:
        raise IndexError

    @property
    def label(self) -> str:
        return str(self[Attribute.LABEL])

    def destroy(self) -> None:
        self._there[:] = [thing for thing in self._there if thing is not self]


class Session:
    """A token whose objects are in a list."""

    def __init__(self) -> None:
        self.there: list[Thing] = []

    def get_objects(self, wanted: dict[Attribute, Any]) -> list[Thing]:
        return [thing for thing in self.there if all(thing.get(a) == value for a, value in wanted.items())]

    def holds(self, key: SoftKey, key_id: bytes = b"\x01", *, private: int = 1, public: int = 1) -> None:
        for _ in range(private):
            Thing(self.there, CLASS=ObjectClass.PRIVATE_KEY, ID=key_id, LABEL="release")
        for _ in range(public):
            Thing(self.there, CLASS=ObjectClass.PUBLIC_KEY, ID=key_id, EC_POINT=key.spki[-65:])


def destroyed(session: Session, holder: SoftKey = MINE) -> wire.Destroyed:
    return Objects(session, set(), "token 'test'").destroy(REQUEST, lambda _, message: holder.sign(message))


def test_both_halves_go_and_other_keys_stay() -> None:
    session = Session()
    session.holds(MINE)
    session.holds(OTHER, b"\x02")
    assert destroyed(session) == wire.Destroyed(private=True, public=True)
    assert [thing[Attribute.ID] for thing in session.there] == [b"\x02", b"\x02"]


def test_a_half_that_an_interruption_left_goes_and_nothing_is_no_error() -> None:
    session = Session()
    session.holds(MINE, private=0)
    assert destroyed(session) == wire.Destroyed(private=False, public=True)
    session.holds(MINE, public=0)
    assert destroyed(session) == wire.Destroyed(private=True, public=False)
    assert destroyed(session) == wire.Destroyed(private=False, public=False)


def test_a_key_that_cannot_prove_itself_is_not_touched() -> None:
    session = Session()
    session.holds(OTHER)
    with pytest.raises(Refusal, match="is not the one of that public key"):
        destroyed(session, OTHER)
    assert len(session.there) == 2


def test_two_private_keys_of_one_id_are_not_touched() -> None:
    session = Session()
    session.holds(MINE, private=2)
    with pytest.raises(Refusal, match="2 private keys have id 01"):
        destroyed(session)
    assert len(session.there) == 3
