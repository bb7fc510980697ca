"""Which of two ledger entries about the same signature stands. Pure."""

from __future__ import annotations

from dataclasses import replace

from proxy.trust.ledger import Entry, Stage

_ORDER = (Stage.INTENDED, Stage.SIGNED, Stage.ATTACHED)


def merge(there: Entry | None, new: Entry) -> Entry:
    """Return the entry that is in the ledger after `new` was put.

    The one that is further on stays, and of two equal ones the first, but that a timestamp is added to a signature
    without. A removed one comes back with the signature and
    the time it had, to be attached again as the same bytes: nothing is signed twice.
    """
    if there is None:
        return new
    if there.stage is Stage.REMOVED:
        if there.signature is None:
            return new
        return replace(there, stage=Stage.SIGNED, artifact=None)
    if there.stage is new.stage is Stage.SIGNED and there.signature == new.signature and not there.timestamp:
        return new if new.timestamp else there
    return new if _ORDER.index(new.stage) > _ORDER.index(there.stage) else there
