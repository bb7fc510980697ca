"""The text of an admin token, found in other texts: none is ever written down. Pure."""

from __future__ import annotations

import re

PREFIX = "csadm"  # so that scanners for leaked secrets can know one
TEXT = re.compile(PREFIX + r"_([a-z0-9]{8,20})_([A-Za-z0-9_-]{43})")


def holds_token(text: str) -> bool:
    """True where a whole token stands anywhere in the text."""
    return TEXT.search(text) is not None


def redacted(text: str) -> str:
    """Return the text with the secret of every token in it left out; the public id stays."""
    return TEXT.sub(rf"{PREFIX}_\1_...", text) if PREFIX in text else text
