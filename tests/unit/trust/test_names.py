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


def test_nobody_in_particular() -> None:
    assert (name_of(Anonymous("countersign")), how_of(Anonymous("countersign"))) == ("anonymous", "")
    assert same_name("Erika  M") == same_name("erika m")
