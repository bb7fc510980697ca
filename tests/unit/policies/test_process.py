"""The processes that look through policies: what they answer, and what becomes of one that is slow, dead or garbled."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hsm.child import Child
from proxy.oci.faults import Fault, Unavailable
from proxy.oci.limits import MIB, Limits
from proxy.policies import process as policy_process
from proxy.policies.process import Here, PolicyProcesses, Turns
from proxy.policies.worker import answer

NAMED = {"path": "c.yaml", "keys": {"release": False}, "trust": {}}
GOOD = "policies: [{repositories: [a], contact: us}]"
# Refused with a problem for each value: it takes the time and memory that there are.
HEAVY = "policies: [{repositories: [a], push: {allow: [" + ",".join("1" for _ in range(50_000)) + "]}}]"


def request(text: str = GOOD) -> dict[str, Any]:
    return {"do": "read", "text": text, "name": "p", "signers": NAMED, "segments": 3000}


@pytest.fixture
async def processes() -> AsyncIterator[PolicyProcesses]:
    made = PolicyProcesses(Limits())
    yield made
    await made.close()


def gone(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists()


def address_space(pid: int) -> int:
    """The most bytes the process had so far."""
    status = Path(f"/proc/{pid}/status").read_text()
    (found,) = re.findall(r"^VmPeak:\s+(\d+) kB$", status, re.MULTILINE)
    return int(found) * 1024


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not true():  # noqa: ASYNC110  what is waited for is a process
            await asyncio.sleep(0.01)


async def test_they_answer_what_is_answered_here(processes: PolicyProcesses) -> None:
    assert not processes.pids, "none runs before it is needed"
    for text in (GOOD, "policies: [{}]", "policies: [\ud800]"):
        asked = request(text)
        assert await processes.ask(asked, urgent=False) == await Here().ask(asked, urgent=True) == answer(asked)
    assert len(processes.pids) == 1
    (pid,) = processes.pids
    await processes.close()
    assert gone(pid)
    with pytest.raises(Unavailable, match="the server is stopping"):
        await processes.ask(request(), urgent=False)


async def test_what_is_tried_out_is_killed_at_its_deadline_and_the_next_is_answered() -> None:
    processes = PolicyProcesses(replace(Limits(), policy_check_s=0.1))
    try:
        with pytest.raises(Fault, match=r"take longer than 0\.1 s to check \(limits\.policy_check_s\)") as late:
            await processes.ask(request(HEAVY), urgent=False)
        assert late.value.status == 400
        assert processes.pids == ()
    finally:
        await processes.close()


async def test_a_text_that_takes_too_much_memory_ends_its_process_and_is_refused(processes: PolicyProcesses) -> None:
    await processes.ask(request(), urgent=False)
    (needed,) = map(address_space, processes.pids)
    bounded = PolicyProcesses(replace(Limits(), policy_check_bytes=needed + 4 * MIB))
    try:
        assert "canonical" in await bounded.ask(request(), urgent=False)
        with pytest.raises(Fault, match=r"the process that checks policies \(pid [0-9]+\) died, twice"):
            await bounded.ask(request("policies: [" + "{repositories: [a]}," * 3000 + "]"), urgent=False)
        assert "canonical" in await bounded.ask(request(), urgent=False)
    finally:
        await bounded.close()


async def test_one_that_died_is_replaced_also_where_it_was_asked(processes: PolicyProcesses) -> None:
    await processes.ask(request(), urgent=False)
    (before,) = processes.pids
    os.kill(before, signal.SIGKILL)  # idle, and perhaps not known to be dead yet
    assert "canonical" in await processes.ask(request(), urgent=False)
    (after,) = processes.pids
    assert after != before


async def test_what_is_no_frame_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    started = []

    async def noisy(module: str, what: str, extra: object, *arguments: str) -> Child:
        command = "print('Traceback: no frame at all', flush=True); input()"
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec("python3", "-c", command, stdin=pipe, stdout=pipe)
        started.append(process.pid)
        return Child(process, what)

    monkeypatch.setattr(Child, "start", noisy)
    processes = PolicyProcesses(Limits())
    with pytest.raises(Fault, match="wrote garbage: a frame of 1416782179 bytes"):
        await processes.ask(request(), urgent=False)
    assert len(started) == 2
    assert all(gone(pid) for pid in started)
    await processes.close()


async def test_nobody_waits_for_a_check_whose_caller_has_gone(processes: PolicyProcesses) -> None:
    await processes.ask(request(), urgent=False)
    (before,) = processes.pids
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await processes.ask(request(HEAVY), urgent=False)
    assert gone(before), "its answer is not taken for the next one's"
    assert "canonical" in await processes.ask(request(), urgent=False)


async def test_what_is_to_be_put_in_force_does_not_wait_behind_what_is_tried_out(processes: PolicyProcesses) -> None:
    await asyncio.gather(processes.ask(request(), urgent=True), processes.ask(request(), urgent=False))
    _, trying = processes.pids
    os.kill(trying, signal.SIGSTOP)
    others = [asyncio.create_task(processes.ask(request(), urgent=False)) for _ in range(5)]
    await asyncio.sleep(0)
    for _ in range(5):
        assert "canonical" in await processes.ask(request(), urgent=True)
    assert not any(each.done() for each in others)
    os.kill(trying, signal.SIGCONT)
    assert all("canonical" in reply for reply in await asyncio.gather(*others))


async def test_one_that_nobody_needs_ends(processes: PolicyProcesses, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policy_process, "IDLE_S", 0.0)
    for _ in range(3):  # and the next one is answered by another
        assert "canonical" in await processes.ask(request(), urgent=False)
        await until(lambda: not processes.pids)


async def test_it_ends_when_its_parent_dies(tmp_path: Path) -> None:
    parent = f"""
import asyncio, os, sys
sys.path.insert(0, {str(Path.cwd())!r})
from proxy.oci.limits import Limits
from proxy.policies.process import PolicyProcesses
async def main():
    made = PolicyProcesses(Limits())
    await made.ask({request()!r}, urgent=False)
    print(made.pids[0], flush=True)
    os.kill(os.getpid(), 9)
asyncio.run(main())
"""
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", parent, stdout=asyncio.subprocess.PIPE)
    told, _ = await process.communicate()
    await until(lambda: gone(int(told)))


async def test_one_holder_has_one_check_at_a_time_and_never_takes_what_others_need() -> None:
    turns, at_once, done = Turns(16), Counter[str](), Counter[str]()

    async def check(holder: str) -> None:
        async with turns.of(holder):
            at_once[holder] += 1
            assert at_once[holder] == 1
            for _ in range(3):
                await asyncio.sleep(0)
            at_once[holder] -= 1
            done[holder] += 1

    async def busy() -> None:
        said = await asyncio.gather(*(check("viewer") for _ in range(40)), return_exceptions=True)
        (text,) = {str(each) for each in said if isinstance(each, Fault)}
        assert "12 of your policy checks wait already (limits.policy_checks: 16 of all)" in text

    task = asyncio.create_task(busy())
    await asyncio.sleep(0)
    await asyncio.gather(check("erika"), check("max"))
    assert (done["erika"], done["max"]) == (1, 1)
    assert done["viewer"] < 12, "they went in between"
    await task
    assert done["viewer"] == 12
    await check("viewer")
