"""Structured logs: one event per line, JSON unless the stream is a terminal, no terminal control codes."""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import MutableMapping
from datetime import UTC, datetime
from functools import lru_cache
from json.encoder import JSONEncoder, encode_basestring_ascii
from typing import Any, TextIO

import structlog

from proxy.trust.names import redacted
from proxy.web.outermost import Done

Fields = MutableMapping[str, Any]
TEXT_LENGTH = 2000
_JSON = JSONEncoder(ensure_ascii=True)
_LEVELS = {"warn": "warning", "exception": "error"}  # structlog methods whose name differs from their level


def inert(text: str) -> str:
    """Return the text with every character that could control a terminal or log reader written as an escape.

    Printable characters of every script stay; controls, ANSI, bidirectional marks and lone surrogates are escaped.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)


def _escape(_logger: object, _name: str, fields: Fields) -> Fields:
    for key, value in fields.items():
        if key == "exception":
            fields[key] = "\n".join(inert(line) for line in str(value).split("\n"))
        elif not isinstance(value, int | float | None):
            text = str(value)
            fields[key] = inert(text if len(text) <= TEXT_LENGTH else text[:TEXT_LENGTH] + "...")
    return fields


def _line(logger: object, name: str, fields: Fields) -> str:
    """Return the line of a JSON log, built directly: every request writes one, and json.dumps is slower."""
    fields["level"] = _LEVELS.get(name, name)
    now = time.time()
    fields["timestamp"] = f"{_second(int(now))}.{int(now % 1 * 1_000_000):06}Z"
    said = []
    for key, value in fields.items():
        kind = type(value)
        if kind is str and len(value) <= TEXT_LENGTH and value.isprintable():
            said.append(f"{encode_basestring_ascii(key)}: {encode_basestring_ascii(value)}")
        elif kind is int or kind is float:
            said.append(f"{encode_basestring_ascii(key)}: {value!r}")
        else:
            return _JSON.encode(_escape(logger, name, fields))
    return "{" + ", ".join(said) + "}"


@lru_cache(1)
def _second(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")


class _Straight(structlog.make_filtering_bound_logger(logging.INFO)):  # type: ignore[misc]  # made at run time
    """A JSON log whose `info` writes directly to the stream: structlog's processors would double the cost of a line."""

    def info(self, event: str, *args: Any, **fields: Any) -> Any:
        """Write one line."""
        fields["event"] = event % args if args else event
        return self._logger.msg(_line(self._logger, "info", {**self._context, **fields} if self._context else fields))


def open_log(stream: TextIO, *, as_json: bool | None = None) -> structlog.typing.FilteringBoundLogger:
    """Return a logger that writes to this stream: JSON, or coloured text when the stream is a terminal."""
    person = stream.isatty() if as_json is None else not as_json
    processors: list[structlog.typing.Processor] = [_line]
    kind: type[structlog.typing.FilteringBoundLogger] = _Straight
    if person:
        kind = structlog.make_filtering_bound_logger(logging.INFO)
        processors = [
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _escape,
            structlog.dev.ConsoleRenderer(colors=stream.isatty(), pad_event_to=0, sort_keys=False),
        ]
    logger: structlog.typing.FilteringBoundLogger = structlog.wrap_logger(
        structlog.WriteLogger(stream),
        processors=processors,
        wrapper_class=kind,
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
        """Log the request; the target is logged without its query, which may hold upload state."""
        if self._errors_only and done.error is None:
            return
        call = done.call
        fields: dict[str, Any] = {
            "request_id": call.request_id,
            "address": call.address,
            "method": call.method,
            "path": redacted(call.path),
            "kind": call.kind,
            "status": done.status,
            "received": call.body.received,
            "sent": done.sent,
            "ms": round(done.seconds * 1000, 1),
            "agent": (call.header("user-agent") or "")[:200],
        }
        if call.reason:
            fields["reason"] = call.reason
        if call.error:
            fields["error"] = call.error
        if done.error is None:
            self._log.info("request", **fields)
        elif isinstance(done.error, ConnectionError):
            self._log.info("request", **fields, cut="the client went away")
        else:
            trace = "".join(traceback.format_exception(done.error))
            self._log.error("request", **fields, exception=trace)
