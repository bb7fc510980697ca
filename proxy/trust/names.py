"""Names of people and programs as the record has them: which are the same, and which are Countersign's own."""

from __future__ import annotations

import re
import unicodedata

# Only what looks alike to everybody: a name stands in journals and signed claims, beside those of other people.
NAME = r"[A-Za-z0-9]([A-Za-z0-9 ._@+-]*[A-Za-z0-9])?"
ON_THE_HOST = "operator on the host"
# Who the journal and signed claims speak of without a token. Nobody else may be called so, in whatever case.
_RESERVED = frozenset(
    {"countersign", "countersign init", ON_THE_HOST, "bootstrap", "anonymous", "nobody", "root", "system"}
)


def same_name(name: str) -> str:
    """Return what is equal for names that a reader would take for the same."""
    return " ".join(name.casefold().split())


def is_reserved(name: str) -> bool:
    """True for a name that looks like one the record uses for Countersign, the host's operator or nobody."""
    return _bare(name) in _BARE


def _bare(name: str) -> str:
    """Return what a reader sees of a name: its letters and digits, whatever stands between them or cannot be seen."""
    return "".join(sign for sign in unicodedata.normalize("NFKC", name).casefold() if sign.isalnum())


_BARE = frozenset(map(_bare, _RESERVED))


def name_refusal(name: str) -> str | None:
    """Return why no token, and no certificate, may be called so, or None."""
    if re.fullmatch(NAME, name) is None:
        return "letters, digits, spaces and ._@+- only, and a letter or digit at both ends"
    if is_reserved(name):
        return f"{name!a} is a name that Countersign uses itself"
    return None
