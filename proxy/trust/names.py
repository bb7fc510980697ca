"""What the record may say: names of people and programs, which are the same or reserved, and never an admin token."""

from __future__ import annotations

import re
import unicodedata

from proxy.oci.faults import quoted

# Letters of European Latin, composed: a reader tells their base letters apart as well as those of ASCII, and names with
# the same base letters are one name (`same_name`). Other scripts have letters that look like these, and dual control
# rests on names. Left out are those that look like others: dotless i, long s, kra and digraphs.
_LETTER = r"A-Za-z0-9\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u0130\u0134-\u0137\u0139-\u013e\u0141-\u0148\u014a-\u017e"
NAME = f"[{_LETTER}]([{_LETTER} ._@+-]*[{_LETTER}])?"
ALLOWED = "Latin letters, digits, spaces and ._@+-, with a letter or digit at both ends, such as ci-plan"
ON_THE_HOST = "operator on the host"
# Names the journal and signed claims use without a token. No other holder may have one of them, in any case.
_RESERVED = frozenset(
    {"countersign", "countersign init", ON_THE_HOST, "bootstrap", "anonymous", "nobody", "root", "system"}
)


def same_name(name: str) -> str:
    """Return a key that is equal for names a reader would take for the same."""
    return " ".join(_base(name).split())


def is_reserved(name: str) -> bool:
    """True for a name that looks like one the record uses for Countersign, the host's operator or no one."""
    return _bare(name) in _BARE


def _bare(name: str) -> str:
    """Return a name as a reader perceives it: letters and digits, without separators and invisible characters."""
    return "".join(sign for sign in _base(name) if sign.isalnum())


_STROKES = str.maketrans({"\u00f8": "o", "\u0142": "l", "\u0111": "d", "\u00f0": "d", "\u0127": "h", "\u0167": "t"})
_STROKES |= str.maketrans({"\u00e6": "ae", "\u0153": "oe", "\u014b": "n", "\u00fe": "p"})


def _base(name: str) -> str:
    """Return the name in lower case, without marks and strokes."""
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", name).casefold())
    return "".join(sign for sign in plain if not unicodedata.combining(sign)).translate(_STROKES)


_BARE = frozenset(map(_bare, _RESERVED))


def name_refusal(name: str) -> str | None:
    """Return why no token, and no certificate, may have this name, or None."""
    if re.fullmatch(NAME, name) is None:
        return f"write {ALLOWED}"
    if is_reserved(name):
        return f"{quoted(name)} is a name that Countersign uses itself"
    return None


TOKEN_PREFIX = "csadm"  # noqa: S105  # public; lets scanners for leaked secrets recognise a token
TOKEN = re.compile(TOKEN_PREFIX + r"_([a-z0-9]{8,20})_([A-Za-z0-9_-]{43})")


def holds_token(text: str) -> bool:
    """True when the text contains a complete token."""
    return TOKEN.search(text) is not None


def redacted(text: str) -> str:
    """Return the text without the secret of every token in it; the public id stays."""
    return TOKEN.sub(rf"{TOKEN_PREFIX}_\1_...", text) if TOKEN_PREFIX in text else text
