"""What a page for operators tells people to type, typed as written in a shell of its own."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tests.faults.served import Served
from tests.interop.countersign import PROGRAM
from tests.interop.peers import Ran
from tests.test_docs_pages import ROOT


def lines(page: str, heading: str) -> list[str]:
    """The commands in the indented code blocks of that section of a page, in order."""
    text = re.sub(r"^```.*?^```\n", "", (ROOT / "docs" / page).read_text(), flags=re.MULTILINE | re.DOTALL)
    (section,) = re.findall(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    found = [line.strip() for line in str(section).splitlines() if line.startswith("    ")]
    assert found, f"{page}: nothing to type under {heading!r}"
    return found


def filled(line: str, words: Mapping[str, str]) -> str:
    """The line with words in capitals replaced by what they stand for."""
    return re.sub(r"\b[A-Z]{2,}(?:-[A-Z]+)*\b", lambda word: words.get(word[0], word[0]), line)


def typed(line: str, proxy: Served, words: Mapping[str, str], environment: Mapping[str, str] | None = None) -> Ran:
    """What the line did, in the server's folder. People would say yes where they are asked."""
    said = filled(line, words)
    if said.startswith("countersign "):
        asks = not {"--dry-run", "--confirm"} & set(shlex.split(said))
        sure = any(f"keys {verb} " in said for verb in ("import", "rebind", "backup-recorded", "activate", "retire"))
        yes = " --yes" if asks and sure else ""
        said = f"{shlex.quote(str(PROGRAM))} {said.removeprefix('countersign ')}{yes}"

        said += f" --config {shlex.quote(str(proxy.config))}"
    done = subprocess.run(
        ["/bin/sh", "-c", said], cwd=proxy.folder, env={**os.environ, **(environment or {})},
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    return Ran(done.returncode, done.stdout, done.stderr)


def pin_of(proxy: Served) -> Path:
    """The file with the PIN of its token."""
    return proxy.folder / "secrets" / "pin"
