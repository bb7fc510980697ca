"""Values as text that is the same wherever it is made. Pure."""

from __future__ import annotations

import json


def canonical(value: object) -> str:
    """Return JSON with sorted keys, no spaces and nothing but ASCII.

    ASCII, because what callers claim ends up here and lone surrogates or NULs must not make a row unwritable.
    Values JSON has no form for (moments, say) are written as their text: a record is never lost for its detail.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, default=str)
