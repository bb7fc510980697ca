"""Text of ours becomes HTML with nothing alive in it."""

import base64
import hashlib
import re

from proxy.web.rendering import Rendering, code


def test_backquotes_become_code_and_everything_is_escaped() -> None:
    assert code("run `a <b>` & go") == "run <code>a &lt;b&gt;</code> &amp; go"


def test_the_policy_lets_in_exactly_the_style_sheet_that_is_sent() -> None:
    answer = Rendering("x", "https://a").html("message.html", title="t", message="m")
    style = re.search(rb"<style>(.*)</style>", answer.body, re.DOTALL)
    assert style
    hashed = base64.b64encode(hashlib.sha256(style[1]).digest()).decode()
    assert f"style-src 'sha256-{hashed}'" in dict(answer.headers)["content-security-policy"]


def test_lone_surrogates_do_not_break_a_page() -> None:
    assert b"\\udc80" in Rendering("x", "https://a").html("message.html", title="t", message="\udc80").body
