"""`countersign sign`: one image at once; several after the list of them was made and shown."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from proxy.cli.exits import Exit, OutputFormat
from proxy.cli.options import Config, DryRun, Output, Reason, Server, Token, Yes, place_of
from proxy.oci.duration import minute
from proxy.oci.faults import Invalid, visible

if TYPE_CHECKING:
    from proxy.cli.admin import Endpoint

_SINCE = "30d"
Row = Mapping[str, Any]


def sign(
    ref: Annotated[
        str | None, typer.Argument(metavar="REF|PATTERN", help="team/app:1; team/** or team/app:* for several")
    ] = None,
    names: Annotated[
        str | None, typer.Option("--from", metavar="FILE", help="a file with a name on each line; -: standard input")
    ] = None,
    unsigned_pulled: Annotated[
        bool, typer.Option("--unsigned-pulled", help="everything that was pulled and is not signed")
    ] = False,
    since: Annotated[
        str | None,
        typer.Option("--since", metavar="SPAN", help=f"with --unsigned-pulled: since when; default {_SINCE}"),
    ] = None,
    *,
    reason: Reason,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="wait until all images are signed")] = True,
    dry_run: DryRun = False,
    yes: Yes = False,
    server: Server = "",
    token: Token = "",
    config: Config = None,
    output: Output = OutputFormat.TEXT,
) -> None:
    """Sign images that are already upstream. Several are listed first."""
    from proxy.backlog.operations import Selection
    from proxy.cli.operations import carry_out
    from proxy.cli.typed import check, checked
    from proxy.server.image_operations import sign as sign_one

    if sum((ref is not None, names is not None, unsigned_pulled)) != 1:
        raise Invalid("say what to sign with one of: REF or PATTERN, --from FILE, --unsigned-pulled")
    if since is not None and not unsigned_pulled:
        raise Invalid("--since belongs to --unsigned-pulled")
    given = {"ref": ref, "reason": reason, "output": output}
    if ref is not None and "*" not in ref:
        read = checked(sign_one, given)
        if wait and not dry_run:
            raise typer.Exit(carry_out(sign_one, place_of(server, token, config), given, read))
    selected = {**_selection(ref, names, since), "reason": reason}
    check(Selection, selected, {"images": ("PATTERN", ref), "names": ("--from", names), "reason": ("--reason", reason)})
    place = place_of(server, token, config)
    raise typer.Exit(_several(place, selected, output, wait=wait, dry_run=dry_run, yes=yes))


def _selection(ref: str | None, names: str | None, since: str | None) -> dict[str, str]:
    """Return what is to be signed, as the API takes it. Raises Invalid, ConfigError."""
    from proxy.cli.typed import file_of, time_of

    if ref is not None:
        return {"images" if "*" in ref else "names": ref}
    if names is None:
        at = time_of("--since", _SINCE if since is None else since, "since", datetime.now(UTC))
        return {"pulled_since": at.isoformat()}
    try:
        text = sys.stdin.read() if names == "-" else file_of("--from", names).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        said = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise Invalid(f"--from {visible(names, 200)}: {said}") from None
    return {"names": text}


def _several(place: Endpoint, selected: Row, form: OutputFormat, *, wait: bool, dry_run: bool, yes: bool) -> Exit:
    """List the images, and have the list signed if the user agrees. Exit code 1: not all were signed, 5: not known."""
    from proxy.cli.admin import call, pages
    from proxy.cli.agreed import asked
    from proxy.cli.ask import json_out
    from proxy.cli.progress import printed, result_of, waited

    made = call(place, "POST", "sign/lists", selected)
    found = result_of(place, made)
    if isinstance(found, Exit):
        return found
    images = pages(place, path := f"sign/lists/{made['id']}")
    known = Exit.INCONCLUSIVE if found["counts"].get("could not look") or found["more"] else Exit.FINE
    if (dry_run or not images) and form is OutputFormat.JSON:
        json_out({**found, "images": images})
        return known
    out = sys.stdout if dry_run or not images else sys.stderr
    out.write("".join(f"{visible(line, 1000).rstrip()}\n" for line in _listed(found, images)))
    if dry_run or not images:
        return known
    if not yes and not asked():
        sys.stderr.write("nothing was done\n")
        return Exit.NO
    job = call(place, "POST", path, {"reason": selected["reason"]})
    if not wait:
        return printed(job, form)
    over = waited(place, job)
    if over is None:
        return Exit.INCONCLUSIVE
    printed(over, form)
    return known if over["state"] == "done" and not over["result"]["failed"] else Exit.NO


def _listed(found: Row, images: Sequence[Row]) -> list[str]:
    """Return the list for people: the images to sign, why others are not signed, the counts."""
    from proxy.backlog.model import Status
    from proxy.cli.ask import table

    head = ("IMAGE", "DIGEST", "PULLED BY", "LAST PULL", "PUSHED BY")
    lines = table([head, *map(_cells, images)]) if images else []
    lines += [f"not signed: {why}" for why in found["not signed"]]
    counts = [(status, found["counts"].get(status, 0)) for status in Status]
    lines.append(", ".join(f"{count} {status}" for status, count in counts if count) or "no image matches")
    if found["more"]:
        lines.append(f"MORE IS UNSIGNED: the list ends after {len(images)} images; sign these, then list again")
    return lines


def _cells(image: Row) -> tuple[str, ...]:
    from proxy.admin.shapes import pulled_by

    name = f"{image['repository']}{'@' if ':' in image['reference'] else ':'}{image['reference']}"
    last, pushed = minute(image["last"]) or "-", image["pushed"] or "not recorded"
    return (name, image["digest"][:19], pulled_by(image), last, pushed)
