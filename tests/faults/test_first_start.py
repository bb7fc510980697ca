"""`countersign init` typed by people: without rights, in front of a registry that is not up, a second time."""

from __future__ import annotations

import os
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml

from proxy import version
from tests.faults.caller import caller, image
from tests.faults.served import Served, served
from tests.interop.countersign import PROGRAM
from tests.interop.peers import Ran, free_port, must, need, run
from tests.interop.registries import docker_registry, passwords
from tests.test_docs_pages import ROOT

pytestmark = pytest.mark.real
NOBODY = 65534
# Without these capabilities root may write only where its own user may, as everybody else.
POWERS = "-dac_override,-dac_read_search"


def init(*arguments: str | Path) -> Ran:
    need("softhsm2-util")
    return run(PROGRAM, "init", *arguments)


def as_a_user(*arguments: str | Path) -> Ran:
    """What `countersign init ARGUMENTS` does without the power to write everywhere."""
    if os.geteuid() != 0:
        return init(*arguments)
    return run("setpriv", f"--inh-caps={POWERS}", f"--bounding-set={POWERS}", PROGRAM, "init", *arguments)


def line(ran: Ran, mark: str) -> str:
    """The line of what it has checked that begins so, with the fix below it."""
    rows = ran.stdout.splitlines()
    at = next(n for n, row in enumerate(rows) if row.startswith(f"  {mark}"))
    return "\n".join(rows[at : at + 2])


def test_without_rights_init_was_thirty_lines_of_python(tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir(mode=0o555)
    for place in (theirs, theirs / "below"):
        ran = as_a_user(place, "--upstream", "http://127.0.0.1:9")
        assert ran.status == 3
        assert "Permission denied" in ran.stderr
        assert "sudo install -d -o " in ran.stderr
        assert "Traceback" not in ran.output
    if os.geteuid() == 0:
        os.chown(theirs, NOBODY, NOBODY)
        told = as_a_user(theirs, "--upstream", "http://127.0.0.1:9").stderr
        assert f"{theirs} belongs to user nobody.\nRun it as that user: sudo -u nobody countersign init" in told


def test_a_configuration_that_may_not_be_read_is_not_taken_for_a_missing_one(tmp_path: Path) -> None:
    (tmp_path / "countersign.yaml").write_text("version: 1\n")
    (tmp_path / "countersign.yaml").chmod(0)
    ran = as_a_user(tmp_path, "--upstream", "http://127.0.0.1:9")
    assert (ran.status, "Traceback" in ran.output) == (3, False)
    assert "countersign.yaml (Permission denied)" in ran.stderr


def test_options_on_an_existing_directory_were_ignored_in_silence(tmp_path: Path) -> None:
    here = tmp_path / "here"
    assert init(here, "--upstream", "http://127.0.0.1:9").status == 0
    before = (here / "countersign.yaml").read_bytes()
    ran = init(here, "--upstream", "http://127.0.0.1:10", "--adopt")
    assert (ran.status, ran.stdout) == (3, "")
    assert "--upstream says http://127.0.0.1:10, the file says http://127.0.0.1:9" in ran.stderr
    assert "--adopt says warn, the file says enforce" in ran.stderr
    assert (here / "countersign.yaml").read_bytes() == before
    again = init(*ran.stderr.splitlines()[-1].partition("countersign init ")[2].split())
    assert again.status == 0
    assert "Nothing had to be made." in again.stdout


def test_a_registry_that_is_not_up_yet_is_told_with_the_next_command(tmp_path: Path) -> None:
    port = free_port()
    ran = init(tmp_path / "down", "--upstream", f"http://127.0.0.1:{port}")
    assert ran.status == 0
    assert f"Connection refused (http://127.0.0.1:{port}/v2/)" in line(ran, "[NO] upstream")
    told = line(ran, "[NO] upstream").partition(", then: ")[2].partition(" (curl")[0]
    assert must(PROGRAM, *told.removeprefix("countersign ").replace("doctor", "config validate").split())

    ran = init(tmp_path / "typo", "--upstream", "http://nosuch.invalid:5000")
    assert ran.status == 0
    assert "the name nosuch.invalid does not resolve" in line(ran, "[NO] upstream")

    with socket.create_server(("127.0.0.1", 0)) as mute:
        ran = init(tmp_path / "mute", "--upstream", f"http://127.0.0.1:{mute.getsockname()[1]}")
    assert ran.status == 0
    assert "no answer within 10 s" in line(ran, "[NO] upstream")


class Site(BaseHTTPRequestHandler):
    """A web server that answers every request with a page."""

    status = 200

    def do_GET(self) -> None:
        self.send_response(self.status)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_what: object) -> None:
        """Nothing."""


