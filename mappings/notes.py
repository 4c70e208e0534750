"""What a reader or a writer notices on its way: Findings and unread pieces, gathered and counted."""

from __future__ import annotations

from collections import Counter

from schemas.finding import Finding, Severity, Unread

MOST_OF_ONE_CODE = 100
"""After that many Findings of one code the rest is counted: garbage must not fill the journal."""


class Notes:
    """Findings and unread pieces in the order of the content; a Finding said twice of the same place is kept once."""

    def __init__(self) -> None:
        self._findings: list[Finding] = []
        self._known: set[tuple[str, str]] = set()
        self._counts: Counter[str] = Counter()
        self._unread: list[Unread] = []
        self._left: set[tuple[str, str]] = set()

    def info(self, code: str, where: str, message: str) -> None:
        """Say something that needs no action."""
        self._add(Severity.INFO, code, where, message)

    def warning(self, code: str, where: str, message: str) -> None:
        """Say something that a person should look at."""
        self._add(Severity.WARNING, code, where, message)

    def error(self, code: str, where: str, message: str) -> None:
        """Say that something is refused or lost."""
        self._add(Severity.ERROR, code, where, message)

    def keep(self, finding: Finding) -> None:
        """Take over what another reader noticed."""
        self._add(finding.severity, finding.code, finding.where, finding.message)

    def leave(self, where: str, text: str) -> None:
        """Say that a piece of the content is not used; blank pieces hold nothing, and the same one is listed once."""
        stripped = text.strip()
        if stripped and (where, stripped) not in self._left:
            self._left.add((where, stripped))
            self._unread.append(Unread(where=where, text=stripped))

    def _add(self, severity: Severity, code: str, where: str, message: str) -> None:
        if (code, where) in self._known:
            return
        self._counts[code] += 1
        if self._counts[code] <= MOST_OF_ONE_CODE:
            self._known.add((code, where))
            self._findings.append(Finding(severity=severity, code=code, where=where, message=message))

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Everything noticed; where one code came too often, one more Finding says how many were left out."""
        more = [
            Finding(severity=Severity.WARNING, code=code, where="", message=f"and {times - MOST_OF_ONE_CODE} more")
            for code, times in self._counts.items()
            if times > MOST_OF_ONE_CODE
        ]
        return (*self._findings, *more)

    @property
    def unread(self) -> tuple[Unread, ...]:
        """The pieces that were not used."""
        return tuple(self._unread)
