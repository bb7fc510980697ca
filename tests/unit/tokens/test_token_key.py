import pytest

from proxy.tokens.token_key import confirmed, may_leave
from proxy.trust.keys import fingerprint
from tests.worlds.memory import SoftSigner


@pytest.mark.parametrize(
    ("attributes", "says"),
    [
        ({"SENSITIVE": True, "EXTRACTABLE": False}, None),
        ({"SENSITIVE": True, "EXTRACTABLE": True}, "EXTRACTABLE is True"),
        ({"SENSITIVE": True, "EXTRACTABLE": None}, "EXTRACTABLE is not told"),
        ({"SENSITIVE": False}, "SENSITIVE is False, EXTRACTABLE is not told"),
    ],
)
def test_a_key_may_leave_unless_the_token_says_that_it_cannot(attributes: dict[str, bool], says: str | None) -> None:
    assert may_leave(attributes) == says


def test_twelve_digits_of_the_fingerprint_confirm_and_nothing_less() -> None:
    key = SoftSigner().create()
    name = fingerprint(key.spki)
    assert all(confirmed(typed, key) for typed in (name[:12], name[:12].upper(), name))
    wrong = "0" if name[11] != "0" else "1"
    assert not any(confirmed(typed, key) for typed in ("", name[:11], name[:11] + wrong, name + "0"))
