import pytest

from proxy.trust.allotment import Allotment, Rank, allotment, rank_of
from proxy.trust.roles import Role


@pytest.mark.parametrize(
    ("roles", "repositories", "rank"),
    [
        ((Role.OPERATOR,), ("team/x",), Rank.SCOPED),
        ((Role.POLICY_ADMIN, Role.KEY_ADMIN), ("**",), Rank.SCOPED),
        ((Role.OPERATOR, Role.AUDITOR), (), Rank.WHOLE),
        ((Role.POLICY_ADMIN,), (), Rank.ABOVE),
        ((Role.KEY_ADMIN,), (), Rank.ABOVE),
        ((), (), Rank.WHOLE),
    ],
)
def test_the_rank_of_a_holder(roles: tuple[Role, ...], repositories: tuple[str, ...], rank: Rank) -> None:
    assert rank_of(roles, repositories) is rank


def test_each_rank_leaves_the_rest_to_those_above() -> None:
    assert [allotment(1000, 50, "x", rank) for rank in Rank] == [
        Allotment("x", 50, 500),
        Allotment("x", 250, 750),
        Allotment("x", 500, 1000),
    ]
    assert [allotment(1, 50, "x", rank) for rank in Rank] == [Allotment("x", 1, 1)] * 3


def test_one_holder_has_so_many_in_whatever_spelling() -> None:
    room = Allotment("Team X", 2, 10)
    assert room.refusal(["team x", "other"], "things", "stop") is None
    assert room.refusal(["team x", "TEAM  X"], "things", "stop") == (
        "'Team X' has 2 things, and one holder has no more; stop"
    )


def test_all_together_have_so_many() -> None:
    room = Allotment("x", 2, 3)
    assert room.refusal(["a", "b"], "things", "stop") is None
    assert room.refusal(["a", "b", "c"], "things", "stop") == (
        "there are 3 things, and the rest is kept for holders above 'x'; stop"
    )
