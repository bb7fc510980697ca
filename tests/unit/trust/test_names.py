import pytest

from proxy.trust.names import is_reserved, name_refusal, same_name
from proxy.trust.question import Anonymous, Named, how_of, name_of


@pytest.mark.parametrize(
    "name",
    [
        "countersign", "Countersign", "COUNTERSIGN  init", "operator on the host", "operator-on-the-host", "bootstrap",
        "anonymous", "root", "System", "no body", "counter\u200bsign",
        "\uff43ountersign", " countersign\u00a0", "countersign.",
    ],
)  # fmt: skip
def test_what_looks_like_a_name_of_ours(name: str) -> None:
    assert is_reserved(name)
    assert name_refusal(name) is not None
    assert name_of(Named(name, "basic")) == f"{name} (registry)"
    assert how_of(Named(name, "basic")) == "basic"


@pytest.mark.parametrize("name", ["erika", "countersigner", "root1", "operator", "m\u00fcller", "host"])
def test_what_does_not(name: str) -> None:
    assert not is_reserved(name)
    assert name_of(Named(name, "token")) == name


@pytest.mark.parametrize(
    "name", ["J\u00fcrgen", "\u0141ukasz Wa\u0142\u0119sa", "Ren\u00e9e", "\u015eule", "S\u00f8ren-2"]
)
def test_a_person_with_an_umlaut_could_have_no_token(name: str) -> None:
    assert name_refusal(name) is None


@pytest.mark.parametrize(("one", "other"), [("J\u00fcrgen", "jurgen"), ("\u0141uka", "luka"), ("S\u00f8ren", "SOREN")])
def test_names_that_differ_in_marks_alone_are_one_name(one: str, other: str) -> None:
    assert same_name(one) == same_name(other)


@pytest.mark.parametrize(
    "name",
    [
        "\u0430lice", "\u03b1lice", "al\u0131ce", "\uff21lice", "Ju\u0308rgen", "\u5f20\u4f1f", "a\u200bb",
        "a\u00d7b", "\u017foren", "c\u00f6untersign", "R\u00f6\u00f6t", "bootst\u0155ap",
    ],
)  # fmt: skip
def test_names_that_look_like_others_are_refused(name: str) -> None:
    """Cyrillic, Greek, dotless, full width, decomposed, other scripts, invisible; our own names with marks."""
    assert name_refusal(name) is not None


def test_nobody_in_particular() -> None:
    assert (name_of(Anonymous("countersign")), how_of(Anonymous("countersign"))) == ("anonymous", "")
    assert same_name("Erika  M") == same_name("erika m")
