"""Log lines carry the id, and nothing in them is alive (ATTACKS 31)."""

import io
import json
import logging
from datetime import datetime
from pathlib import Path

import pytest

from proxy.oci.faults import inert
from proxy.trust.names import TOKEN_PREFIX
from proxy.web import logs
from proxy.web.app import public_app
from proxy.web.logs import TOGETHER, AccessLog, Bridge, open_log
from proxy.web.outermost import Edge
from tests.worlds.listener import QUICK, Recorder, head_of, in_memory


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("plain caf\u00e9", "plain caf\u00e9"),
        ("\x1b[31mred\x07", "\\x1b[31mred\\x07"),
        ("a\r\nb\x00\x7f\x9b", "a\\r\\nb\\x00\\x7f\\x9b"),
        ("\u202eevil\u2066", "\\u202eevil\\u2066"),
        ("\u2028\udc80", "\\u2028\\udc80"),
    ],
)
def test_control_characters_become_escapes(text: str, safe: str) -> None:
    assert inert(text) == safe


@pytest.mark.parametrize("as_json", [True, False])
async def test_each_request_is_one_line_with_the_id_the_client_got(as_json: bool) -> None:
    stream = io.StringIO()
    log = open_log(stream, as_json=as_json)
    async with in_memory(public_app(Recorder(), {}), Edge(QUICK, watch=(AccessLog(log),))) as proxy:
        reply = await proxy.get("/v2/app/manifests/v1?secret=1", "User-Agent: evil\x9b31m\u202e")
    log.info("stopped")
    said, _ = stream.getvalue().splitlines()
    assert head_of(reply)[1]["x-request-id"] in said
    assert "secret" not in said
    assert not {"\x1b", "\x9b", "\u202e"} & set(stream.getvalue())
    if as_json:
        line = json.loads(said)
        assert (line["kind"], line["status"], line["path"]) == ("PullManifest", 200, "/v2/app/manifests/v1")


async def test_lines_of_requests_that_wait_are_written_before_any_other_line_so_none_is_lost_at_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Every request wrote its line by itself, with a system call of its own, before the next one was looked at."""
    monkeypatch.setattr(logs, "LATER_S", 3600)
    stream = io.StringIO()
    log = open_log(stream, as_json=True)
    async with in_memory(public_app(Recorder(), {}), Edge(QUICK, watch=(AccessLog(log),))) as proxy:
        replies = [await proxy.get(f"/v2/app/manifests/v{n}") for n in range(TOGETHER + 1)]
    ids = [head_of(reply)[1]["x-request-id"] for reply in replies]
    assert [json.loads(line)["request_id"] for line in stream.getvalue().splitlines()] == ids[:TOGETHER]
    log.info("stopped")
    *_, last, stopped = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert (last["request_id"], stopped["event"]) == (ids[-1], "stopped")


async def test_a_line_of_a_request_is_what_a_json_encoder_would_write() -> None:
    stream = io.StringIO()
    log = open_log(stream, as_json=True)
    async with in_memory(public_app(Recorder(), {}), Edge(QUICK, watch=(AccessLog(log),))) as proxy:
        await proxy.get('/v2/a"\\/manifests/v1', 'User-Agent: "caf\u00e9" \\')
        await proxy.get(f"/{TOKEN_PREFIX}_{'a' * 8}_{'b' * 43}")
    log.info("stopped")
    first, token, _ = stream.getvalue().splitlines()
    assert json.dumps(json.loads(first)) == first
    assert "b" * 43 not in token


async def test_a_defect_is_logged_with_its_trace_and_the_client_sees_none_of_it() -> None:
    async def fail(*_: object) -> None:
        raise RuntimeError("inner\nsecret\x1b")

    stream = io.StringIO()
    edge = Edge(QUICK, watch=(AccessLog(open_log(stream, as_json=True), errors_only=True),))
    async with in_memory(public_app(fail, {}), edge) as proxy:  # type: ignore[arg-type]
        reply = await proxy.get("/v2/")
        await proxy.get("/nowhere")
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert len(lines) == 1
    assert lines[0]["level"] == "error"
    assert "RuntimeError" in lines[0]["exception"]
    assert "\x1b" not in lines[0]["exception"]
    assert b"secret" not in reply


def test_what_libraries_log_is_one_line_too() -> None:
    stream = io.StringIO()
    bridge = Bridge(open_log(stream, as_json=True))
    try:
        raise ValueError("x")
    except ValueError as error:
        trace = (ValueError, error, error.__traceback__)
    record = logging.LogRecord("lib", logging.WARNING, "f", 1, "a %s", ("b\nc",), trace)
    bridge.emit(record)
    line = json.loads(stream.getvalue())
    assert (line["event"], line["level"], line["logger"]) == ("a b\\nc", "warning", "lib")
    assert "ValueError" in line["exception"]


def test_a_long_value_is_cut() -> None:
    stream = io.StringIO()
    open_log(stream, as_json=True).info("x", value="y" * 100_000)
    assert len(stream.getvalue()) < 3000


def test_a_json_line_is_what_a_json_encoder_would_write() -> None:
    stream = io.StringIO()
    fields = {
        "text": 'caf\u00e9 "x" \\ \u2028',
        "n": -3,
        "ms": 0.1,
        "none": None,
        "yes": True,
        "path": Path("/a"),
        "k\n": "v",
    }
    open_log(stream, as_json=True).warning("what", **fields)
    line = json.loads(stream.getvalue())
    when = line.pop("timestamp")
    assert line == {**fields, "text": 'caf\u00e9 "x" \\ \\u2028', "path": "/a", "event": "what", "level": "warning"}
    assert stream.getvalue() == json.dumps({**line, "timestamp": when}) + "\n"
    assert datetime.fromisoformat(when).tzinfo is not None
