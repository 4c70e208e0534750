"""The log as lines of JSON: what happens to messages by their numbers, and warnings; never anything that they say.

A library's own words may quote what it was given (an address of MSSanté holds an INS): only its name and the severity
are logged. An exception is told by its kind.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TextIO

from router.observe.happened import Answered, Attempted, Happening, MessageRead

OURS = ("passerelle", "uvicorn")
"""Loggers whose words hold no data."""

_EVENTS = {MessageRead: "message.read", Attempted: "delivery.attempt", Answered: "delivery.receipt"}
_TIMES = frozenset({"received_at", "processed_at", "started_at", "ended_at", "at"})

log = logging.getLogger("passerelle.messages")
notices = logging.getLogger("passerelle.notices")
notices.addHandler(logging.NullHandler())
notices.propagate = False  # the dashboard shows them; as a log they have a form of their own or none


class JsonLines(logging.Formatter):
    """One JSON object a line: `at`, `level`, `logger`, `event`, and the fields of the event."""

    def format(self, record: logging.LogRecord) -> str:
        """Write a record."""
        line: dict[str, object] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
        }
        event: Mapping[str, object] | None = getattr(record, "event", None)
        if event is not None:
            line |= event
        elif record.name.partition(".")[0] in OURS:
            line["event"], line["said"] = "said", record.getMessage()
        else:
            line["event"] = "library"
        if record.exc_info is not None and record.exc_info[0] is not None:
            line["exception"] = record.exc_info[0].__name__
        return json.dumps(line, ensure_ascii=False)


def log_as_json(stream: TextIO | None = None) -> logging.Handler:
    """Send everything that is logged to a stream (standard error) as lines of JSON; gives the handler."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonLines())
    root = logging.getLogger()
    for other in list(root.handlers):
        root.removeHandler(other)
    root.addHandler(handler)
    log.setLevel(logging.INFO)
    notices.setLevel(logging.INFO)
    notices.propagate = True
    return handler


class MessageLog:
    """Logs what happens to messages (implements `router.observe.observer.Listener`)."""

    def tell(self, happened: Sequence[Happening]) -> None:
        """Log what happened."""
        for one in happened:
            log.info("", extra={"event": {"event": _EVENTS[type(one)], **_fields(one)}})

    def close(self) -> None:
        """Hold nothing."""


def log_notice(component: str, severity: str, code: str, said: str) -> None:
    """Log a notice of the router's parts."""
    level = {"error": logging.ERROR, "warning": logging.WARNING}.get(severity, logging.INFO)
    event = {"event": "notice", "component": component, "code": code, "said": said}
    notices.log(level, "", extra={"event": event})


def _fields(one: Happening) -> dict[str, object]:
    return {
        name: datetime.fromtimestamp(value / 1_000_000, UTC).isoformat(timespec="microseconds")
        if name in _TIMES
        else value
        for name, value in asdict(one).items()
    }
