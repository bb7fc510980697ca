import pytest

from hsm import TokenSettings


def test_the_pin_is_not_shown() -> None:
    assert "canary" not in repr(TokenSettings(module="/m.so", label="a", pin="canary"))


def test_a_token_is_selected_by_something() -> None:
    with pytest.raises(ValueError, match="give its label or its serial"):
        TokenSettings(module="/m.so")
    assert TokenSettings(module="/m.so", serial="01").name == "token '01'"


@pytest.mark.parametrize("change", [{"sessions": 0}, {"queue": 0}])
def test_no_sessions_and_no_queue_serve_nobody(change: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        TokenSettings(module="/m.so", label="a", **change)  # type: ignore[arg-type]
