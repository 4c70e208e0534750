"""What one reading carries along: its context, its message, and what it notices."""

from __future__ import annotations

from mappings.contracts import ReadContext
from mappings.hl7v2.er7 import Message, Segment
from mappings.hl7v2.syntax import NULL
from mappings.hl7v2.times import moment
from schemas.finding import Finding, Severity


class Notebook:
    """The notes of one reading: findings, and the pieces of used segments that were left unused after all."""

    __slots__ = ("context", "findings", "left", "message", "syntax", "unused", "whole", "zone")

    def __init__(self, message: Message, context: ReadContext) -> None:
        self.message = message
        self.context = context
        self.syntax = message.syntax
        self.zone = context.timezone
        self.findings = list(message.findings)
        self.unused: set[Segment] = set()
        self.left: set[tuple[Segment, int]] = set()
        self.whole: set[tuple[Segment, int]] = set()

    def info(self, code: str, where: str, message: str) -> None:
        """Say something that nobody needs to act upon."""
        self.findings.append(Finding(severity=Severity.INFO, code=code, where=where, message=message))

    def warn(self, code: str, where: str, message: str) -> None:
        """Say something that somebody should look at."""
        self.findings.append(Finding(severity=Severity.WARNING, code=code, where=where, message=message))

    def error(self, code: str, where: str, message: str) -> None:
        """Say something that stops or degrades an Item."""
        self.findings.append(Finding(severity=Severity.ERROR, code=code, where=where, message=message))

    def leave(self, segment: Segment) -> None:
        """Take back that a segment is used: all of it will be reported as unread."""
        self.unused.add(segment)

    def leave_fields(self, segment: Segment, *fields: int) -> None:
        """Take back that these fields of a segment are used."""
        self.left.update((segment, field) for field in fields)

    def use(self, segment: Segment, *fields: int) -> None:
        """Say that these fields are used to their last component, unlike usually."""
        self.whole.update((segment, field) for field in fields)

    def time(self, segment: Segment, n: int) -> str | None:
        """Read a date-time field; one that is no date is a Finding and None."""
        raw = segment.raw(n)
        if not raw or raw == NULL:
            return None
        at = moment(raw, self.zone)
        if at is not None:
            return at
        return self.time_text(segment.code(n), segment.where(n))

    def time_text(self, text: str, where: str) -> str | None:
        """Read a date-time that was cut out of a larger field."""
        if not text:
            return None
        at = moment(text, self.zone)
        if at is None:
            self.warn("hl7v2.time.invalid", where, "this is not a date or time of HL7; it was left out")
        return at
