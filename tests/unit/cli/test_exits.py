from __future__ import annotations

from typing import NoReturn

import pytest

from proxy.cli import app
from proxy.cli.exits import Exit
from proxy.oci.faults import Fault
from proxy.policies.operations import _NEWLY_BLOCKED, _NOT_KNOWN
from proxy.server.doctor_operations import _CODES, _CONFIGURATION
from proxy.server.image_operations import _explained

OUTCOMES = ("passed", "failed", "inconclusive")


def test_codes_are_what_scripts_and_units_already_rely_on() -> None:
    """A code never changes its meaning: this list may grow at its end only."""
    names = ["FINE", "NO", "USAGE", "CONFIG", "NO_SERVER", "INCONCLUSIVE"]
    names += ["TOKEN", "UPSTREAM", "STORE", "CLOCK", "PIN_REFUSED", "WAITING", "NEWLY_BLOCKED"]
    assert [code.name for code in Exit][: len(names)] == names
    assert [int(code) for code in Exit] == list(range(len(Exit)))


def test_features_give_the_codes_of_this_table() -> None:
    """They may not import it: they are below the command line."""
    assert (_NEWLY_BLOCKED, _NOT_KNOWN) == (Exit.NEWLY_BLOCKED, Exit.INCONCLUSIVE)
    parts = {"tokens": Exit.TOKEN, "upstream": Exit.UPSTREAM, "store": Exit.STORE, "clock": Exit.CLOCK}
    assert ({**parts, "server": Exit.NO}, Exit.CONFIG) == (_CODES, _CONFIGURATION)
    codes = {outcome: _explained({"outcome": outcome, "text": "", "decision": {}}, {}).code for outcome in OUTCOMES}
    assert codes == {"passed": Exit.FINE, "failed": Exit.NO, "inconclusive": Exit.INCONCLUSIVE}


def test_a_usage_error_and_a_plan_had_one_code(monkeypatch: pytest.MonkeyPatch) -> None:
    for status, code in ((400, Exit.USAGE), (403, Exit.NO), (404, Exit.NO), (409, Exit.NO), (503, Exit.INCONCLUSIVE)):

        def raised(status: int = status) -> NoReturn:
            raise Fault("UNKNOWN", "no", status=status)

        monkeypatch.setattr(app, "_with", lambda _, raised=raised: raised)
        with pytest.raises(SystemExit) as left:
            app.run()
        assert left.value.code is code


def test_no_code_is_one_that_shells_give_to_signals() -> None:
    assert max(Exit) < 126
