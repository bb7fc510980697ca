from dataclasses import replace
from datetime import timedelta

import pytest

from proxy.store.stages import standing
from proxy.trust.ledger import Stage
from tests.worlds.memory import NOON
from tests.worlds.stored import digest, intended, signed

LATER = NOON + timedelta(hours=1)
ATTACHED = replace(signed(), stage=Stage.ATTACHED, artifact=digest("carrier"))


@pytest.mark.parametrize("new", [intended(), signed(), ATTACHED], ids=lambda e: str(e.stage))
def test_where_nothing_is_the_new_one_stands(new: object) -> None:
    assert standing(None, new) is new  # type: ignore[arg-type]


def test_the_one_further_on_stands() -> None:
    ladder = [intended(), signed(), ATTACHED]
    for n, there in enumerate(ladder):
        for m, new in enumerate(ladder):
            assert standing(there, new) is (new if m > n else there)


def test_a_timestamp_is_added_once_and_only_to_the_signature_it_is_over() -> None:
    there, stamped = signed(), replace(signed(), timestamp=b"token")
    assert standing(there, stamped) is stamped
    assert standing(stamped, replace(stamped, timestamp=b"another")) is stamped
    assert standing(stamped, there) is stamped
    assert standing(there, replace(stamped, signature=b"another")) is there
    assert standing(ATTACHED, stamped) is ATTACHED, "what is attached stays the bytes it is"


def test_a_removed_signature_comes_back_as_it_was() -> None:
    removed = replace(ATTACHED, stage=Stage.REMOVED)
    for new in (intended(at=LATER), signed(at=LATER, signature=b"another")):
        assert standing(removed, new) == replace(removed, stage=Stage.SIGNED, artifact=None)


def test_a_removed_intent_has_nothing_to_come_back_with() -> None:
    new = replace(intended(), message=b"another")
    assert standing(replace(intended(), stage=Stage.REMOVED), new) is new