@pytest.mark.parametrize(("status", "with_what"), [(200, "answers 200 with a web page"), (404, "answers 404")])
def test_what_is_no_registry_is_told(
    status: int, with_what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Site, "status", status)
    with ThreadingHTTPServer(("127.0.0.1", 0), Site) as site:
        threading.Thread(target=site.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{site.server_port}"
        ran = init(tmp_path / "d", "--upstream", url)
        site.shutdown()
    assert ran.status == 0
    told = line(ran, "[NO] upstream")
    assert f"{url} is no registry: {url}/v2/ {with_what}" in told
    assert "correct upstreams[0].url in " in told


def test_a_registry_that_wants_a_password_is_told_to_need_an_account(tmp_path: Path) -> None:
    with docker_registry(tmp_path / "r", auth=passwords(tmp_path, {"us": "secret"})) as registry:
        ran = init(tmp_path / "d", "--upstream", registry.url, "--contact", "#platform-help")
    assert ran.status == 0
    assert f"[ok] upstream: {registry.url} answers 401" in ran.stdout
    assert "none, so verify, why and sign cannot read images" in line(ran, "  [!!] our account")
    assert "set upstreams[0].credentials" in line(ran, "  [!!] our account")
    assert "no contact" not in ran.output


def test_https_without_tls_is_told(tmp_path: Path) -> None:
    with docker_registry(tmp_path / "r") as registry:
        where = ("--upstream", registry.url, "--public-url", "https://registry.example.com", "--listen", "0.0.0.0:5000")
        ran = init(tmp_path / "d", *where)
    assert "are served without TLS: set server.tls (cert and key), or put a reverse proxy" in ran.stdout
    assert "no contact" in ran.stdout


async def test_what_compose_starts_signs_a_push(tmp_path: Path) -> None:
    services = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text())["services"]
    folder, host, admin = tmp_path / "volume", f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
    with docker_registry(tmp_path / "r") as registry:
        made = Served(folder, host, admin, registry)
        here = {"http://registry:5000": registry.url, "0.0.0.0:5000": host, "http://127.0.0.1:5000": f"http://{host}"}
        command = [option.partition("=") for option in services["init"]["command"]]
        words = [f"{name}{equals}{here.get(value, value)}" for name, equals, value in command]
        must(PROGRAM, *words, folder, "--admin-listen", admin)
        (verb, option, config) = services["countersign"]["command"]
        assert (verb, option, folder / Path(config).relative_to("/var/lib/countersign")) == (
            "serve", "--config", made.config,
        )  # fmt: skip
        made.start()
        try:
            async with caller(host) as client:
                await client.at(registry.host).furnish("demo/app")
                assert (await client.push("demo/app", "1", image())).status == 201
                assert made("verify", "demo/app:1").status == 0
        finally:
            made.close()


def test_the_first_line_of_the_log_and_the_status_say_the_version(tmp_path: Path) -> None:
    with docker_registry(tmp_path / "r") as registry, served(tmp_path / "proxy", registry) as proxy:
        proxy.start()
        proxy.until(lambda: '"event": "serving"' in proxy.daemon.printed(), "the log does not say that it serves")
        assert f'"version": "{version()}"' in next(
            row for row in proxy.daemon.printed().splitlines() if '"event": "serving"' in row
        )
        assert f"  version   {version()}\n" in proxy("status").stdout
        assert f"[ok] server: countersign {version()} serves" in proxy("doctor").stdout
        assert must(PROGRAM, "--version") == f"countersign {version()}\n"
