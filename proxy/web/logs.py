"""Structured logs: one event per line, JSON unless the stream is a terminal, no terminal control codes."""

from __future__ import annotations

import asyncio
import json
import logging
import time
import traceback
from collections.abc import MutableMapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, TextIO

import structlog

from proxy.oci.faults import inert
from proxy.trust.names import redacted
from proxy.web.outermost import Done

Fields = MutableMapping[str, Any]
TEXT_LENGTH = 2000
LATER_S = 0.1  # for which the line of a request may wait for others, to be written with them
TOGETHER = 256  # lines that are written at the latest
_LEVELS = {"warn": "warning", "exception": "error"}  # structlog methods whose name differs from their level


def _cut(text: str) -> str:
    return inert(text if len(text) <= TEXT_LENGTH else text[:TEXT_LENGTH] + "...")


def _escape(_logger: object, _name: str, fields: Fields) -> Fields:
    for key, value in fields.items():
        if key == "exception":
            fields[key] = "\n".join(inert(line) for line in str(value).split("\n"))
        elif not isinstance(value, int | float | None):
            fields[key] = _cut(str(value))
    return fields


def _line(logger: object, name: str, fields: Fields) -> str:
    return json.dumps({**_escape(logger, name, fields), "level": _LEVELS.get(name, name), "timestamp": _now()})


def _now() -> str:
    now = time.time()
    return f"{_second(int(now))}.{int(now % 1 * 1_000_000):06}Z"


@lru_cache(1)
def _second(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")


class Lines:
    """The lines of a log, in order. Those of requests wait a moment for others, and are written with them."""

    def __init__(self, stream: TextIO) -> None:
        """Write to this stream."""
        self._stream = stream
        self._waiting: list[str] = []

    def later(self, line: str) -> None:
        """Write the line soon. A process that ends writes other lines after those of its requests: none is lost."""
        self._waiting.append(line)
        if len(self._waiting) >= TOGETHER:
            self.flush()
        elif len(self._waiting) == 1:
            asyncio.get_running_loop().call_later(LATER_S, self.flush)

    def msg(self, line: str) -> None:
        """Write the line now, behind all that wait."""
        self._waiting.append(line)
        self.flush()

    def flush(self) -> None:
        """Write the lines that wait."""
        waiting, self._waiting = self._waiting, []
        if waiting:
            self._stream.write("\n".join(waiting) + "\n")
            self._stream.flush()

    debug = info = warning = error = critical = msg  # structlog calls the method of the level


class JsonLog(structlog.make_filtering_bound_logger(logging.INFO)):  # type: ignore[misc]  # made at run time
    """A log of JSON lines, to which a line of a request is given as its JSON: every request writes one."""

    def request(self, fields: str) -> None:
        """Write these fields soon."""
        self._logger.later(f'{{{fields}, "event": "request", "level": "info", "timestamp": "{_now()}"}}')


def open_log(stream: TextIO, *, as_json: bool | None = None) -> structlog.typing.FilteringBoundLogger:
    """Return a logger that writes to this stream: JSON, or coloured text when the stream is a terminal."""
    person = stream.isatty() if as_json is None else not as_json
    processors: list[structlog.typing.Processor] = [_line]
    kind: type[structlog.typing.FilteringBoundLogger] = JsonLog
    if person:
        kind = structlog.make_filtering_bound_logger(logging.INFO)
        processors = [
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _escape,
            structlog.dev.ConsoleRenderer(colors=stream.isatty(), pad_event_to=0, sort_keys=False),
        ]
    logger: structlog.typing.FilteringBoundLogger = structlog.wrap_logger(
        Lines(stream), processors=processors, wrapper_class=kind
    )
    return logger.bind()  # built once instead of for every line


class Bridge(logging.Handler):
    """Passes the log records of libraries on to our log."""

    def __init__(self, log: structlog.typing.FilteringBoundLogger) -> None:
        """Write to this log; install with `logging.getLogger().addHandler`."""
        super().__init__(logging.INFO)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Log one record."""
        fields: dict[str, Any] = {"logger": record.name}
        if record.exc_info and record.exc_info[1] is not None:
            fields["exception"] = "".join(traceback.format_exception(record.exc_info[1]))
        self._log.log(record.levelno, record.getMessage(), **fields)


class AccessLog:
    """Writes one line for every request, with the request id that journal rows and clients also have."""

    def __init__(self, log: structlog.typing.FilteringBoundLogger, *, errors_only: bool = False) -> None:
        """Write to this log; `errors_only` for listeners that probes call every second."""
        self._log = log
        self._errors_only = errors_only

    def began(self) -> None:
        """Do nothing: the line is written at the end."""

    def ended(self, done: Done) -> None:
        """Log the request."""
        if self._errors_only and done.error is None:
            return
        said = _request(done)
        if done.error is None and isinstance(self._log, JsonLog):
            self._log.request(said)
            return
        fields = json.loads(f"{{{said}}}")
        if done.error is None:
            self._log.info("request", **fields)
        elif isinstance(done.error, ConnectionError):
            self._log.info("request", **fields, cut="the client went away")
        else:
            trace = "".join(traceback.format_exception(done.error))
            self._log.error("request", **fields, exception=trace)


def _request(done: Done) -> str:
    """Return the fields of a request as JSON. The target is logged without its query, which may hold upload state."""
    call = done.call
    said = (
        f'"request_id": "{call.request_id}", "address": {_text(call.address)}, "method": {_text(call.method)}, '
        f'"path": {_text(call.path)}, "kind": "{call.kind}", "status": {done.status}, '
        f'"received": {call.body.received}, "sent": {done.sent}, "ms": {done.seconds * 1000:.1f}, '
        f'"agent": {_text((call.header("user-agent") or "")[:200])}'
    )
    if call.reason:
        said += f', "reason": {_text(call.reason)}'
    return f'{said}, "error": {_text(call.error)}' if call.error else said


def _text(text: str) -> str:
    """Return the text as JSON, inert and without the secret of a token."""
    return (_remembered if len(text) <= SHORT else _json)(text)


def _json(text: str) -> str:
    return json.dumps(_cut(redacted(text)))


SHORT = 256  # characters: paths, addresses and agents that come again and again are never longer
_remembered = lru_cache(4096)(_json)  # 3 MiB at most
