"""What a change affects, counted in a store in memory by going through everything."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from proxy.journal.event import Event, EventKind
from proxy.journal.impact import NAMED, AffectedImages, BlockedIn, NamedImage, SignedBy, SignedImage, Within
from proxy.oci.slices import Slice, within
from proxy.trust.ledger import Stage
from proxy.trust.pattern import matches
from proxy.trust.question import NOTHING
from proxy.trust.reason import Reason

if TYPE_CHECKING:
    from tests.worlds.memory import MemoryStore

_MADE = (Stage.SIGNED, Stage.ATTACHED)
_Image = tuple[str, str]


def affected(store: MemoryStore, by: SignedBy | Within, since: datetime) -> AffectedImages:
    """Count the images and their pulls since then."""
    blocked = isinstance(by, BlockedIn)
    kinds = {EventKind.PULL_WARNED, EventKind.PULL_EXCEPTED}
    kinds.add(EventKind.PULL_DENIED if blocked else EventKind.PULL_ALLOWED)
    rows = [(event, n) for event, n, last in store.journal.counts() if last >= since and event.kind in kinds]
    if isinstance(by, SignedBy):
        images = _signed(store, by)
    else:
        images = (
            set(_blocked(rows))
            if blocked
            else {
                (f.repository, f.digest)
                for f in store.facts.rows.values()
                if f.artifact is not True and f.subject is None
            }
        )
        digests = _below(store, set(by.digests))
        images = {i for i in images if matches(by.repositories, i[0]) and (not digests or i[1] in digests)}
    pulls, callers = Counter[_Image](), Counter[str]()
    for event, n in rows:
        if (event.repository, event.digest) in images and not (blocked and event.reason == Reason.DENIED_DIGEST):
            pulls[event.repository, event.digest] += n
            callers[event.who] += n
    named = sorted(images, key=lambda image: (-pulls[image], *image))[:NAMED]
    return AffectedImages(
        images=len(images),
        repositories=len({repository for repository, _ in images}),
        pulled=len(pulls),
        callers=len(callers),
        by=tuple(sorted(callers, key=lambda who: (-callers[who], who))[:NAMED]),
        named=tuple(NamedImage(*image, store.tags.of(*image), pulls[image]) for image in named),
    )


def signed(store: MemoryStore, by: SignedBy, part: Slice, *, only: bool) -> tuple[SignedImage, ...]:
    """List the images of these keys."""
    needy = _signed(store, by)
    images = needy if only else _signed(store, replace(by, others=(), since=None))
    made = store.ledger.rows.values()

    def first(image: _Image) -> datetime:
        keys = (e for e in made if (e.key.repository, e.key.digest) == image and e.key.fingerprint in by.keys)
        return min(entry.at for entry in keys if entry.stage in _MADE)

    page = within([*images], lambda image: image, part)
    return tuple(SignedImage(*image, store.tags.of(*image), first(image), image in needy) for image in page)


def _signed(store: MemoryStore, by: SignedBy) -> set[_Image]:
    made = [entry for entry in store.ledger.rows.values() if entry.stage in _MADE]
    times: dict[_Image, list[datetime]] = {}
    for entry in made:
        if entry.key.fingerprint in by.keys:
            times.setdefault((entry.key.repository, entry.key.digest), []).append(entry.at)
    found = set()
    for image, at in times.items():
        others = {e.key.fingerprint for e in made if (e.key.repository, e.key.digest) == image} & set(by.others)
        late = by.since is None or min(at) >= by.since
        if late and by.repository in ("", image[0]) and (not by.others or len(others) < by.needed):
            found.add(image)
    return found


def _blocked(rows: Iterable[tuple[Event, int]]) -> Iterable[_Image]:
    for event, _ in rows:
        if event.reason != Reason.DENIED_DIGEST and event.digest not in ("", NOTHING):
            yield event.repository, event.digest


def _below(store: MemoryStore, digests: set[str]) -> set[str]:
    down = {child for fact in store.facts.rows.values() if fact.digest in digests for child in fact.children}
    return digests if down <= digests else _below(store, digests | down)
