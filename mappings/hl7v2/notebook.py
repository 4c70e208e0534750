"""What one reading carries along: its context, its message, and what it notices."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeVar

from mappings.contracts import ReadContext
from mappings.hl7v2.er7 import Message, Segment
from mappings.hl7v2.syntax import NULL
from mappings.hl7v2.times import moment
from schemas.finding import Finding, Severity

T = TypeVar("T")


class Remarks(NamedTuple):
    """What was noted while one segment was read, so that it can be noted again when the same segment comes back."""

    findings: tuple[Finding, ...]
    unused: bool
    left: tuple[int, ...]
    whole: tuple[int, ...]


class Notebook:
    """The notes of one reading: findings, and the pieces of used segments that were left unused after all.

    `clean` are segments of which nothing is left over, known from their like.
    """

    __slots__ = ("clean", "context", "findings", "left", "message", "syntax", "unused", "whole", "zone")

    def __init__(self, message: Message, context: ReadContext) -> None:
        self.message = message
        self.context = context
        self.syntax = message.syntax
        self.zone = context.timezone
        self.findings = list(message.findings)
        self.clean: set[Segment] = set()
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

    def remarked(self, segment: Segment, work: Callable[[], T]) -> tuple[T, Remarks | None]:
        """Do some reading of one segment, and give what it noted; None when it noted something of other segments."""
        findings, unused, left, whole = len(self.findings), set(self.unused), set(self.left), set(self.whole)
        result = work()
        more_left, more_whole, more_unused = self.left - left, self.whole - whole, self.unused - unused
        about = {one for one, _ in more_left | more_whole} | more_unused
        if about - {segment}:
            return result, None
        remarks = Remarks(
            tuple(self.findings[findings:]),
            segment in more_unused,
            tuple(sorted(n for _, n in more_left)),
            tuple(sorted(n for _, n in more_whole)),
        )
        return result, remarks

    def repeat(self, segment: Segment, remarks: Remarks) -> None:
        """Note of a segment what was noted when its like was read."""
        self.findings += remarks.findings
        if remarks.unused:
            self.unused.add(segment)
        if remarks.left:
            self.leave_fields(segment, *remarks.left)
        if remarks.whole:
            self.use(segment, *remarks.whole)

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
