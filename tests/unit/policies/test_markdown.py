"""The plan for a merge request: as a renderer of Markdown reads it."""

from __future__ import annotations

import re
from typing import Any

import pytest
from markdown_it import MarkdownIt

from proxy.policies.markdown import code, markdown

READER = MarkdownIt("gfm-like", {"linkify": False})
COUNTS = {"newly blocked": 1, "newly allowed": 0, "unchanged": 12, "could not judge": 0, "gone": 0}
ROW: dict[str, Any] = {
    "base": 3,
    "examined": 13,
    "more": False,
    "counts": COUNTS,
    "without_policy": [],
    "without_policy_count": 0,
    "difference": {"lines": ["changed **", '  - pull.mode: "warn"', '  + pull.mode: "enforce"']},
}
HEADER = ("EFFECT", "PULLS", "LAST", "IMAGE", "PULLED BY", "WHY")
TABLE = [HEADER, ("newly blocked", "7", "2026-11-30 20:00", "team/app:1", "alice", "unsigned: no signature was found")]
HOSTILE = [
    "`</code><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "| newly allowed | `x` |",
    "\\| newly allowed \\` ` |",
    "[click](https://evil.example) ![x](https://evil.example/x.png)",
    "@everyone !1 #2 https://evil.example/ www.evil.example a@b.example",
    "line\n\n# heading\n- item\r\n</details>",
    "\u202egnp.exe \x1b[31m",
    "``` `` ` \\",
    "",
]


def rendered(row: dict[str, Any], table: Any = TABLE) -> str:
    return str(READER.render(markdown(row, {"days": 7, "text": "policies.yaml"}, table)))


def cells(html: str) -> list[str]:
    return re.findall(r"<td>(.*?)</td>", html, re.DOTALL)


def test_counts_and_who_pulled_what_and_why() -> None:
    text = markdown(ROW, {"days": 7, "text": "policies.yaml"}, TABLE)
    assert text.startswith("### Policy plan: 1 newly blocked\n\n13 images pulled in the last 7 days were judged again")
    assert "by the policies in force (revision 3) and by `policies.yaml`." in text
    html = READER.render(text)
    assert cells(html)[:5] == ["1", "0", "12", "0", "0"]
    assert [re.sub("</?code>", "", cell) for cell in cells(html)[5:]] == list(TABLE[1])
    assert "+ pull.mode: &quot;enforce&quot;" in html
    assert "Warning" not in html


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_from_elsewhere_is_read_as_markdown_or_html(text: str) -> None:
    html = READER.render(f"| a | b | c |\n|---|---|---|\n| x | {code(text)} | y |\n\nand {code(text)}.")
    (before, shown, after) = cells(html)
    assert (before, after) == ("x", "y")
    assert re.fullmatch(r"<code>[^<]+</code>", shown)
    (paragraph,) = re.findall(r"<p>(.*?)</p>", html, re.DOTALL)
    assert re.fullmatch(r"and <code>[^<]+</code>\.", paragraph)


@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_plan_has_the_shape_of_a_harmless_one(text: str) -> None:
    def shape(row: dict[str, Any], table: Any, name: str) -> list[str]:
        html = READER.render(markdown(row, {"days": 7, "text": name}, table))
        return re.findall(r"</?(\w+)", re.sub(r"<pre>.*?</pre>", "<pre>", html, flags=re.DOTALL))

    def row(name: str) -> dict[str, Any]:
        return {**ROW, "without_policy": [name], "without_policy_count": 1, "difference": {"lines": [name]}}

    def table(name: str) -> Any:
        return [HEADER, ("newly blocked", "7", "2026-11-30 20:00", name, name, name)]

    assert shape(row(text), table(text), text) == shape(row("team"), table("team"), "team")


def test_what_is_not_known_is_a_warning() -> None:
    counts = {**COUNTS, "newly blocked": 0, "could not judge": 2}
    html = rendered({**ROW, "counts": counts, "more": True, "without_policy": None}, [])
    assert "nothing newly blocked" in html
    assert html.count("<strong>Warning:</strong>") == 3
    left = rendered({**ROW, "without_policy": [f"team/{n}" for n in range(9)], "without_policy_count": 9})
    assert "<code>team/4</code> and 4 more match no policy any more: every pull and push is refused there." in left


def test_a_long_difference_is_cut_and_says_so() -> None:
    html = rendered({**ROW, "difference": {"lines": ["  + a: ```"] * 300}})
    assert "... and 100 more lines" in html
    assert rendered({**ROW, "difference": {"lines": []}}).endswith("<p>Only the text of the policies differs.</p>\n")
