"""The images that a change affects, counted for its plan, and the lines that commands print about them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from proxy.admin.shapes import Affected, ImageNamed, filled
from proxy.oci.faults import Unavailable, plain

if TYPE_CHECKING:
    from proxy.admin.operation import Call, Row
    from proxy.journal.impact import SignedBy, Within

UNKNOWN = "images that were signed elsewhere, and pulls that did not come through this proxy"


async def counted(call: Call, by: SignedBy | Within, what: str, listed_by: str = "", unknown: str = "") -> Affected:
    """Return the images that the call affects; if the store does not answer, why they were not counted."""
    from proxy.journal.impact import WINDOW, BlockedIn, Impact

    told: dict[str, Any] = {"what": what, "days": WINDOW.days, "unknown": unknown or UNKNOWN, "listed_by": listed_by}
    try:
        found = await call.use(Impact).affected(by, call.now - WINDOW)
    except Unavailable as away:
        return Affected(**told, not_counted=away.what)
    named = tuple(filled(ImageNamed, image) for image in found.named)
    blocked = isinstance(by, BlockedIn)
    return filled(Affected, found, **told, named=named, blocked=blocked, not_counted="")


def lines(affected: Row) -> list[str]:
    """Return what commands print about the images below the steps of a plan."""
    images, days = affected["images"], affected["days"]
    if images is None:
        why = f"the images it affects could not be counted ({affected['not_counted']})"
        return _labelled(("NOT KNOWN", f"{why}: they may be many, so try again before you do this"))
    if images == 0:
        about = (("affects", f"no image on record: {affected['what']}"), ("unknown", _unknown(affected)))
        return _labelled(*about)
    number = f"{'more than ' if affected['more'] else ''}{_many(images, 'image', 'images')}"
    where = _many(affected["repositories"], "repository", "repositories")
    pulled = f"none in the last {days} days"
    if affected["pulled"]:
        rest = affected["callers"] - len(affected["by"])
        people = ", ".join(map(str, affected["by"])) + (f" and {rest} more" if rest else "")
        pulled = f"{affected['pulled']} in the last {days} days, by {people}"
    rest = images - len(affected["named"])
    more = f"; all: {affected['listed_by']}" if affected["listed_by"] and rest else ""
    return _labelled(
        ("affects", f"{number} in {where}: {affected['what']}"),
        ("tried" if affected["blocked"] else "pulled", pulled),
        ("images", ", ".join(map(_named, affected["named"])) + (f" and {rest} more{more}" if rest else "")),
        ("unknown", _unknown(affected)),
    )


def _unknown(affected: Row) -> str:
    return f"{affected['unknown']}, are not counted"


def _labelled(*about: tuple[str, str]) -> list[str]:
    return [f"  {label:<9} {plain(text, 1000)}" for label, text in about]


def _many(number: int, one: str, several: str) -> str:
    return f"{number} {one if number == 1 else several}"


def _named(image: Row) -> str:
    name = f"{image['repository']}@{image['digest'][:19]}"
    if image["tags"]:
        name = f"{image['repository']}:{image['tags'][0]}"
    return f"{name} ({_many(image['pulls'], 'pull', 'pulls')})"
