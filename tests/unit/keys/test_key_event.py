"""The row of the journal about a key: who, why, under which key book."""

from proxy.journal.event import EventKind
from proxy.keys.event import key_event
from proxy.trust.actor import Actor
from proxy.trust.keys import fingerprint
from tests.worlds.conversation import world


async def test_a_row_says_who_did_what_to_which_key_and_why() -> None:
    w = await world()
    key = w.store.keybook.ring().ours[0]
    row = key_event(EventKind.KEY_STATE, key, Actor("alice", "socket", "x" * 600, "r1"), {"to": "retired"}, w.ports)
    assert (row.at, row.kind, row.who, row.how) == (w.store.clock.now(), EventKind.KEY_STATE, "alice", "socket")
    assert (row.request_id, row.key_revision) == ("r1", w.store.keybook.ring().revision)
    told = {"profile": "release", "key": fingerprint(key.spki), "to": "retired", "reason": "x" * 500}
    assert row.detail == told
