"""The impact of policies as Markdown, for a merge request; text from elsewhere is shown only as inline code.

Nothing in a code span is read as Markdown or HTML, as a link, or as the name of a person to notify.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from proxy.admin.operation import Given, Row
from proxy.oci.faults import visible
from proxy.policies.lint import none_for

CELL = 200  # characters of one text
_OURS = ("EFFECT", "PULLS", "LAST")  # columns with words and numbers of ours
LINES = 200  # of the difference
# These end a code span or a table cell, even after a backslash.
_LOOK_ALIKES = str.maketrans({"`": "'", "|": "/", "\\": "/"})


def code(text: str) -> str:
    """Return the text as inline code, in one line of a table."""
    return f"`{visible(text, CELL).translate(_LOOK_ALIKES).strip() or '-'}`"


def markdown(row: Row, given: Given, table: Sequence[Sequence[str]]) -> str:
    """Return the impact in `row`; `table` has a header and a row for each of its images."""
    counts, days = row["counts"], given["days"]
    blocked, changed = counts["newly blocked"], sum(counts.values()) - counts["unchanged"]
    judged = f"{row['examined']} images pulled in the last {'day' if days == 1 else f'{days} days'}"
    base = f"revision {row['base']}" if row["base"] else "those of the file"
    parts = [
        f"### Policy plan: {blocked or 'nothing'} newly blocked",
        f"{judged} were judged again, by the policies in force ({base}) and by {code(Path(given['text']).name)}.",
        _table([[*counts], [str(number) for number in counts.values()]]),
        *(f"**Warning:** {text}." for text in _warnings(row)),
    ]
    if table:
        header, *images = table
        more = f", the first {len(images)} of {changed}" if changed > len(images) else ""
        told = [[_cell(name, text) for name, text in zip(header, image, strict=True)] for image in images]
        parts += [f"Images that change or could not be judged{more}:", _table([[*map(str.lower, header)], *told])]
    return "\n\n".join([*parts, _difference(row["difference"]["lines"])]) + "\n"


def _cell(header: str, text: str) -> str:
    return text if header in _OURS else code(text)


def _warnings(row: Row) -> list[str]:
    """Return the warnings in the row, without a full stop."""
    found, left = [], row["without_policy"]
    if left is None:
        found.append("not known whether repositories are left without a policy: too many to compare")
    elif left:
        found.append(none_for([code(each) for each in left], row["without_policy_count"]))
    if row["more"]:
        found.append(f"more was pulled than the {row['examined']} newest images that were judged (`--limit`)")
    if unknown := row["counts"]["could not judge"]:
        found.append(f"{unknown} could not be judged, which is never counted as allowed")
    return found


def _table(rows: Sequence[Sequence[str]]) -> str:
    header, *rest = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([header, "|---" * len(rows[0]) + "|", *rest])


def _difference(lines: Sequence[str]) -> str:
    """Return the difference as a code block, folded; its fence is longer than every run of backquotes in it."""
    if not lines:
        return "Only the text of the policies differs."
    told = [re.sub(r"^  ([-+])", r"\1", visible(line, 1000)) for line in lines[:LINES]]
    if len(lines) > LINES:
        told.append(f"... and {len(lines) - LINES} more lines")
    fence = "`" * (max([2, *(len(run) for line in told for run in re.findall(r"`+", line))]) + 1)
    block = "\n".join([f"{fence}diff", *told, fence])
    return f"<details><summary>What changes in the policies</summary>\n\n{block}\n\n</details>"
