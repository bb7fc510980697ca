"""Names of people and programs in the record: which are the same, and which Countersign reserves for itself."""

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
