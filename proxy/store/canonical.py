"""Values as text that is identical on every machine. Pure."""

from __future__ import annotations

import json


def canonical(value: object) -> str:
    """Return JSON in ASCII with sorted keys and without spaces.

    ASCII, because callers' claims are stored here, and lone surrogates or NULs must not make a row unwritable. Values
    without a JSON form (such as times) are written as their text: a detail never prevents a record.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, default=str)
