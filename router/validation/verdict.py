"""When a document conforms."""

from __future__ import annotations

from collections.abc import Iterable

from schemas.finding import Finding, Severity

REPORT = ".report"
"""Ends the code of what a schematron remarks (`sch:report`) without asserting it."""


def conforms(findings: Iterable[Finding]) -> bool:
    """Whether a document passes: no error, and no assertion that failed.

    An assertion whose role is `warning` counts as the others: the ANS's own chain refuses for it, and a platform that
    runs this chain would.
    """
    return not any(_fails(finding) for finding in findings)


def _fails(finding: Finding) -> bool:
    if finding.severity is Severity.ERROR:
        return True
    return finding.code.startswith("schematron.") and not finding.code.endswith(REPORT)
