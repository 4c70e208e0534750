"""Refusals of the API: an OperationOutcome always, one sentence, without the data that was sent."""

from __future__ import annotations

from router.dossier.store.elements import Json, Resource
from router.dossier.store.parameters import OF_NOBODY

STATUS_CODES = {
    400: "invalid",
    401: "login",
    403: "forbidden",
    404: "not-found",
    405: "not-supported",
    406: "not-supported",
    409: "conflict",
    410: "deleted",
    412: "conflict",
    413: "too-long",
    415: "not-supported",
    422: "processing",
    429: "throttled",
    500: "exception",
    503: "transient",
}
"""Issue types (FHIR `issue-type`) that go with a status of HTTP."""


class Refused(Exception):
    """A request that is understood and cannot be done. `where` names elements, never what they hold."""

    def __init__(self, status: int, sentence: str, *, where: tuple[str, ...] = (), code: str = "") -> None:
        super().__init__(sentence)
        self.status = status
        self.sentence = sentence
        self.where = where
        self.code = code or STATUS_CODES.get(status, "processing")


def outcome(code: str, sentence: str, where: tuple[str, ...] = (), severity: str = "error") -> Resource:
    """Make an OperationOutcome of one issue for each place, of one in all when there is no place."""
    issues: list[Json] = []
    for place in where or ("",):
        issue: Resource = {"severity": severity, "code": code, "diagnostics": sentence}
        if place:
            issue["expression"] = [place]
        issues.append(issue)
    return {"resourceType": "OperationOutcome", "issue": issues}


def not_found(kind: str) -> Refused:
    """Give the one answer to what may not be seen and to what does not exist: who gets it learns nothing of either.

    It is 403 for what is about a patient (fact sheet S29), 404 for the directory, calendars and a tool's subscriptions.
    """
    if kind in OF_NOBODY:
        return Refused(404, f"There is no such {kind}, or it may not be read.")
    return Refused(403, f"This reader may not read this {kind}, or there is none.")


def too_wide() -> Refused:
    """Refuse a search, or a condition of a write, that goes through more resources than are looked at."""
    return Refused(400, "A chain of this search goes through too many resources; narrow it.")


def no_patient(where: str) -> Refused:
    """Give the one answer to a write about somebody who is not there, or about whom the reader may not write."""
    return Refused(422, "There is no such patient, or none about whom this reader may write.", where=(where,))
