"""What the record may say: names of people and programs, which are the same or reserved, and never an admin token."""

from __future__ import annotations

import re
import unicodedata

# Only characters that readers cannot confuse: names appear in journals and signed claims, beside other names.
NAME = r"[A-Za-z0-9]([A-Za-z0-9 ._@+-]*[A-Za-z0-9])?"
ON_THE_HOST = "operator on the host"
# Names the journal and signed claims use without a token. No other holder may have one of them, in any case.
_RESERVED = frozenset(
    {"countersign", "countersign init", ON_THE_HOST, "bootstrap", "anonymous", "nobody", "root", "system"}
)


def same_name(name: str) -> str:
    """Return a key that is equal for names a reader would take for the same."""
    return " ".join(name.casefold().split())


def is_reserved(name: str) -> bool:
    """True for a name that looks like one the record uses for Countersign, the host's operator or no one."""
    return _bare(name) in _BARE


def _bare(name: str) -> str:
    """Return a name as a reader perceives it: letters and digits, without separators and invisible characters."""
    return "".join(sign for sign in unicodedata.normalize("NFKC", name).casefold() if sign.isalnum())


_BARE = frozenset(map(_bare, _RESERVED))


def name_refusal(name: str) -> str | None:
    """Return why no token, and no certificate, may have this name, or None."""
    if re.fullmatch(NAME, name) is None:
        return "letters, digits, spaces and ._@+- only, and a letter or digit at both ends"
    if is_reserved(name):
        return f"{name!a} is a name that Countersign uses itself"
    return None


TOKEN_PREFIX = "csadm"  # noqa: S105  # public; lets scanners for leaked secrets recognise a token
TOKEN = re.compile(TOKEN_PREFIX + r"_([a-z0-9]{8,20})_([A-Za-z0-9_-]{43})")


def holds_token(text: str) -> bool:
    """True when the text contains a complete token."""
    return TOKEN.search(text) is not None


def redacted(text: str) -> str:
    """Return the text without the secret of every token in it; the public id stays."""
    return TOKEN.sub(rf"{TOKEN_PREFIX}_\1_...", text) if TOKEN_PREFIX in text else text
