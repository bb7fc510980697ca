import pytest

from proxy.cli.printed import coloured


class _Terminal:
    def isatty(self) -> bool:
        return True


def test_a_difference_is_coloured_for_people_only(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = ["changed **", "  - a", "  + b\x1b"]
    assert coloured(lines) == ["changed **", "  - a", "  + b\\x1b"]
    monkeypatch.setattr("sys.stdout", _Terminal())
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert coloured(lines) == ["\x1b[1mchanged **\x1b[0m", "\x1b[31m  - a\x1b[0m", "\x1b[32m  + b\\x1b\x1b[0m"]
    monkeypatch.setenv("NO_COLOR", "1")
    assert coloured(lines)[1] == "  - a"
