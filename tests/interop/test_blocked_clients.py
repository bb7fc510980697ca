"""An unsigned image is blocked in every client, and what the client prints leads to the page that explains it.

The golden texts are what the versions of Debian 12 and of our own builds print; COUNTERSIGN_GOLDEN=write makes them
anew. Who may push there gets an answer to HEAD (or pushes would break), so the two cases read differently.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from deploy.layouts import image
from tests.interop.clients import ENGINES, SMALL
from tests.interop.images import push
from tests.interop.peers import Ran
from tests.interop.shared import Here
from tests.interop.wire import ask

pytestmark = pytest.mark.go
GOLDEN = Path(__file__).with_name("golden")
PAGE = re.compile(r"http://127\.0\.0\.1:\d+/-/d/([\w-]+)")
CASES = {"pusher": "", "reader": "readers/"}


def blocked(here: Here, client: str, case: str) -> tuple[Ran, str]:
    """What the client said of an image that came in behind the proxy's back, and its repository."""
    repository = f"{CASES[case]}{here.repository}"
    push(image(here.clients.fresh(), "stranger"), f"{here.proxy.upstream.host}/{repository}:1")
    if client == "cosign":
        ended = here.verifiers.cosign(f"{repository}:1")
    else:
        ended = here.clients.pull(client, here.name(repository=repository))
    assert ended.status != 0, ended.output
    return ended, repository


def normal(text: str, here: Here, repository: str) -> str:
    """The text without what is different every time: addresses, ids, times, folders."""
    text = (
        text.replace(here.proxy.host, "PROXY").replace(repository, "REPOSITORY").replace(str(here.clients.folder), "")
    )
    text = re.sub(r"/-/d/[\w-]+", "/-/d/ID", text)
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]|\r", "", text)
    text = re.sub(r"\d{4}[-/]\d\d[-/]\d\d[T ][\d:.Z]+|elapsed: [\d. ]+m?s|\(0\.0 B/s\)", "TIME", text)
    text = re.sub(r"time=\"[^\"]+\"", "TIME", text)
    return "".join(f"{line.rstrip()}\n" for line in text.splitlines())


def compare(shown: str, name: str) -> None:
    """The text is the golden one of that name."""
    golden = GOLDEN / f"{name}.txt"
    if os.environ.get("COUNTERSIGN_GOLDEN") == "write":
        golden.write_text(shown)
    assert shown == golden.read_text()


@pytest.mark.parametrize("case", list(CASES))
@pytest.mark.parametrize("client", [*SMALL, *ENGINES, "cosign"])
def test_what_a_blocked_person_reads(here: Here, client: str, case: str) -> None:
    ended, repository = blocked(here, client, case)
    compare(normal(ended.output, here, repository), f"{client}-{case}")


@pytest.mark.parametrize("client", [*SMALL, *ENGINES])
def test_who_may_not_push_reads_why(here: Here, client: str) -> None:
    """Of what each client prints, the line that says it; the rest is progress, and differs from run to run."""
    repository = f"readers/{here.repository}"
    ended = here.clients.push(client, "hello", here.name(repository=repository))
    assert ended.status != 0, ended.output
    assert ask(here.proxy.upstream.host, "GET", f"/v2/{repository}/manifests/1").status == 404
    lines = [line for line in normal(ended.output, here, repository).splitlines() if "/-/d/ID" in line]
    assert lines, ended.output
    found = PAGE.search(ended.output)
    assert found
    assert b"push list" in ask(here.proxy.host, "GET", found[0]).body
    compare(re.sub("sha256:[0-9a-f]+|[0-9a-f]{64}|[0-9a-f]{12}\\b", "DIGEST", f"{lines[-1]}\n"), f"{client}-push")


@pytest.mark.parametrize("client", ["crane", "oras", "regctl"])
def test_where_policy_only_warns_these_say_so(here: Here, client: str) -> None:
    repository = f"warned/{here.repository}"
    push(image(here.clients.fresh(), "stranger"), f"{here.proxy.upstream.host}/{repository}:1")
    ended = here.clients.pull(client, here.name(repository=repository))
    assert ended.status == 0, ended.output
    assert "would be blocked: it is not signed" in ended.output
    assert PAGE.search(ended.output)


@pytest.mark.parametrize("case", list(CASES))
@pytest.mark.parametrize("client", [*SMALL, *ENGINES])
def test_the_error_leads_to_its_page(here: Here, client: str, case: str) -> None:
    ended, repository = blocked(here, client, case)
    found = PAGE.search(ended.output)
    assert found, ended.output
    page = ask(here.proxy.host, "GET", found[0])
    assert page.status == 200, page
    text = page.body.decode()
    assert repository in text
    assert "unsigned" in text
    shown = ask(here.proxy.host, "GET", found[0], headers={"Accept": "application/json"}).json()
    assert shown["reason"] == "unsigned"
    html = ask(here.proxy.host, "GET", found[0], headers={"Accept": "text/html"})
    assert "text/html" in html.headers["content-type"]
