"""Findings: what a reader, a writer or a rule noticed and must not swallow."""

from __future__ import annotations

from enum import StrEnum

from schemas.base import Frozen


class Severity(StrEnum):
    """How much a Finding matters: `info` is said, `warning` is looked at, `error` stops or degrades an item."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class Finding(Frozen):
    """One thing noticed, with a stable code (`hprim.charset.guessed`), where, and one sentence.

    `message` never holds health data: it names the field, not its content.
    """

    severity: Severity
    code: str
    where: str
    message: str


class Unread(Frozen):
    """A piece of the input that the reader did not use: its position (`ZBE-9`, `line 14`) and its text."""

    where: str
    text: str
