"""The command line: quick to start, and errors that are one text and one exit code."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import UnixStreamServer

import pytest

from proxy.cli import app as module
from proxy.cli.exits import Exit
from tests.unit.config.test_settings import MINIMAL, SIGNING

COMMANDS = ["init", "serve", "verify", "why", "sign", "status", "doctor", "client-config", "config", "report"]


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["countersign", *arguments])
    with pytest.raises(SystemExit) as left:
        module.run()
    return int(left.value.code or 0)


def configured(directory: Path, text: str = SIGNING) -> str:
    (directory / "countersign.yaml").write_text(text)
    return str(directory)


def test_help_names_every_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(monkeypatch, "--help") == Exit.FINE
    printed = capsys.readouterr().out
    assert all(f"  {command} " in printed for command in COMMANDS)


def test_help_loads_nothing_heavy() -> None:
    heavy = "{'aiohttp', 'sqlalchemy', 'pydantic', 'cryptography', 'hsm', 'yaml'}"
    code = f"import sys, proxy.cli.app; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "command", ["status", "journal", "reload", "verify app:1", "why app:1", "keys list", "report would-block", "doctor"]
)
def test_a_question_to_the_server_loaded_what_only_the_server_needs(tmp_path: Path, command: str) -> None:
    heavy = (
        "{'aiohttp', 'sqlalchemy', 'cryptography', 'hsm', 'yaml', 'asyncio', 'proxy.trust.decision'}"  # typer: pydantic
    )
    code = (
        "import sys\n"
        "from proxy.cli.app import run\n"
        "try:\n"
        "    run()\n"
        "finally:\n"
        f"    print(sorted({heavy} & set(sys.modules)))"
    )
    asked = [sys.executable, "-c", code, *command.split(), "-c", configured(tmp_path)]
    with refusing(tmp_path / "countersign.sock"):
        done = subprocess.run(asked, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (Exit.NO, "not now\n")
    assert done.stdout.strip() == "[]"


@contextmanager
def refusing(path: Path) -> Iterator[None]:
    """A server that refuses every call."""

    class Refusal(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            data = b'{"detail": "not now"}'
            self.send_response(409)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_POST = do_GET  # noqa: N815  named by the base class

        def log_message(self, *_: object) -> None:
            """Say nothing."""

        def address_string(self) -> str:
            return "socket"

    with UnixStreamServer(str(path), Refusal) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


def test_the_help_has_the_first_words_of_each_operation() -> None:
    told = {each.name: each.callback.__doc__ or "" for each in module.whole().registered_commands if each.callback}
    assert {name: says for name, (says, _) in module.COMMANDS.items()} == {
        name: told[name].partition(". ")[0].removesuffix(".") + "." for name in module.COMMANDS
    }


def test_a_start_loaded_what_only_pages_or_another_database_need(tmp_path: Path) -> None:
    heavy = "{'alembic', 'jinja2', 'rich', 'sigstore', 'sqlalchemy.dialects.postgresql', 'sqlalchemy.orm'}"
    code = (
        "import asyncio, sys\n"
        f"asyncio.run = lambda work: (work.close(), print(sorted({heavy} & set(sys.modules))), 0)[-1]\n"
        "from proxy.cli.app import run\n"
        "run()"
    )
    command = [sys.executable, "-c", code, "serve", "-c", configured(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_start_built_shapes_and_read_certificates_that_nothing_used_yet(tmp_path: Path) -> None:
    code = (
        "import asyncio, ssl, sys\n"
        "def look(work):\n"
        "    work.close()\n"
        "    from aiohttp import connector\n"
        "    from proxy.keys.shapes import Keys\n"
        "    print(connector._SSL_CONTEXT_VERIFIED.get_ca_certs(), Keys.__pydantic_complete__)\n"
        "    print(Keys.model_json_schema()['type'], 'set_default_verify_paths' in vars(ssl.SSLContext))\n"
        "    from sqlalchemy.ext.asyncio.session import AsyncSession\n"
        "    print(AsyncSession.__name__)\n"
        "    return 0\n"
        "asyncio.run = look\n"
        "from proxy.cli.app import run\n"
        "run()"
    )
    command = [sys.executable, "-c", code, "serve", "-c", configured(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["[]", "False", "object", "False", "AsyncSession"]  # nothing is missing afterwards


def test_one_command_read_the_options_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("status", "client-config", "keys"):
        alone = module._with([name])
        assert len(alone.registered_commands) + len(alone.registered_groups) == 1
    for named in ([], ["--help"], ["statsu"]):
        assert module._with(named) is module.app


@pytest.mark.parametrize("words", ["keys list", "keys csr", "keys chain set", "keys lost", "tokens draft"])
def test_a_command_of_a_group_is_there_alone_and_in_the_whole(words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(monkeypatch, *words.split(), "--help") == Exit.FINE
    assert run(monkeypatch, *words.split()[:-1], "--help") == Exit.FINE
    assert run(monkeypatch, *words.split()[:-1], "none") == Exit.USAGE


@pytest.mark.parametrize("group", ["", "config", "trust", *module.OPERATIONS])
def test_the_summary_of_each_command_fits_its_line(
    group: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert run(monkeypatch, *group.split(), "--help") == Exit.FINE
    usage, *lines = capsys.readouterr().out.splitlines()
    assert usage.endswith("COMMAND [ARGS]...")
    assert "Commands:" in lines
    assert not [line for line in lines if line.endswith("...")]


def test_a_command_alone_calls_itself_as_it_did(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "status", "--help") == Exit.FINE
    assert "countersign status [OPTIONS]" in capsys.readouterr().out
    assert run(monkeypatch, "statsu") != Exit.FINE
    assert "statsu" in capsys.readouterr().err


def test_a_broken_file_is_code_3_on_stderr(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    place = configured(tmp_path, "version: 1\n")
    assert run(monkeypatch, "config", "validate", "-c", place) == Exit.CONFIG
    printed = capsys.readouterr()
    assert "countersign.yaml:1:1: server: is missing" in printed.err
    assert printed.out == ""


def test_no_server_is_code_4_and_says_how_to_start_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "verify", "prod/app:1", "-c", configured(tmp_path)) == Exit.NO_SERVER
    assert f"countersign serve --config {tmp_path}/countersign.yaml" in capsys.readouterr().err


def test_status_asks_also_when_the_file_is_broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(monkeypatch, "status", "-c", configured(tmp_path, "broken: [")) == Exit.NO_SERVER


def test_a_command_line_that_is_none_is_code_2(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(monkeypatch, "sign", "prod/app:1") == Exit.USAGE
    assert run(monkeypatch, "client-config", "lynx") == Exit.USAGE


def test_an_existing_token_needs_all_three_options(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "init", str(tmp_path), "--upstream", "http://a", "--token-label", "x") == Exit.CONFIG
    assert "--module, --token-label and --pin-file belong together" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_validate_says_so_and_warns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "config", "validate", "-c", configured(tmp_path, MINIMAL)) == Exit.FINE
    printed = capsys.readouterr().out
    assert "is valid: 0 policies" in printed
    assert "every repository is closed" in printed


def test_schema_is_json(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(monkeypatch, "config", "schema") == Exit.FINE
    assert '"Countersign configuration"' in capsys.readouterr().out


@pytest.mark.parametrize(("encoding", "told"), [("utf-8", "ünïcödé"), ("ascii", "\\xfcn\\xefc\\xf6d\\xe9")])
def test_what_the_encoding_of_a_terminal_lacks_ended_in_a_traceback(tmp_path: Path, encoding: str, told: str) -> None:
    code = (
        "import proxy.cli.admin as admin, proxy.cli.app as app\n"
        "row = {'id': 'abcdefgh', 'target': 'team/app', 'reason': 'ünïcödé\\x1b', 'by': 'x', 'until': None}\n"
        "row |= {'in_force': True}\n"
        "admin.call = lambda *_: {'items': [row], 'next': None}\n"
        "app.run()"
    )
    words = [sys.executable, "-X", "utf8=0", "-c", code, "deny", "list", "-c", configured(tmp_path)]
    done = subprocess.run(words, capture_output=True, env={"PYTHONIOENCODING": encoding, "PYTHONPATH": str(Path.cwd())})
    assert done.stderr == b""
    assert f"{told}\\x1b" in done.stdout.decode(encoding)
