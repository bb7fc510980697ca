"""What holds for every test: none depends on how fast this machine is; what was skipped is counted with its reason."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import settings
from xdist.remote import Producer

from tests.lanes import ALONE, SLOW, Lanes

settings.register_profile("countersign", deadline=None)
settings.register_profile("quick", deadline=None, max_examples=20)
settings.load_profile("countersign")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Lanes:
    return Lanes(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        file = item.nodeid.split("::")[0]
        if file in ALONE:
            item.add_marker(pytest.mark.alone)
        if file in SLOW:
            item.add_marker(pytest.mark.slow)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reasons: Counter[str] = Counter()
    for report in terminalreporter.stats.get("skipped", []):
        if isinstance(report.longrepr, tuple):
            reasons[report.longrepr[2].removeprefix("Skipped: ")] += 1
    for reason, count in reasons.most_common():
        terminalreporter.write_line(f"{count} test{'s' if count > 1 else ''} skipped: {reason}", yellow=True)
