"""Which policies are in force: those of the file, or the newest revision that can be read; never fewer checks."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from proxy.config import Settings
from proxy.config.policy_file import PolicyFile
from proxy.journal.event import EventKind
from proxy.journal.problem import ProblemId
from proxy.oci.faults import ConfigError, Corrupt, Fault, Unavailable
from proxy.oci.reference import Repository
from proxy.policies.in_force import Policies, RulesInForce, Taken
from proxy.policies.process import Here
from proxy.policies.revision import Change, PolicyRevision
from proxy.trust.actor import Actor
from proxy.trust.policy import Policy, PolicySet
from tests.unit.config.test_settings import SIGNING, parse
from tests.worlds.memory import MemoryStore

ERIKA = Actor("erika", "socket", "r")
API = SIGNING + "policies_from: api\n"
TEXT = SIGNING[SIGNING.index("policies:") :]
OTHER = TEXT.replace("prod/**", "live/**")
NOBODY = TEXT.replace("signed_by: [release]", "signed_by: [nobody]")


def made(store: MemoryStore, settings: Settings) -> tuple[Policies, RulesInForce]:
    rules = RulesInForce(PolicySet("", ()))
    return Policies(settings, store.policy_book, rules, store.journal, store.clock, Here()), rules


async def started(store: MemoryStore, text: str = API) -> tuple[Policies, RulesInForce]:
    settings = parse(text)
    policies, rules = made(store, settings)
    policies.put(settings, await policies.taken(settings))
    return policies, rules


def patterns(rules: RulesInForce) -> list[str]:
    return [pattern for policy in rules.current().policies for pattern in policy.repositories]


def change(text: str, base: int, **more: object) -> Change:
    return replace(Change(text, "p.yaml", base, ERIKA), **more)  # type: ignore[arg-type]


async def follow(store: MemoryStore, text: str) -> PolicyRevision:
    """Add a revision as another process, or a hand in the store, would: not looked at here."""
    number, parent = await store.policy_book.tip()
    new = PolicyRevision(number + 1, parent, text, "p", store.clock.now(), "other", "socket", "theirs")
    store.policy_book.rows.append(new)
    return new


async def test_the_file_is_the_first_revision_once() -> None:
    store = MemoryStore()
    first, rules = await started(store)
    assert patterns(rules) == ["prod/**"]
    (row,) = store.policy_book.rows
    assert (row.text, row.number, row.how) == (TEXT, 1, "file")
    assert store.journal.kinds() == [EventKind.POLICY_CHANGED]
    again, rules = await started(store, API.replace("prod/**", "changed/**"))
    assert patterns(rules) == ["prod/**"]
    assert store.policy_book.rows == [row]
    assert "is another matter, and not in force" in again.described
    assert "another matter" not in first.described


async def test_with_the_file_nothing_is_stored_or_followed() -> None:
    store = MemoryStore()
    policies, rules = await started(store, SIGNING)
    await follow(store, OTHER)
    await policies.refresh()
    assert patterns(rules) == ["prod/**"]
    assert policies.source == {"policies_from": "file"}
    with pytest.raises(Fault, match=r"pinned to /etc/countersign/countersign\.yaml"):
        await policies.change(change(OTHER, 1))


async def test_what_another_process_adds_is_followed_and_recorded() -> None:
    store = MemoryStore()
    one, rules_of_one = await started(store)
    other, rules_of_other = await started(store)
    assert await one.change(change(OTHER, 1))
    assert (patterns(rules_of_one), patterns(rules_of_other)) == (["live/**"], ["prod/**"])
    await other.refresh()
    assert patterns(rules_of_other) == ["live/**"]
    assert other.source == {"policies_from": "api", "policies_number": 2}
    assert store.journal.kinds()[-1] is EventKind.POLICY_LOADED
    await other.refresh()
    assert store.journal.kinds().count(EventKind.POLICY_LOADED) == 1


async def test_a_newer_revision_that_means_nothing_leaves_the_old_one_in_force_loudly() -> None:
    store = MemoryStore()
    policies, rules = await started(store)
    await follow(store, NOBODY)
    await policies.refresh()
    assert patterns(rules) == ["prod/**"]
    (problem,) = policies.problems()
    assert "found nobody" in problem.what
    assert "revision 1 stays in force" in problem.stops
    await follow(store, OTHER)
    await policies.refresh()
    assert policies.problems() == []
    assert patterns(rules) == ["live/**"]


async def test_a_start_is_refused_with_the_reason_and_what_to_type() -> None:
    store = MemoryStore()
    await started(store)
    await follow(store, NOBODY)
    with pytest.raises(ConfigError) as refused:
        await started(store)
    assert "revision 2 of the policies (by other" in str(refused.value)
    assert "policies[0].pull.require[0].signed_by[0]: found nobody" in str(refused.value)
    assert "countersign policy revert NUMBER --offline" in str(refused.value)


async def test_an_altered_revision_is_never_put_in_force(monkeypatch: pytest.MonkeyPatch) -> None:
    store = MemoryStore()
    policies, rules = await started(store)

    async def altered() -> PolicyRevision:
        raise Corrupt("revision 2 was altered in the store")

    monkeypatch.setattr(store.policy_book, "newest", altered)
    await policies.refresh()
    assert patterns(rules) == ["prod/**"]
    assert "was altered" in policies.problems()[0].what
    with pytest.raises(ConfigError, match="was altered"):
        await started(store)


async def test_of_two_changes_from_one_revision_one_is_told_of_the_other() -> None:
    store = MemoryStore()
    one, _ = await started(store)
    other, _ = await started(store)
    third = TEXT.replace("prod/**", "third/**")
    done = await asyncio.gather(one.change(change(OTHER, 1)), other.change(change(third, 1)), return_exceptions=True)
    (refused,) = [each for each in done if isinstance(each, Fault)]
    assert refused.status == 409
    assert "made from revision 1" in refused.message
    (won,) = store.policy_book.rows[1:]
    assert ("live/**" if won.text == OTHER else "third/**") in refused.message


async def test_a_base_that_never_was_is_named() -> None:
    policies, _ = await started(MemoryStore())
    with pytest.raises(Fault, match="no revision 7; the newest is 1"):
        await policies.change(change(OTHER, 7))


async def test_a_commit_of_unknown_outcome_is_settled_by_looking(monkeypatch: pytest.MonkeyPatch) -> None:
    store = MemoryStore()
    policies, rules = await started(store)
    append = store.policy_book.append

    async def lost(revision: PolicyRevision, canonical: str, event: object, then: object = None) -> bool:
        await append(revision, canonical, event)  # type: ignore[arg-type]
        then(None)  # type: ignore[operator]
        raise Unavailable("store: the connection broke")

    monkeypatch.setattr(store.policy_book, "append", lost)
    with pytest.raises(Unavailable):
        await policies.change(change(OTHER, 1))
    assert policies.unsure
    assert patterns(rules) == ["prod/**"]
    await policies.refresh()
    assert patterns(rules) == ["live/**"]
    assert not policies.unsure


async def test_more_text_than_is_read_is_refused() -> None:
    policies, _ = await started(MemoryStore())
    with pytest.raises(Fault, match="at most 256 KiB"):
        await policies.checked("#" * 300_000, "p.yaml")


async def test_patterns_that_take_long_to_compare_are_refused() -> None:
    policies, _ = await started(MemoryStore())
    many = ",".join(f"a{n}/*/x" for n in range(1001))
    with pytest.raises(Fault, match="patterns of 3003 parts together; allowed here: at most 3000"):
        await policies.checked(f"policies: [{{repositories: [{many}]}}]", "p.yaml")


async def parsing(
    monkeypatch: pytest.MonkeyPatch, policies: Policies, text: str
) -> tuple[asyncio.Event, asyncio.Event]:
    """The reading of this text begins when the first says so, and ends when the second one is set."""
    begun, hold, checked = asyncio.Event(), asyncio.Event(), policies.checked

    async def slow(what: str, name: str, *, urgent: bool) -> PolicyFile:
        if what == text:
            begun.set()
            await hold.wait()
        return await checked(what, name, urgent=urgent)

    monkeypatch.setattr(policies, "checked", slow)
    return begun, hold


async def test_nothing_is_held_while_a_text_is_read_so_others_are_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    store = MemoryStore()
    policies, rules = await started(store)
    third = TEXT.replace("prod/**", "third/**")
    begun, hold = await parsing(monkeypatch, policies, third)
    slow = asyncio.create_task(policies.change(change(third, 1)))
    await begun.wait()
    assert not policies.lock.locked()
    await follow(store, OTHER)
    await policies.refresh()
    assert patterns(rules) == ["live/**"]
    hold.set()
    with pytest.raises(Fault, match="made from revision 1"):
        await slow
    assert patterns(rules) == ["live/**"]


async def test_what_was_read_slowly_never_replaces_what_was_put_in_force_meanwhile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = MemoryStore()
    policies, rules = await started(store)
    await follow(store, OTHER)
    begun, hold, taken = asyncio.Event(), asyncio.Event(), policies.taken

    async def slow(settings: Settings) -> Taken:
        found = await taken(settings)
        begun.set()
        await hold.wait()
        return found

    monkeypatch.setattr(policies, "taken", slow)
    following = asyncio.create_task(policies.refresh())
    await begun.wait()
    third = TEXT.replace("prod/**", "third/**")
    assert await policies.change(change(third, 2))
    hold.set()
    await following
    assert patterns(rules) == ["third/**"]
    assert policies.revision == store.policy_book.rows[-1]


async def test_what_was_read_under_the_configuration_of_before_is_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    store = MemoryStore()
    policies, rules = await started(store)
    begun, hold = await parsing(monkeypatch, policies, OTHER)
    slow = asyncio.create_task(policies.change(change(OTHER, 1)))
    await begun.wait()
    new = parse(API)
    policies.put(new, await policies.taken(new))
    hold.set()
    assert await slow
    assert policies.settings is new
    assert patterns(rules) == ["live/**"]


async def test_what_is_in_force_is_not_parsed_again_and_what_is_unsure_stays_so_until_it_was_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = MemoryStore()
    policies, _ = await started(store)
    policies.unsure = True

    async def never(_: Settings) -> Taken:
        raise AssertionError("parsed again")

    async def away() -> PolicyRevision:
        raise Unavailable("store: gone")

    monkeypatch.setattr(policies, "taken", never)
    with monkeypatch.context() as m:
        m.setattr(store.policy_book, "newest", away)
        with pytest.raises(Unavailable):
            await policies.refresh()
    assert policies.unsure
    await policies.refresh()
    assert not policies.unsure


async def test_a_revision_that_takes_long_to_come_is_said_and_no_more_once_it_is_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = MemoryStore()
    policies, rules = await started(store)
    await follow(store, OTHER)
    with monkeypatch.context() as m:

        async def away(_: Settings) -> Taken:
            raise Unavailable("the reader is busy")

        m.setattr(policies, "taken", away)
        for _ in range(2):
            with pytest.raises(Unavailable):
                await policies.refresh()
            assert policies.problems() == []
            store.clock.advance(3)
    (problem,) = policies.problems()
    assert problem.what == "a newer revision of the policies is not in force here: it could not be read yet"
    assert "revision 1 stays in force" in problem.stops
    assert problem.id is ProblemId.POLICIES
    await policies.refresh()
    assert policies.problems() == []
    assert patterns(rules) == ["live/**"]


def test_what_was_put_in_force_last_is_in_force() -> None:
    rules = RulesInForce(PolicySet("one", ()))
    assert rules.current().revision == "one"
    before = rules.current()
    rules.replace(PolicySet("two", (Policy(("**",)),)))
    assert rules.current().revision == "two"
    assert rules.current().for_(Repository("a")) is not None
    assert before.for_(Repository("a")) is None
