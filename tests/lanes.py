"""How `pytest -n` divides the tests: whole files, the slowest first, and a few at the end with nothing beside them.

A file stays with one worker, so what it starts is started once. Without `-n` nothing of this applies.
"""

from __future__ import annotations

from xdist.scheduler import LoadFileScheduling
from xdist.workermanage import WorkerController

# These run last, one after the other, while nothing else does: each with what another test beside it would spoil.
_SECONDS = "what it asserts takes less than a second or two, of a server that has the machine to itself"
_LOAD = "it is itself as much load as the machine bears, while signatures have their deadline"
ALONE: dict[str, str] = {
    "tests/attacks/test_a41_lint.py": _LOAD,
    "tests/faults/test_f02_key_vanishes.py": "a token that opens late is told as away, and not what its key is",
    "tests/faults/test_f04_hsm_down.py": "servers start within seconds, or the tests that follow find a refused PIN",
    "tests/faults/test_f06_real_crowds.py": _LOAD,
    "tests/faults/test_f07_two_servers.py": _SECONDS,
    "tests/faults/test_f09_signals.py": _SECONDS,
    "tests/faults/test_hsm_child.py": _SECONDS,
    "tests/faults/test_policies_shared.py": _SECONDS,
}
# `make quick` leaves these out: they start processes, make load or wait for deadlines, seconds for each test.
SLOW = frozenset(
    {
        "tests/attacks/test_a28_slow_clients.py",
        "tests/attacks/test_a34_core_dumps.py",
        "tests/attacks/test_a38_renewed_lists.py",
        "tests/attacks/test_a39_handshakes.py",
        "tests/attacks/test_a40_two_servers_one_tag.py",
        "tests/attacks/test_a41_crowded_out.py",
        "tests/attacks/test_a41_lint.py",
        "tests/attacks/test_a41_upstream_connections.py",
        "tests/contract/test_policy_commands.py",
        "tests/faults/test_draining.py",
        "tests/faults/test_f01_kill_at_every_step.py",
        "tests/faults/test_f05_our_account.py",
        "tests/faults/test_f05_outage.py",
        "tests/faults/test_f06_crowds.py",
        "tests/faults/test_store_killed.py",
        "tests/unit/deploy/test_lanes.py",
        "tests/unit/policies/test_process.py",
    }
)
# Started first, the longest in front, so that none is begun when everything else has ended.
SLOWEST = (
    "tests/interop/test_manners.py",
    "tests/faults/test_key_custody.py",
    "tests/faults/test_f02_every_problem.py",
    "tests/faults/test_f07_rotation.py",
    "tests/interop/test_notation.py",
    "tests/faults/test_f10_key_lost.py",
    "tests/faults/test_every_metric.py",
    "tests/interop/test_credentials_login.py",
    "tests/faults/test_break_glass_page.py",
    "tests/interop/test_admin_conformance.py",
    "tests/faults/test_f02_hsm_through_the_proxy.py",
)


def _rank(file: str) -> tuple[int, int]:
    if file in ALONE:
        return 2, 0
    return (0, SLOWEST.index(file)) if file in SLOWEST else (1, 0)


class Lanes(LoadFileScheduling):  # type: ignore[misc]  # xdist has no types
    """Gives each worker that is nearly out of work the next file; what runs alone goes to the last worker left."""

    def _assign_work_unit(self, node: WorkerController) -> None:
        file = min(self.workqueue, key=_rank)
        others = [other for other in self.nodes if other is not node]
        if file in ALONE and others:
            if not all(other.shutting_down for other in others):
                node.shutdown()
            return  # the last one is asked again when the others have ended
        self.workqueue.move_to_end(file, last=False)
        super()._assign_work_unit(node)
        if (
            self._pending_of(self.assigned_work[node]) < 2
        ):  # a worker begins no test before it knows of another, or of none
            self._reschedule(node)

    def remove_node(self, node: WorkerController) -> str | None:
        """The worker has ended; returned is the test that it died of, if it did. What it left is given to others.

        The test that it died of is not run again: it would take one worker after the other.
        """
        left: dict[str, dict[str, bool]] = self.assigned_work.pop(node)
        died_of = next((test for tests in left.values() for test, done in tests.items() if not done), None)
        if died_of is not None:
            left[self._split_scope(died_of)][died_of] = True
        self.workqueue.update({file: tests for file, tests in left.items() if not all(tests.values())})
        for other in self.nodes if self.workqueue else ():
            self._reschedule(other)
        return died_of
