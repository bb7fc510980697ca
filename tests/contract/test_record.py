"""What commands read of the record when no server runs."""

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from proxy import config
from proxy.cli.app import _with
from proxy.cli.exits import Exit
from proxy.journal.event import Event, EventKind
from proxy.oci.faults import Fault, Unavailable
from proxy.oci.reference import Digest, parse_repository, parse_tag
from proxy.server.store import open_store
from proxy.store.clock import SystemClock
from proxy.trust.decision import Decision
from proxy.trust.question import Question
from proxy.trust.reason import Reason
from proxy.trust.requirement import Check, Outcome
from tests.unit.config.test_settings import SIGNING

NOW = datetime.now(UTC)
DIGEST = Digest("sha256:" + "ab" * 32)


async def remember(settings: config.Settings) -> None:
    decision = Decision(
        id="decision-1",
        question=Question(parse_repository("prod/app"), parse_tag("1")),
        digest=DIGEST,
        media_type="application/vnd.oci.image.manifest.v1+json",
        outcome=Outcome.FAILED,
        mode="warn",
        reason=Reason.UNSIGNED,
        checks=(Check("signed by release", Outcome.FAILED, "no signature was found", Reason.UNSIGNED),),
        signatures=(),
        policy_revision="p",
        key_revision="k",
        at=NOW,
    )
    store = await open_store(settings.store.url, SystemClock())
    event = Event(NOW, EventKind.PULL_WARNED, repository="prod/app", reference="1", digest=DIGEST, reason="unsigned")
    await store.journal.decided(decision, event)
    await store.close()


@pytest.fixture
def config_file(tmp_path: Path) -> Path:
    (tmp_path / "countersign.yaml").write_text(SIGNING)
    return tmp_path / "countersign.yaml"


@pytest.fixture
def recorded(config_file: Path) -> Path:
    asyncio.run(remember(config.load(config_file)))
    return config_file


def typed(config_file: Path, *words: str) -> Result:
    """What a command does where no server runs."""
    return CliRunner().invoke(_with([words[0]]), [*words, "-c", str(config_file)])


@pytest.mark.parametrize(
    "question", ["decision-1", "prod/app:1", "registry.example.com/prod/app:1", f"prod/app@{DIGEST}"]
)
def test_why_by_id_and_by_name(recorded: Path, question: str) -> None:
    done = typed(recorded, "why", question)
    assert done.exit_code == Exit.NO
    assert "[NO] signed by release: no signature was found" in done.stdout
    assert "no server answers; this is from its record" in done.stderr


def test_why_of_what_was_never_decided(recorded: Path) -> None:
    done = typed(recorded, "why", "prod/other")
    assert isinstance(done.exception, Unavailable)
    assert "start it" in done.exception.what


def test_would_block(recorded: Path) -> None:
    for options in ((), ("--since", "2d")):
        done = typed(recorded, "report", "would-block", *options)
        assert done.exit_code == Exit.FINE
        assert "prod/app:1  countersign  NOT JUDGED: no server answers" in done.stdout
    assert json.loads(typed(recorded, "report", "would-block", "-o", "json").stdout)["images"][0]["pulls"] == 1
    wrong = typed(recorded, "report", "would-block", "--since", "lately").exception
    assert isinstance(wrong, Fault)
    assert "such as 7d or 12h" in wrong.message


def test_the_journal(recorded: Path) -> None:
    done = typed(recorded, "journal", "--since", "1h", "--kind", "pull.warned")
    assert "pull.warned" in done.stdout
    assert "prod/app:1" in done.stdout
    assert "reason: unsigned" in done.stdout
    (row,) = json.loads(typed(recorded, "journal", "-o", "json").stdout)["items"]
    assert (row["repository"], row["reason"]) == ("prod/app", "unsigned")
    assert typed(recorded, "journal", "--repository", "prod/other").stdout == "no row names repository prod/other\n"
    wrong = typed(recorded, "journal", "--kind", "pull.warn").exception
    assert isinstance(wrong, Fault)
    assert "did you mean pull.warned? docs/events.md lists them" in wrong.message


@pytest.mark.parametrize("words", [("why", "prod/app"), ("report", "would-block"), ("journal",)])
def test_without_a_record(config_file: Path, words: tuple[str, ...]) -> None:
    assert isinstance(typed(config_file, *words).exception, Unavailable)


def test_a_server_that_is_named_is_not_stood_in_for(recorded: Path) -> None:
    far = ("--server", "http://127.0.0.1:9", "--token", "x")
    assert isinstance(typed(recorded, "why", "decision-1", *far).exception, Unavailable)
