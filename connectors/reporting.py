"""Findings of a connector, without a flood: the same one about the same peer is said once a minute, with its count."""

from __future__ import annotations

from datetime import datetime, timedelta

from connectors.contracts import Services
from schemas.finding import Finding, Severity

QUIET = timedelta(seconds=60)
REMEMBERED = 1000


class Reporter:
    """Reports through the Services; what is held back is counted into the next report of its kind.

    A peer that misbehaves a thousand times a second must not fill the journal. The figures of the health record count
    each case all the same.
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        self._last: dict[tuple[str, str], tuple[datetime, int]] = {}

    def __call__(self, code: str, where: str, message: str, severity: Severity = Severity.WARNING) -> None:
        """Report, or count when the same code was said of the same place less than a minute ago."""
        now = self._services.now()
        key = (code, where)
        said = self._last.get(key)
        if said is not None and now - said[0] < QUIET:
            self._last[key] = (said[0], said[1] + 1)
            return
        if said is not None and said[1]:
            message = f"{message} ({said[1]} times more since the last report)"
        if len(self._last) >= REMEMBERED:
            self._last.clear()
        self._last[key] = (now, 0)
        self._services.report(Finding(severity=severity, code=code, where=where, message=message))
