"""What commands read of the record when no server runs."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest

from proxy import config
from proxy.cli import ask
from proxy.cli.exits import Exit
from proxy.cli.form import OutputFormat
from proxy.journal.event import Event, EventKind
from proxy.oci.faults import Fault, Unavailable
from proxy.oci.reference import Digest, parse_repository, parse_tag
from proxy.server.offline_record import recorded_decision, recorded_would_block
from proxy.server.store import open_store
from proxy.store.clock import SystemClock
from proxy.trust.decision import Decision
from proxy.trust.question import Question
from proxy.trust.reason import Reason
from proxy.trust.requirement import Check, Outcome
from tests.unit.config.test_settings import SIGNING, parse

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
def settings(tmp_path: Path) -> config.Settings:
    found = parse(SIGNING, str(tmp_path))
    asyncio.run(remember(found))
    return found


@pytest.mark.parametrize(
    "question", ["decision-1", "prod/app:1", "registry.example.com/prod/app:1", f"prod/app@{DIGEST}"]
)
def test_why_by_id_and_by_name(settings: config.Settings, question: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert ask.why(settings, question, OutputFormat.TEXT) == Exit.NO
    printed = capsys.readouterr()
    assert "[NO] signed by release: no signature was found" in printed.out
    assert "no server answers; this is from its record" in printed.err


def test_why_of_what_was_never_decided(settings: config.Settings) -> None:
    assert recorded_decision(settings, "prod/other") is None
    with pytest.raises(Unavailable, match="start it"):
        ask.why(settings, "prod/other", OutputFormat.TEXT)


def test_would_block(settings: config.Settings, capsys: pytest.CaptureFixture[str]) -> None:
    assert ask.would_block(settings, "7d", OutputFormat.TEXT) == Exit.FINE
    assert "prod/app:1  unsigned (1)" in capsys.readouterr().out
    with pytest.raises(Fault, match="7d, 12h"):
        recorded_would_block(settings, "lately")


def test_without_a_record(tmp_path: Path) -> None:
    assert recorded_decision(parse(SIGNING, str(tmp_path)), "prod/app") is None
    assert recorded_would_block(parse(SIGNING, str(tmp_path)), "7d") is None
