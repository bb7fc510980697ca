"""Operations on what is in the registry without our signature: list it, and have the list signed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, StringConstraints, model_validator

from proxy.admin.operation import Call, Command, Scope, operation
from proxy.admin.paging import Listing, Page, Paged
from proxy.admin.shapes import NOT_KEPT, Line, Moment, PulledBy, Why, filled
from proxy.jobs.operations import JobShown, described, job_room, made_by
from proxy.jobs.operations import shown as job_shown
from proxy.jobs.port import Jobs
from proxy.trust.roles import Permission

if TYPE_CHECKING:
    from proxy.backlog.model import Listed
    from proxy.jobs.job import Job

_NAMES = 2 * 1024 * 1024  # bytes
_BYTES = 2 * _NAMES + 64 * 1024  # a line break is two bytes in JSON
_LOOK = "list-unsigned"


class Selection(Why, frozen=True):
    """Images that are in the registry, to be listed: exactly one of the three."""

    images: Line | None = Field(default=None, description="a pattern: team/**, team/app:*, team/**:v1.*")
    names: Annotated[str, StringConstraints(min_length=1, max_length=_NAMES), NOT_KEPT] | None = Field(
        default=None, description="names of images, one a line"
    )
    pulled_since: Moment | None = Field(default=None, description="everything that was pulled since then")

    @model_validator(mode="after")
    def _one(self) -> Selection:
        if sum(each is not None for each in (self.images, self.names, self.pulled_since)) != 1:
            raise ValueError("say which images with one of: images, names, pulled_since")
        return self


class ListedImage(PulledBy, frozen=True):
    """An image of the list: it has no signature of ours yet."""

    repository: str
    reference: str
    digest: str
    last: str = Field(description="its last pull in the last 30 days; empty: none")
    pushed: str = Field(description="who pushed it through this proxy; empty: nobody, as far as is recorded")


class ListedImages(Paged, frozen=True):
    """A page of the images to sign."""

    items: tuple[ListedImage, ...]


async def _whole_list(call: Call) -> str | None:
    """Return None for a list that the caller made; any other is about the whole proxy."""
    found = await call.use(Jobs).find(call.path_params["id"])
    return None if found is not None and made_by(found, call.actor) else ""


@operation(
    "POST /sign/lists", Permission.SIGN, Command("sign", described, job=True), about=Scope.LIST, status=202,
    body_bytes=_BYTES,
)  # fmt: skip
async def list_to_sign(call: Call, body: Selection) -> JobShown:
    """List images in the registry that have no signature of ours. A job does so; nothing is signed."""
    from proxy.backlog.look import LOOK, NAMES
    from proxy.backlog.model import images_in, names_in
    from proxy.jobs import run
    from proxy.jobs.job import Job
    from proxy.oci.reference import digest_of

    by, jobs, asked = call.actor, call.use(Jobs), dict[str, Any]()
    if body.images is not None:
        images_in(body.images, call.ports.hosts)
        asked = {"images": body.images}
    elif body.names is not None:
        names_in(body.names, call.ports.hosts)
        asked = {"names": digest_of(body.names.encode())}
    elif body.pulled_since is not None:
        asked = {"pulled_since": body.pulled_since.isoformat()}
    asked |= {"only": list(by.scope)} if by.scope else {}
    job, room = Job("", LOOK, by.name, by.authenticated_by, by.reason, call.now, asked), job_room(by, call.ports)
    if body.names is not None:
        await run.may_start(job, jobs, room)  # checked before the names are stored
        await call.ports.journal.keep_revision(NAMES, asked["names"], body.names)
    return job_shown(await run.start(job, jobs, room))


@operation("GET /sign/lists/{id}", Permission.SIGN, Command("sign"), about=_whole_list, query=Page)
async def show_list_to_sign(call: Call) -> ListedImages:
    """Show the images of a list, as its job found them."""
    found = [*enumerate(await _list(call))]
    listing: Listing[tuple[int, Listed]] = Listing(call.path_params["id"], lambda row: (row[0],), (int,))
    return listing.of(ListedImages, call.query, found, lambda row: _image(row[1]))


@operation(
    "POST /sign/lists/{id}", Permission.SIGN, Command("sign", described, job=True), about=_whole_list, status=202
)
async def sign_list(call: Call, body: Why) -> JobShown:  # noqa: ARG001  its reason is the actor's
    """Sign the images of a list, but for those that are denied or that moved since. A job does so."""
    from proxy.backlog.sign_listed import SIGN_LISTED
    from proxy.jobs.job import Job
    from proxy.jobs.run import start

    job, by = await _done(call), call.actor
    asked = {"list": job.result["list"], "made_by": job.id}
    made = Job("", SIGN_LISTED, by.name, by.authenticated_by, by.reason, call.now, asked)
    return job_shown(await start(made, call.use(Jobs), job_room(by, call.ports)))


OPERATIONS = (list_to_sign, show_list_to_sign, sign_list)


async def _done(call: Call) -> Job:
    """Return the job that made the list. Raises Fault if there is none, or if it has not ended."""
    from proxy.jobs.job import JobState
    from proxy.jobs.run import unknown
    from proxy.oci.faults import Conflict

    found = await call.use(Jobs).find(call.path_params["id"])
    if found is None or found.kind != _LOOK:
        raise unknown(call.path_params["id"])
    if found.state is not JobState.DONE:
        raise Conflict(f"the list is not made: job {found.id} is {found.state}; see: countersign jobs show {found.id}")
    return found


async def _list(call: Call) -> list[Listed]:
    from proxy.backlog.look import LIST
    from proxy.backlog.model import list_in
    from proxy.oci.faults import NotFound

    job = await _done(call)
    text = await call.ports.journal.revision(LIST, str(job.result["list"]))
    if text is None:
        raise NotFound("the list is not in the store any more")
    return list_in(text)


def _image(each: Listed) -> ListedImage:
    return filled(ListedImage, each, pulled_by=each.callers.names, callers=each.callers.count)
