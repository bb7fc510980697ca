"""The images that a change affects: how many, how many were pulled lately and by whom, from the ledger and the journal.

One statement each, on indexes: images are found by key, digest or repository, and their pulls by digest among the rows
of the window. It ends with the deadline of every read, and is then not counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    CTE,
    ColumnElement,
    CompoundSelect,
    Connection,
    Select,
    Text,
    cast,
    func,
    literal,
    null,
    or_,
    select,
    tuple_,
    union_all,
)

from proxy.journal.event import EventKind
from proxy.journal.impact import (
    NAMED,
    REPOSITORIES,
    AffectedImages,
    BlockedIn,
    NamedImage,
    SignedBy,
    SignedImage,
    Within,
)
from proxy.journal.rows import journal
from proxy.oci.reference import Digest
from proxy.oci.slices import Slice
from proxy.store.facts import CHILD, listed, manifests
from proxy.store.ledger import ledger, signed_with
from proxy.store.tables import rows_in
from proxy.store.tags import tags
from proxy.trust.pattern import matches
from proxy.trust.question import NOTHING
from proxy.trust.reason import Reason

_TAGS = 3  # of a named image
_LATE = timedelta(days=1)  # a row may reach the journal that much later than a younger one
_PULLED = (EventKind.PULL_ALLOWED, EventKind.PULL_WARNED, EventKind.PULL_EXCEPTED)
_BLOCKED = (EventKind.PULL_DENIED, EventKind.PULL_WARNED, EventKind.PULL_EXCEPTED)


def affected(connection: Connection, by: SignedBy | Within, since: datetime) -> AffectedImages:
    """Return the images, with their pulls since then."""
    recent = (journal.c.position >= _position(connection, since - _LATE), journal.c.last >= since)
    more = False
    if isinstance(by, SignedBy):
        images = _signed(by).cte("images")
        pulls = _pulls_of(images, recent)
    elif isinstance(by, BlockedIn):
        resolved = journal.c.digest.not_in(("", NOTHING))
        blocked = (*recent, journal.c.kind.in_(_BLOCKED), journal.c.reason != Reason.DENIED_DIGEST, resolved)
        where, more = _within(connection, by, journal, blocked)
        pulls = _pulls().where(*blocked, *where).group_by(*_WHOSE).cte("pulls")
        images = select(pulls.c.repository, pulls.c.digest).distinct().cte("images")
    else:
        image = (manifests.c.subject.is_(None), manifests.c.artifact.is_not(True))  # no signature, no SBOM
        where, more = _within(connection, by, manifests, image)
        images = select(manifests.c.repository, manifests.c.digest).where(*image, *where).cte("images")
        pulls = _pulls_of(images, recent)
    return _told(connection, _summary(images, pulls), more=more)


def _position(connection: Connection, since: datetime) -> int:
    """Return a position that all rows since then have reached. Positions grow with time, so it is found by halving."""
    last = connection.execute(select(func.max(journal.c.position))).scalar_one() or 0
    first = connection.execute(select(func.min(journal.c.position))).scalar_one() or 0
    while first < last:
        middle = (first + last) // 2
        after = select(journal.c.position, journal.c.last).where(journal.c.position >= middle)
        row = connection.execute(after.order_by(journal.c.position).limit(1)).one()
        first, last = (row.position + 1, last) if row.last < since else (first, middle)
    return first


def signed(connection: Connection, by: SignedBy, part: Slice, *, only: bool) -> tuple[SignedImage, ...]:
    """Return the images that `by.keys` have signed, by name; with `only`, those that need them."""
    others = _by_others(by, _OTHERS).scalar_subquery() if by.others else literal(0)
    first = func.min(ledger.c.at, type_=ledger.c.at.type)
    query = (_signed(by) if only else _images(by)).add_columns(first.label("at"), others.label("others"))
    rows = rows_in(connection, query, _IMAGE, part, newest_first=False)
    named = _tags(connection, [(row.repository, row.digest) for row in rows])
    return tuple(
        SignedImage(row.repository, row.digest, named[row.repository, row.digest], row.at, row.others < by.needed)
        for row in rows
    )


_IMAGE = (ledger.c.repository, ledger.c.digest)


def _images(by: SignedBy) -> Select[Any]:
    """Select the images that the keys have signed."""
    query = select(*_IMAGE).where(*signed_with(ledger, by.keys)).group_by(*_IMAGE)
    return query.where(ledger.c.repository == by.repository) if by.repository else query


def _by_others(by: SignedBy, *columns: ColumnElement[Any]) -> Select[Any]:
    """Select these columns of the signatures that the other keys have made of the same image."""
    same = (_OTHER.c.repository == ledger.c.repository, _OTHER.c.digest == ledger.c.digest)
    return select(*columns).where(*same, *signed_with(_OTHER, by.others))


_OTHER = ledger.alias("other")
_OTHERS = func.count(_OTHER.c.fingerprint.distinct())


def _signed(by: SignedBy) -> Select[Any]:
    """Select those that need the keys. Where one other key is enough, none is counted: PostgreSQL joins them then."""
    query = _images(by)
    if by.others and by.needed == 1:
        query = query.where(~_by_others(by, _OTHER.c.id).exists())
    elif by.others:
        query = query.having(_by_others(by, _OTHERS).scalar_subquery() < by.needed)
    return query if by.since is None else query.having(func.min(ledger.c.at) >= by.since)


_WHOSE = (journal.c.repository, journal.c.digest, journal.c.who)


def _pulls() -> Select[Any]:
    return select(*_WHOSE, func.sum(journal.c.count).label("pulls"))


def _pulls_of(images: CTE, recent: tuple[ColumnElement[bool], ...]) -> CTE:
    """Select the pulls of these images by image and caller.

    Rows are found by digest. SQLite has no statistics, and would walk all pulls if it could find them by their kind.
    """
    unindexed = (func.coalesce(each, "") for each in (journal.c.kind, journal.c.repository))
    kind, repository = (cast(each, Text) for each in unindexed)
    query = _pulls().join(images, (images.c.digest == journal.c.digest) & (images.c.repository == repository))
    return query.where(*recent, kind.in_(_PULLED)).group_by(*_WHOSE).cte("pulls")


def _within(
    connection: Connection, by: Within, table: Any, these: tuple[ColumnElement[bool], ...]
) -> tuple[list[ColumnElement[bool]], bool]:
    """Return what is true of the rows of the pattern and the digests, and whether there are too many repositories.

    A pattern with other wildcards than a `**` at its end is compared with the names of the repositories.
    """
    where: list[ColumnElement[bool]] = []
    if by.digests:
        where.append(table.c.digest.in_(_listed_by(by.digests)))
    above, _, last = by.repositories.rpartition("/")
    name = table.c.repository
    if "*" not in by.repositories:
        return [*where, name == by.repositories], False
    if last == "**" and "*" not in above:
        return [*where, or_(name == above, name.startswith(f"{above}/", autoescape=True))] if above else where, False
    begin = by.repositories.partition("*")[0]
    found = connection.execute(
        select(name).distinct().where(*these, *where, name.startswith(begin, autoescape=True)).order_by(name)
    )
    names = [each for each in found.scalars() if matches(by.repositories, each)]
    return [*where, name.in_(names[:REPOSITORIES])], len(names) > REPOSITORIES


def _listed_by(digests: tuple[Digest, ...]) -> Select[Any]:
    """Select these digests and all that they list, at any depth: an index lists no ancestor of its own."""
    first = union_all(*(select(cast(literal(each), Text).label("digest")) for each in digests)).subquery()
    down = select(first.c.digest).cte("down", recursive=True)
    of = manifests.alias("of")
    step = (
        select(listed.c.digest)
        .select_from(down)
        .join(of, of.c.digest == down.c.digest)
        .join(listed, (listed.c.manifest_id == of.c.id) & (listed.c.role == CHILD))
    )
    down = down.union(step)
    return select(down.c.digest)


def _summary(images: CTE, pulls: CTE) -> CompoundSelect[Any]:
    """Select the counts, then the images and the callers that are named, each with its pulls."""
    nothing = cast(null(), Text)
    image = (pulls.c.repository, pulls.c.digest)
    each = select(*image, func.sum(pulls.c.pulls).label("pulls")).group_by(*image).subquery("each")
    count = func.count()
    order = func.coalesce(each.c.pulls, 0).desc()
    named = (
        select(literal("named"), images.c.repository, images.c.digest, func.coalesce(each.c.pulls, 0).label("n"))
        .outerjoin(each, (each.c.repository == images.c.repository) & (each.c.digest == images.c.digest))
        .order_by(order, images.c.repository, images.c.digest)
        .limit(NAMED)
        .subquery()
    )
    callers = (
        select(literal("by"), pulls.c.who, nothing, func.sum(pulls.c.pulls).label("n"))
        .group_by(pulls.c.who)
        .order_by(func.sum(pulls.c.pulls).desc(), pulls.c.who)
        .limit(NAMED)
        .subquery()
    )
    repositories = select(literal("repositories"), nothing, nothing, func.count(images.c.repository.distinct()))
    return union_all(
        select(literal("images").label("part"), nothing.label("one"), nothing.label("two"), count.label("n"))
        .select_from(images),
        repositories,
        select(literal("pulled"), nothing, nothing, count).select_from(each),
        select(literal("callers"), nothing, nothing, func.count(pulls.c.who.distinct())),
        select(named),
        select(callers),
    )  # fmt: skip


def _told(connection: Connection, summary: CompoundSelect[Any], *, more: bool) -> AffectedImages:
    rows = connection.execute(summary).all()
    counts = {row.part: int(row.n) for row in rows if row.one is None}
    named = [(row.one, row.two, int(row.n)) for row in rows if row.part == "named"]
    callers = [(-int(row.n), row.one) for row in rows if row.part == "by"]
    tagged = _tags(connection, [(repository, digest) for repository, digest, _ in named])
    return AffectedImages(
        **counts,
        by=tuple(who for _, who in sorted(callers)),
        named=tuple(
            NamedImage(repository, digest, tagged[repository, digest], pulls)
            for repository, digest, pulls in sorted(named, key=lambda row: (-row[2], row[0], row[1]))
        ),
        more=more,
    )


def _tags(connection: Connection, images: Sequence[tuple[str, str]]) -> dict[tuple[str, str], tuple[str, ...]]:
    """Return some of the tags that point at each of these images."""
    found: dict[tuple[str, str], tuple[str, ...]] = dict.fromkeys(images, ())
    these = select(tags).where(tuple_(tags.c.repository, tags.c.digest).in_(images)).order_by(tags.c.tag)
    for row in connection.execute(these):
        found[row.repository, row.digest] = (*found[row.repository, row.digest], row.tag)[:_TAGS]
    return found
