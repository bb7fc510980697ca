"""docs/reference/differences.md against the table that the differential suite holds registries and the proxy to."""

from __future__ import annotations

import re
from pathlib import Path

from tests.interop.differential.difference import ALL, CLOSED, DEBIAN, DISTRIBUTION, MEMORY
from tests.interop.differential.table import DIFFERENCES

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "differences.md"
NAMES = {DEBIAN: "docker-registry 2.8", DISTRIBUTION: "distribution 3.1", MEMORY: "in-memory", CLOSED: "with passwords"}


def differences_table() -> str:
    """The table of docs/reference/differences.md."""
    lines = ["| through the proxy | why | seen at |", "|---|---|---|"]
    for each in DIFFERENCES:
        at = "all" if each.at() == ALL else ", ".join(NAMES[one] for one in each.at())
        lines.append(f"| {each.what} | {each.why} | {at} |")
    return "\n".join(lines) + "\n"


def test_every_difference_is_on_the_page_and_no_other() -> None:
    assert differences_table() in PAGE.read_text(), f"{PAGE}: run `python -m tests.test_docs_differences`"


def renew() -> None:
    """Write the table of the code into the page, in place of the one that stands there."""
    text = PAGE.read_text()
    old = re.search(r"(?:^\|.*\n)+", text, re.MULTILINE)
    assert old is not None
    PAGE.write_text(text.replace(old.group(), differences_table()))


if __name__ == "__main__":
    renew()
