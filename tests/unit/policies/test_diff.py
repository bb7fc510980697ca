from typing import Any

from proxy.policies.diff import differences, rendered

BLANK: dict[str, Any] = {"repositories": ["x"], "contact": None, "pull": {"mode": "enforce", "require": []}}


def policy(*repositories: str, **pull: Any) -> dict[str, Any]:
    return {**BLANK, "repositories": list(repositories), "pull": {**BLANK["pull"], **pull}}


def lines(old: list[dict[str, Any]], new: list[dict[str, Any]]) -> list[str]:
    return rendered(differences(old, new, BLANK))


def test_nothing_is_different_between_the_same_in_another_order() -> None:
    one, two = policy("a"), policy("b", mode="warn")
    assert lines([one, two], [two, one]) == []


def test_a_setting_is_named_with_what_it_was() -> None:
    assert lines([policy("a/**")], [policy("a/**", mode="warn")]) == [
        "changed a/**",
        '  - pull.mode: "enforce"',
        '  + pull.mode: "warn"',
    ]


def test_lists_are_compared_entry_by_entry_and_order_counts_when_nothing_else_does() -> None:
    assert lines([policy("a", require=[1, 2])], [policy("a", require=[2, 3])]) == [
        "changed a",
        "  - pull.require: 1",
        "  + pull.require: 3",
    ]
    assert lines([policy("a", require=[1, 2])], [policy("a", require=[2, 1])]) == [
        "changed a",
        "  - pull.require: [1, 2]",
        "  + pull.require: [2, 1]",
    ]


def test_added_and_removed_policies_show_what_is_not_as_usual() -> None:
    assert lines([policy("a", mode="off")], [policy("b", require=[1])]) == [
        "added b",
        "  + pull.require: 1",
        "removed a",
        '  - pull.mode: "off"',
        '  + pull.mode: "enforce"',
    ]


def test_a_policy_is_the_one_it_shares_most_patterns_with() -> None:
    changes = differences([policy("a", "b", "c"), policy("d")], [policy("a"), policy("b", "c", "d")], BLANK)
    assert [(c.repositories, c.change) for c in changes] == [
        (("a",), "added"),
        (("b", "c", "d"), "changed"),
        (("d",), "removed"),
    ]


def test_what_stands_in_it_is_inert() -> None:
    (_, line) = lines([policy("a")], [policy("a", mode="\x1b[31m\n")])[-2:]
    assert line.isprintable()
