from datetime import date, datetime
from pathlib import Path

import pytest

from proxy.config.section import section
from proxy.config.yaml import read

HERE = Path("c.yaml")


def cut(text: str) -> tuple[str, int]:
    return section(text, read(text.encode(), HERE))


def test_lines_and_comments_are_kept_and_the_next_setting_s_are_not() -> None:
    text = "version: 1\n\npolicies:  # mine\n  # why\n  - {repositories: [a]}\n\n# about limits\nlimits: {}\n"
    assert cut(text) == ("policies:  # mine\n  # why\n  - {repositories: [a]}\n", 3)


def test_at_the_end_of_the_file_everything_belongs_to_it() -> None:
    assert cut("a: 1\npolicies: []\n# the end\n\n") == ("policies: []\n# the end\n", 2)


@pytest.mark.parametrize(
    "text",
    [
        "{version: 1, policies: [{repositories: [a], at: 2027-01-31}]}",
        "a: 1\n",
        '{"policies": [{"contact": "umlaut \\u00fc"}]}',
        "policies: [{at: 2027-01-31T08:00:00Z}]",
    ],
)
def test_what_cannot_be_cut_says_the_same(text: str) -> None:
    written, _ = cut(text)
    old, new = read(text.encode(), HERE).data.get("policies", ()), read(written.encode(), HERE).data["policies"]
    assert str(new) == str(_told(old))


def _told(value: object) -> object:
    if isinstance(value, tuple):
        return tuple(map(_told, value))
    if isinstance(value, dict):
        return {key: _told(inner) for key, inner in value.items()}
    return value.isoformat() if isinstance(value, date) and not isinstance(value, datetime) else value
