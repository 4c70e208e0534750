"""What a document-sharing server answered: submissions entry by entry, search results page by page. No I/O."""

from __future__ import annotations

from dataclasses import dataclass, replace

from connectors.contracts import Delivered, Outcome, Refused, Retry
from connectors.fhir.codec import judge
from connectors.outbound_http import HttpAnswer
from connectors.pdsm.resources import Resource, kind, objects, parsed, text
from connectors.pdsm.submission import Submission

OUTCOME = "OperationOutcome"


class NotFhir(Exception):
    """An answer is not what a FHIR server gives there; the sentence says what it is, without quoting it."""


@dataclass(frozen=True, slots=True)
class Page:
    """One page of results: the resources that matched, those that came along, and where the next one is."""

    matches: tuple[Resource, ...]
    included: tuple[Resource, ...]
    next: str


def judge_submission(submission: Submission, answer: HttpAnswer) -> Outcome:
    """Make the Outcome of one submission, and name what was stored.

    A transaction is believed when each of its entries is answered with a success, in the order of the request; an
    answer with fewer entries leaves it open what was stored, which the next attempt finds out before it sends again.
    """
    outcome = judge(answer)
    if isinstance(outcome, Retry):
        return replace(outcome, references=submission.references())
    if not isinstance(outcome, Delivered):
        return outcome
    if submission.simplified:
        return replace(outcome, references=submission.references(_id_of_location(answer.location, answer.body)))
    resource = parsed(answer.body) if answer.whole else None
    if resource is None or kind(resource) != "Bundle":
        return Retry(
            f"HTTP {answer.status} without a transaction-response: what was stored is looked up at the next attempt",
            answer.kept,
            answer.retry_after,
            references=submission.references(),
        )
    return _judge_entries(submission, outcome, objects(resource, "entry"))


def _judge_entries(submission: Submission, outcome: Delivered, answered: list[Resource]) -> Outcome:
    sent = [one for one in submission.entries if text(one, "request", "method") != "PATCH"]
    if len(answered) < len(sent):
        return Retry(
            f"the answer has {len(answered)} entries for the {len(sent)} that were sent: what was stored is looked up "
            "at the next attempt",
            outcome.answer,
            references=submission.references(),
        )
    for entry in answered:
        status = text(entry, "response", "status")[:3]
        if not status.isdigit() or not 200 <= int(status) < 400:
            return Refused("an entry of the answer has no status of success", outcome.answer)
    return replace(outcome, references=submission.references(_stored_id(submission, answered)))


def _stored_id(submission: Submission, answered: list[Resource]) -> str:
    """Find the DocumentReference's id at the server: the entry at the same place, whose location names its type."""
    for sent, entry in zip(submission.entries, answered, strict=False):
        if kind(sent.get("resource")) == "DocumentReference":
            return id_in(text(entry, "response", "location")) or text(entry, "resource", "id")
    return ""


def _id_of_location(location: str, body: bytes) -> str:
    found = id_in(location)
    if found:
        return found
    resource = parsed(body)
    return text(resource, "id") if resource is not None and kind(resource) == "DocumentReference" else ""


def id_in(location: str, of_kind: str = "DocumentReference") -> str:
    """Read the id in `[base]/DocumentReference/id[/_history/n]`, relative or absolute; "" when there is none."""
    parts = location.partition("?")[0].split("/")
    for place, part in enumerate(parts[:-1]):
        if part == of_kind:
            return parts[place + 1]
    return ""


def read_page(answer: HttpAnswer) -> Page:
    """Read a searchset. Raises NotFhir for anything else, a page cut short included."""
    if not answer.whole:
        raise NotFhir("a page of results is longer than max_answer")
    resource = parsed(answer.body)
    if resource is None or kind(resource) != "Bundle":
        raise NotFhir(f"HTTP {answer.status} with something else than results of a search")
    matches: list[Resource] = []
    included: list[Resource] = []
    for entry in objects(resource, "entry"):
        found = entry.get("resource")
        if not isinstance(found, dict) or kind(found) == OUTCOME:
            continue
        (included if text(entry, "search", "mode") == "include" else matches).append(found)
    links = [text(one, "url") for one in objects(resource, "link") if text(one, "relation") == "next"]
    return Page(tuple(matches), tuple(included), links[0] if links else "")
