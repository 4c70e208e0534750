"""Reads what a FHIR server answered to a transaction: status, OperationOutcome, transaction-response. No I/O.

Two things are worth knowing of an answer: did the server take the whole Bundle, and if not, is the same Bundle worth
sending again. The HTTP status gives a first opinion; the codes of the issues (FHIR R4, value set `issue-type`) correct
it, for servers answer 500 to what is invalid and 400 to a lock. Details never quote the server's text: diagnostics
repeat what they complain about, which is health data. The whole text is in the Outcome's answer.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import orjson

from connectors.contracts import Delivered, Outcome, Refused, Retry
from connectors.outbound_http import RETRY_STATUSES, HttpAnswer, judged_by_status

TRANSIENT = frozenset({"transient", "lock-error", "no-store", "exception", "timeout", "incomplete", "throttled"})
"""Issue types under `transient`: the same request may succeed later."""

LASTING = frozenset(
    {
        "invalid", "structure", "required", "value", "invariant",
        "not-supported", "duplicate", "multiple-matches", "not-found", "deleted", "too-long", "code-invalid",
        "extension", "too-costly", "business-rule", "conflict",
        "forbidden", "suppressed",
    }
)  # fmt: skip
"""Issue types that the same request will meet again."""

CREDENTIALS = frozenset({"security", "login", "unknown", "expired"})
"""Issue types about who we are: the destination's trouble, not this Bundle's."""

PLAIN_LATER = RETRY_STATUSES | {503}
"""Statuses that say "later" so plainly that no issue corrects them."""

FORBIDDEN = 403
CONFLICT = 409

FAILING = frozenset({"fatal", "error"})
SHOWN_CODE = re.compile(r"[a-z][a-z-]{0,40}")
SHOWN_PATH = re.compile(r"[A-Za-z][A-Za-z0-9]*(\[\d{1,6}\])?(\.[A-Za-z][A-Za-z0-9]*(\[\d{1,6}\])?){0,12}")


@dataclass(frozen=True, slots=True)
class Issue:
    """One failing issue: its type code, and the element it is about ("" when none is told)."""

    code: str
    path: str


def judge(answer: HttpAnswer) -> Outcome:
    """Make the Outcome of one answer."""
    resource = _resource(answer)
    if 200 <= answer.status < 300:
        return _judge_success(answer, resource)
    first = _by_status(answer)
    if not isinstance(resource, dict) or resource.get("resourceType") != "OperationOutcome":
        return first
    issues = list(_issues(resource))
    if not issues:
        return first
    return _corrected(answer, first, issues)


def _judge_success(answer: HttpAnswer, resource: object) -> Outcome:
    """Believe a 2xx only when what comes with it does not say the contrary."""
    taken = Delivered(f"HTTP {answer.status}", answer.kept, acknowledged=True)
    if not answer.body.strip() or not answer.whole:
        return taken
    if not isinstance(resource, dict) or not isinstance(resource.get("resourceType"), str):
        return Retry(
            f"HTTP {answer.status} with a body that is not FHIR: something else than a FHIR server answers there",
            answer.kept,
            answer.retry_after,
        )
    if resource["resourceType"] == "OperationOutcome":
        issues = list(_issues(resource))
        if not issues:
            return taken
        return _decided(answer, f"HTTP {answer.status}, yet {_told(issues)}", issues)
    failing = list(_failing_entries(resource))
    if not failing:
        return taken
    issues = [issue for _, entry_issues in failing for issue in entry_issues]
    statuses = ", ".join(f"{status} ×{count}" for status, count in Counter(s for s, _ in failing).items())
    detail = f"HTTP {answer.status}, yet {len(failing)} entries failed ({statuses})"
    if issues:
        return _decided(answer, f"{detail}: {_told(issues)}", issues)
    if all(status in RETRY_STATUSES or status >= 500 for status, _ in failing):
        return Retry(detail, answer.kept, answer.retry_after)
    return Refused(detail, answer.kept)


def _corrected(answer: HttpAnswer, first: Outcome, issues: list[Issue]) -> Outcome:
    """Let the issues' codes correct the opinion that the status gave."""
    codes = {issue.code for issue in issues}
    detail = f"HTTP {answer.status}: {_told(issues)}"
    if isinstance(first, Retry) and (not first.reached or answer.status in PLAIN_LATER):
        return Retry(detail, answer.kept, answer.retry_after, reached=first.reached)
    if answer.status == FORBIDDEN and codes <= CREDENTIALS:
        return Retry(detail, answer.kept, answer.retry_after, reached=False)
    if codes & LASTING:
        return Refused(detail, answer.kept)
    if codes & TRANSIENT or isinstance(first, Retry):
        return Retry(detail, answer.kept, answer.retry_after)
    return Refused(detail, answer.kept)


def _by_status(answer: HttpAnswer) -> Outcome:
    """Decide on the status alone.

    409 without a reason is taken for two writers at once (conditional creates of the same practitioner, say): the
    second time finds what the first one made.
    """
    if answer.status == CONFLICT:
        return Retry("HTTP 409: in conflict with another write", answer.kept, answer.retry_after)
    return judged_by_status(answer)


def _decided(answer: HttpAnswer, detail: str, issues: list[Issue]) -> Outcome:
    """Decide on the codes alone, where the status says nothing useful: one lasting fault is enough to refuse."""
    codes = {issue.code for issue in issues}
    if codes & TRANSIENT and not codes & LASTING:
        return Retry(detail, answer.kept, answer.retry_after)
    return Refused(detail, answer.kept)


def _resource(answer: HttpAnswer) -> object:
    if not answer.whole or not answer.body:
        return None
    try:
        return orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        return None


def _issues(outcome: dict[str, object]) -> Iterator[Issue]:
    """List the failing issues of an OperationOutcome; one without a severity that is a word is taken to fail."""
    for issue in _objects(outcome.get("issue")):
        severity = issue.get("severity", "error")
        if not isinstance(severity, str) or severity in FAILING:
            code = issue.get("code")
            paths = issue.get("expression") or issue.get("location")
            path = paths[0] if isinstance(paths, list) and paths else ""
            yield Issue(
                code=code if isinstance(code, str) and SHOWN_CODE.fullmatch(code) else "without code",
                path=path if isinstance(path, str) and SHOWN_PATH.fullmatch(path) else "",
            )


def _failing_entries(bundle: dict[str, object]) -> Iterator[tuple[int, list[Issue]]]:
    """List the entries of a transaction-response whose status is not 2xx or 304, with their issues."""
    for entry in _objects(bundle.get("entry")):
        response = entry.get("response")
        if not isinstance(response, dict):
            continue
        status = str(response.get("status", ""))[:3]
        if status.isdigit() and int(status) >= 400:
            outcome = response.get("outcome")
            yield int(status), list(_issues(outcome)) if isinstance(outcome, dict) else []


def _objects(value: object) -> Iterable[dict[str, object]]:
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else ()


def _told(issues: list[Issue]) -> str:
    """Name the issues by code and, for the first that tells it, the element."""
    counts = Counter(issue.code for issue in issues)
    told = ", ".join(code if count == 1 else f"{code} ×{count}" for code, count in counts.most_common(5))
    path = next((issue.path for issue in issues if issue.path), "")
    return f"{told} at {path}" if path else told
