import hsm
from hsm.errors import TokenError


def test_one_root_and_only_absence_of_an_answer_is_retryable() -> None:
    errors = [getattr(hsm, name) for name in hsm.__all__]
    raised = [error for error in errors if isinstance(error, type) and issubclass(error, Exception)]
    family = [error for error in raised if issubclass(error, TokenError)]
    assert family == raised
    assert {error.__name__ for error in family if error.retryable} == {"TokenUnavailable", "QueueFull"}
