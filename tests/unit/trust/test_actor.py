"""One principal: who it is, what it may access, and how much of what is shared."""

from dataclasses import replace

import pytest

from proxy.trust.actor import ON_THE_HOST, Actor
from proxy.trust.allotment import Rank
from proxy.trust.roles import Role

ERIKA = Actor("erika", "admin-token:a", "first", "r1", (Role.OPERATOR,), ("team/**",), "a")


def test_the_request_at_hand_is_no_part_of_who_it_is() -> None:
    again = replace(ERIKA, reason="second", request_id="r2")
    assert again == ERIKA
    assert again.key == ERIKA.key
    assert replace(ERIKA, scope=()) != ERIKA


@pytest.mark.parametrize(
    ("actor", "rank"),
    [
        (Actor("nobody", ""), Rank.SCOPED),
        (ERIKA, Rank.SCOPED),
        (replace(ERIKA, scope=()), Rank.WHOLE),
        (ON_THE_HOST, Rank.ABOVE),
    ],
)
def test_its_rank_comes_from_roles_and_scope_and_is_the_lowest_without(actor: Actor, rank: Rank) -> None:
    assert actor.rank is rank


def test_it_sees_the_repositories_of_its_scope_and_the_whole_only_without_one() -> None:
    assert [ERIKA.may_see(name) for name in ("team/app", "prod/app", "")] == [True, False, False]
    assert all(ON_THE_HOST.may_see(name) for name in ("team/app", ""))


def test_a_name_alone_is_not_this_host() -> None:
    assert ON_THE_HOST.on_the_host
    assert not Actor(ON_THE_HOST.name, "admin-token:a", token_id="a").on_the_host
    assert not Actor("erika", "socket").on_the_host
