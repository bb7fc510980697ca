from dataclasses import replace
from datetime import timedelta

import pytest

from proxy.store.stages import merge
from proxy.trust.ledger import Stage
from tests.worlds.memory import NOON
from tests.worlds.stored import digest, intended, signed

LATER = NOON + timedelta(hours=1)
ATTACHED = replace(signed(), stage=Stage.ATTACHED, artifact=digest("carrier"))


@pytest.mark.parametrize("new", [intended(), signed(), ATTACHED], ids=lambda e: str(e.stage))
def test_where_nothing_is_the_new_one_stands(new: object) -> None:
    assert merge(None, new) is new  # type: ignore[arg-type]


def test_the_one_further_on_stands() -> None:
    ladder = [intended(), signed(), ATTACHED]
    for n, there in enumerate(ladder):
        for m, new in enumerate(ladder):
            assert merge(there, new) is (new if m > n else there)


def test_a_timestamp_is_added_once_and_only_to_the_signature_it_is_over() -> None:
    there, stamped = signed(), replace(signed(), timestamp=b"token")
    assert merge(there, stamped) is stamped
    assert merge(stamped, replace(stamped, timestamp=b"another")) is stamped
    assert merge(stamped, there) is stamped
    assert merge(there, replace(stamped, signature=b"another")) is there
    assert merge(ATTACHED, stamped) is ATTACHED, "what is attached stays the bytes it is"


def test_a_removed_signature_comes_back_as_it_was() -> None:
    removed = replace(ATTACHED, stage=Stage.REMOVED)
    for new in (intended(at=LATER), signed(at=LATER, signature=b"another")):
        assert merge(removed, new) == replace(removed, stage=Stage.SIGNED, artifact=None)


def test_a_removed_intent_has_nothing_to_come_back_with() -> None:
    new = replace(intended(), message=b"another")
    assert merge(replace(intended(), stage=Stage.REMOVED), new) is new
