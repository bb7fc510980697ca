"""Ledger: signed once, whatever is put again."""

import asyncio
from dataclasses import replace
from datetime import timedelta

from proxy.registry.ports.facts import Ledger
from proxy.trust.ledger import Stage
from tests.worlds.memory import NOON
from tests.worlds.stored import APP, OTHER, digest, intended, signature_key, signed

LATER = NOON + timedelta(minutes=5)


async def test_what_was_put_is_found_whole(ledger: Ledger) -> None:
    entry = replace(signed(), artifact=digest("carrier"))
    assert await ledger.find(entry.key) is None
    assert await ledger.put(entry) == entry
    assert await ledger.find(entry.key) == entry


async def test_a_timestamp_is_added_to_a_signature_that_is_there(ledger: Ledger) -> None:
    await ledger.put(signed())
    stamped = replace(signed(), timestamp=b"\x30\x00token")
    assert await ledger.put(stamped) == stamped
    assert await ledger.put(replace(stamped, timestamp=b"another")) == stamped
    assert await ledger.find(stamped.key) == stamped


async def test_every_part_of_the_key_counts(ledger: Ledger) -> None:
    key = signature_key()
    await ledger.put(intended(key))
    changes: list[dict[str, str]] = [
        {"repository": OTHER},
        {"digest": digest("another")},
        {"fingerprint": "0"},
        {"format": "sigstore-bundle"},
        {"bound": "reg.example/prod/app:1"},
    ]
    for change in changes:
        assert await ledger.find(replace(key, **change)) is None  # type: ignore[arg-type]


async def test_a_further_stage_replaces_an_earlier_one(ledger: Ledger) -> None:
    await ledger.put(intended())
    assert await ledger.put(signed(at=LATER)) == signed(at=LATER)
    assert await ledger.find(signature_key()) == signed(at=LATER)


async def test_what_is_further_on_stays(ledger: Ledger) -> None:
    await ledger.put(signed())
    assert await ledger.put(intended(at=LATER)) == signed()
    assert await ledger.find(signature_key()) == signed()


async def test_of_two_signatures_the_first_stands(ledger: Ledger) -> None:
    await ledger.put(signed(signature=b"first"))
    assert (await ledger.put(signed(signature=b"second"))).signature == b"first"


async def test_of_two_intents_the_first_stands(ledger: Ledger) -> None:
    await ledger.put(intended())
    stands = await ledger.put(replace(intended(), message=b"another time"))
    assert stands.message == intended().message


async def test_fifty_at_once_leave_one_signature(ledger: Ledger) -> None:
    stands = await asyncio.gather(*(ledger.put(signed(signature=bytes([n]))) for n in range(50)))
    found = await ledger.find(signature_key())
    assert found is not None
    assert {entry.signature for entry in stands} == {found.signature}


async def test_advance_moves_all_of_them_and_names_the_carrier(ledger: Ledger) -> None:
    keys = [signature_key(), signature_key(bound="reg.example/prod/app:1")]
    for key in keys:
        await ledger.put(signed(key))
    await ledger.advance(keys, Stage.ATTACHED, digest("carrier"))
    for key in keys:
        expected = replace(signed(key), stage=Stage.ATTACHED, artifact=digest("carrier"))
        assert await ledger.find(key) == expected


async def test_advance_without_a_carrier_keeps_the_one_there(ledger: Ledger) -> None:
    await ledger.put(replace(signed(), artifact=digest("carrier")))
    await ledger.advance([signature_key()], Stage.REMOVED)
    found = await ledger.find(signature_key())
    assert found is not None
    assert (found.stage, found.artifact) == (Stage.REMOVED, digest("carrier"))


async def test_advance_of_what_is_not_there_adds_nothing(ledger: Ledger) -> None:
    await ledger.advance([signature_key()], Stage.ATTACHED)
    await ledger.advance([], Stage.ATTACHED)
    assert await ledger.find(signature_key()) is None


async def test_entries_are_of_one_digest_in_one_repository_newest_first(ledger: Ledger) -> None:
    old, new = signature_key(), signature_key(bound="reg.example/prod/app:1")
    await ledger.put(signed(new, LATER))
    await ledger.put(signed(old, NOON))
    await ledger.put(signed(signature_key("another")))
    await ledger.put(signed(signature_key(repository=OTHER)))
    assert await ledger.entries(APP, digest("image")) == (signed(new, LATER), signed(old, NOON))


async def test_what_is_bound_to_one_name_is_found_whatever_was_signed(ledger: Ledger) -> None:
    name = "reg.example/prod/app:1"
    old, new = signature_key("old", bound=name), signature_key("new", bound=name)
    await ledger.put(signed(new, LATER))
    await ledger.put(intended(old, NOON))
    await ledger.put(signed(signature_key("old")))
    await ledger.put(signed(signature_key("old", bound=name + "0")))
    await ledger.put(signed(signature_key("old", bound=name, repository=OTHER)))
    assert await ledger.bound(APP, name) == (signed(new, LATER), intended(old, NOON))
    await ledger.advance([new], Stage.REMOVED)
    assert await ledger.bound(APP, name) == (intended(old, NOON),)
    assert await ledger.bound(APP, "reg.example/prod/app:2") == ()


async def test_entries_of_one_moment_are_in_order_of_arrival(ledger: Ledger) -> None:
    keys = [signature_key(bound=f"reg.example/prod/app:{n}") for n in range(3)]
    for key in keys:
        await ledger.put(intended(key))
    assert [entry.key for entry in await ledger.entries(APP, digest("image"))] == keys[::-1]


async def test_removed_ones_are_left_out_and_come_back_with_the_signature_they_had(ledger: Ledger) -> None:
    await ledger.put(replace(signed(signature=b"first"), artifact=digest("carrier")))
    await ledger.advance([signature_key()], Stage.REMOVED)
    assert await ledger.entries(APP, digest("image")) == ()
    again = await ledger.put(intended(at=LATER))
    assert again == signed(at=NOON, signature=b"first")
    assert await ledger.entries(APP, digest("image")) == (again,)


async def test_a_removed_intent_starts_anew(ledger: Ledger) -> None:
    await ledger.put(intended())
    await ledger.advance([signature_key()], Stage.REMOVED)
    assert await ledger.put(intended(at=LATER)) == intended(at=LATER)


async def test_what_was_removed_meanwhile_is_not_attached_by_who_comes_late(ledger: Ledger) -> None:
    await ledger.put(signed())
    await ledger.advance([signature_key()], Stage.REMOVED)
    await ledger.advance([signature_key()], Stage.ATTACHED, digest("carrier"))
    found = await ledger.find(signature_key())
    assert found is not None
    assert (found.stage, found.artifact) == (Stage.REMOVED, None)
    assert await ledger.entries(APP, digest("image")) == ()
