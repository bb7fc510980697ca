"""The rule for which of two ledger entries of one signature is kept. Pure."""

from __future__ import annotations

from dataclasses import replace

from proxy.trust.ledger import Entry, Stage

_ORDER = (Stage.INTENDED, Stage.SIGNED, Stage.ATTACHED)


def merge(there: Entry | None, new: Entry) -> Entry:
    """Return the entry that is in the ledger after `new` was put.

    The entry that is further on is kept, and of two equal ones the first, except that a timestamp is added to a
    signature without one. A removed entry comes back with its signature and time, to be attached again as the same
    bytes: nothing is signed twice.
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
