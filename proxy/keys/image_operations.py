"""Operations on the images that keys have signed: listed, and signed again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Annotated

from pydantic import Field

from proxy.admin.affected import counted
from proxy.admin.operation import Call, Command, Option, Row, operation
from proxy.admin.paging import Listing, Page, Paged
from proxy.admin.shapes import Affected, OneRepository, Shape, Why, filled
from proxy.jobs.operations import JobShown, described, job_room
from proxy.jobs.operations import shown as job_shown
from proxy.oci.duration import minute
from proxy.trust.keys import KeyState
from proxy.trust.roles import Permission


class KeyImages(Page, frozen=True):
    """A query for the images that a key has signed."""

    only: Annotated[bool, Option(reads="flag")] = Field(
        default=False, strict=False, description="only images that no other key vouches for"
    )
    repository: Annotated[OneRepository, Option("NAME")] = Field(
        default="", description="only in this repository; empty: in all"
    )


class KeyImage(Shape, frozen=True):
    """An image that a key of ours has signed, and that was not deleted through this proxy."""

    repository: str
    digest: str
    tags: tuple[str, ...] = Field(description="up to three of its tags")
    signed: datetime = Field(description="when the key signed it first, by our ledger")
    only: bool = Field(description="true if no other key of ours that policy accepts in its place has signed it")


class KeyImagesShown(Paged, frozen=True):
    """A page of images, by repository and digest."""

    items: tuple[KeyImage, ...]


def _images(rows: Sequence[Row]) -> list[tuple[str, ...]]:
    head = ("IMAGE", "DIGEST", "SIGNED", "OTHER KEYS")
    return [head, *((_image(r), r["digest"], minute(r["signed"]), "none" if r["only"] else "enough") for r in rows)]


def _image(row: Row) -> str:
    return f"{row['repository']}:{row['tags'][0]}" if row["tags"] else str(row["repository"])


_IMAGES = Command("keys images", table=_images, rows="images", empty="this key signed no such image", limit=1000)


@operation("GET /keys/{fingerprint}/images", Permission.JOURNAL, _IMAGES, query=KeyImages)
async def key_images(call: Call) -> KeyImagesShown:
    """List the images that a key has signed, by our ledger."""
    from proxy.journal.impact import Impact, SignedImage
    from proxy.keys.affected import signed_only_by
    from proxy.keys.lifecycle import find

    page = call.query
    key = find(call.path_params["fingerprint"], call.ports)
    listing: Listing[SignedImage] = Listing(key.fingerprint, lambda row: (row.repository, row.digest), (str, str))
    by = replace(signed_only_by(key, call.ports), repository=page.repository)
    rows = await call.use(Impact).signed(by, listing.part(page), only=page.only)
    return listing.page(KeyImagesShown, page, rows, lambda row: filled(KeyImage, row))


class Resign(Why, frozen=True):
    """The images to sign again."""

    repository: Annotated[OneRepository, Option("NAME")] = Field(
        default="", description="only in this repository; empty: in all"
    )


async def _repository_named(call: Call) -> str:
    return str(call.body.repository)


async def _plan_resign(call: Call) -> tuple[str, ...]:
    from proxy.keys.resign import keys_of
    from proxy.registry.ports.facts import Signed
    from proxy.registry.signing.sign import signers_now

    profile, where = call.path_params["profile"], call.body.repository
    count = await call.use(Signed).count(keys_of(profile, call.ports), where)
    key = signers_now(profile, call.ports)[0].short
    ours = [each for each in call.ports.keybook.ring().ours if each.profile == profile]
    return (
        f"go through {count} images in {where or 'all repositories'} that keys of {profile} have signed",
        f"sign with key {key}, for the same names and claims, those that it has not signed yet and upstream has",
        *(
            f"vouch again for images that only {bad.described} has signed, which is compromised: trace them first "
            f"(countersign keys images {bad.short} --only)"
            for bad in ours
            if bad.state is KeyState.COMPROMISED
        ),
        "keep the existing signatures in place; pushes and pulls continue meanwhile",
    )


async def _affects_resign(call: Call) -> Affected:
    from proxy.journal.impact import SignedBy
    from proxy.keys.resign import keys_of
    from proxy.registry.signing.sign import signers_now

    profile, now = call.path_params["profile"], signers_now(call.path_params["profile"], call.ports)[0]
    keys = tuple(each for each in keys_of(profile, call.ports) if each != now.fingerprint)
    by = SignedBy(keys, (now.fingerprint,), repository=call.body.repository)
    return await counted(call, by, f"other keys of {profile} have signed them, and key {now.short} has not yet")


@operation(
    "POST /keys/{profile}/resign", Permission.CHANGE_JOBS, Command("keys resign", described, job=True),
    plan=_plan_resign, affects=_affects_resign, about=_repository_named, status=202,
)  # fmt: skip
async def resign(call: Call, body: Resign) -> JobShown:
    """Sign images of the profile's other keys again. A job does so, with the active key."""
    from proxy.jobs.job import Job
    from proxy.jobs.port import Jobs
    from proxy.jobs.run import start
    from proxy.keys.resign import RESIGN, keys_of

    profile, by = call.path_params["profile"], call.actor
    keys_of(profile, call.ports)
    job = Job(
        "", RESIGN, by.name, by.authenticated_by, by.reason, call.now, {"profile": profile}, repository=body.repository
    )
    return job_shown(await start(job, call.use(Jobs), job_room(by, call.ports)))


OPERATIONS = (key_images, resign)
