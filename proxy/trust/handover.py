"""How one key replaces another: announcement, dual signing, end of the old key. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from proxy.oci.duration import parse_span, span_text

PUBLISH_FIRST, DUAL_SIGN = "publish-first", "dual-sign"
NONE = "none"
ALLOWED = "publish-first:14d, dual-sign:14d, both with a comma between them, or none"


@dataclass(frozen=True)
class Handover:
    """The terms of a replacement.

    `publish_first`: the new key is published and verifies this long before it signs. `dual_sign`: after that, both keys
    sign for this long. `retire_after`: the old key is retired this long after the new one began; None: never
    automatically.
    """

    publish_first: timedelta | None = None
    dual_sign: timedelta | None = None
    retire_after: timedelta | None = None

    def __post_init__(self) -> None:
        """Refuse terms that would retire a key that still signs. Raises ValueError."""
        if self.dual_sign is not None and self.retire_after is not None and self.retire_after < self.dual_sign:
            raise ValueError(
                f"the old key signs for {span_text(self.dual_sign)} more, so it cannot be retired after "
                f"{span_text(self.retire_after)} already"
            )

    def with_overrides(self, overlap: Handover | None = None, retire_after: timedelta | None = None) -> Handover:
        """Return the terms with the given values replaced. Raises ValueError."""
        chosen = overlap or self
        return replace(chosen, retire_after=self.retire_after if retire_after is None else retire_after)

    def signs_until(self, begins: datetime) -> datetime | None:
        """Return when the old key stops signing beside the new one, which begins at that moment."""
        return None if self.dual_sign is None else begins + self.dual_sign

    def retires(self, begins: datetime) -> datetime | None:
        """Return when the old key is retired if the new one begins at that moment."""
        return None if self.retire_after is None else begins + self.retire_after


def parse_overlap(text: str) -> Handover:
    """Return the overlap in `publish-first:14d`, `dual-sign:14d` or both. Raises ValueError: what is allowed."""
    found: dict[str, timedelta] = {}
    if text == NONE:
        return Handover()
    for part in text.split(","):
        kind, colon, span = part.strip().partition(":")
        if not colon or kind not in (PUBLISH_FIRST, DUAL_SIGN) or kind in found:
            raise ValueError(f"allowed: {ALLOWED}")
        found[kind] = parse_span(span)
    return Handover(found.get(PUBLISH_FIRST), found.get(DUAL_SIGN))
