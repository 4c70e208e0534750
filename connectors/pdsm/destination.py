"""Submits documents to a document-sharing server, and changes the state of those that are there."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import quote

from connectors.contracts import Delivered, Hold, Outcome, Parcel, Refused, Retry, Services
from connectors.fhir.codec import judge
from connectors.pdsm.answers import judge_submission
from connectors.pdsm.client import Interrupted, PdsmClient, token
from connectors.pdsm.resources import Resource, attachments, stated_hash, text, version_of
from connectors.pdsm.settings import PdsmDestinationSettings
from connectors.pdsm.submission import Intent, NotASubmission, Submission, guard, read_submission
from connectors.pdsm.updates import Change, PatchForm, patch
from schemas.finding import Finding, Severity

ATTEMPTS_AT_A_PATCH = 3
"""How often a document is read again when somebody else changed it between our reading and our patch."""

CHANGED = frozenset({409, 412})
ALREADY = "the server has it already"


class PdsmDestination:
    """One server. What an earlier attempt may have stored is looked up by its unique id before anything is sent again.

    A repeated submission is recognised by the server too: its entries are conditional (If-None-Exist).
    """

    def __init__(self, name: str, settings: PdsmDestinationSettings, services: Services) -> None:
        self.name = name
        self._settings = settings
        self._client = PdsmClient(settings, services.now, {})
        self._form = PatchForm(settings.patch)
        services.health.state = "ready"

    async def send(self, parcel: Parcel) -> Outcome:
        """Submit once, or make the change of state that the document asks for."""
        if parcel.attachments:
            return Refused("a submission has no way to carry files beside it")
        try:
            submission = read_submission(parcel.content)
        except NotASubmission as refused:
            return Refused(str(refused))
        findings, may_insist = guard(
            submission, int(self._settings.max_document), require_qualified=self._settings.require_qualified
        )
        if findings and not (may_insist and parcel.insisted):
            return _held(findings)
        try:
            match submission.intent:
                case Intent.PUBLISH:
                    return await self._publish(submission, parcel)
                case Intent.DELETE:
                    return await self._delete(submission, parcel)
                case Intent.RELABEL:
                    return await self._relabel(submission, parcel)
        except Interrupted as interrupted:
            outcome = interrupted.outcome
            return replace(outcome, references=submission.references()) if isinstance(outcome, Retry) else outcome

    async def close(self) -> None:
        """Release the pooled connections."""
        await self._client.close()

    async def _publish(self, submission: Submission, parcel: Parcel) -> Outcome:
        if parcel.attempt > 1:
            stored = await self._client.look_up(submission.identifier, submission.patient)
            if stored is not None:
                return await self._found(submission, stored)
        former = await self._former(submission)
        unfit = _unfit_former(former) if submission.former is not None else None
        if unfit is not None and not parcel.insisted:
            return _held([unfit])
        if unfit is not None:
            former = None
        body = submission.body(
            self._settings.version,
            text(former, "id") or None,
            supersede_inside=self._settings.supersede == "transaction" and _is_current(former),
            as_new=unfit is not None,
        )
        answer = await self._client.submit(body, self._headers(submission, parcel), simplified=submission.simplified)
        if isinstance(answer, Retry):
            return replace(answer, references=submission.references())
        outcome = judge_submission(submission, answer)
        return await self._superseded(submission, outcome, former)

    def _headers(self, submission: Submission, parcel: Parcel) -> dict[str, str]:
        headers = {"Idempotency-Key": parcel.identity}
        if submission.simplified:
            system, value = submission.identifier
            headers["If-None-Exist"] = f"identifier={quote(token(system, value), safe='')}"
        return headers

    async def _former(self, submission: Submission) -> Resource | None:
        if submission.former is None:
            return None
        return await self._client.look_up(submission.former, submission.patient)

    async def _found(self, submission: Submission, stored: Resource) -> Outcome:
        """Answer for what an earlier attempt stored: the same document is delivered, another of the same id is not."""
        here, there = next(attachments(submission.document), None), next(attachments(stored), None)
        ours, theirs = stated_hash(here or {}), stated_hash(there or {})
        if ours is not None and theirs is not None and ours != theirs:
            return Refused("the server has another document of the same unique id")
        outcome = Delivered(ALREADY, acknowledged=True, references=submission.references(text(stored, "id")))
        former = await self._former(submission)
        return await self._superseded(submission, outcome, former, forgotten=True)

    async def _superseded(
        self, submission: Submission, outcome: Outcome, former: Resource | None, *, forgotten: bool = False
    ) -> Outcome:
        """Mark the replaced document where that is ours to do; it is done again at each attempt until it holds.

        `forgotten` is for what an earlier attempt stored: its transaction may have been taken without its patch.
        """
        ours = self._settings.supersede == "patch" or (
            self._settings.supersede == "transaction" and (submission.simplified or forgotten)
        )
        if not isinstance(outcome, Delivered) or not ours or not _is_current(former) or former is None:
            return outcome
        changed = await self._change(former, Change(status="superseded"))
        if isinstance(changed, Delivered):
            return outcome
        detail = f"the document is stored, its former version could not be marked superseded: {changed.detail}"
        if isinstance(changed, Retry):
            return replace(changed, detail=detail, references=outcome.references)
        return replace(outcome, detail=detail)

    async def _delete(self, submission: Submission, parcel: Parcel) -> Outcome:
        stored = await self._target(submission)
        if stored is None:
            if parcel.insisted:
                return Refused("there is nothing to delete: the server has no such document")
            return _held([_finding("pdsm.delete.absent", "the server has no document of this unique id to delete")])
        way = self._settings.deletion
        change = Change(status="superseded", deleted=True) if way == "is-deleted" else Change(status=way)
        return self._named(submission, stored, await self._change(stored, change))

    async def _relabel(self, submission: Submission, parcel: Parcel) -> Outcome:
        stored = await self._target(submission)
        if stored is None:
            if parcel.insisted:
                return Refused("there is nothing to change: the server has no such document")
            return _held([_finding("pdsm.relabel.absent", "the server has no document of this unique id to change")])
        return self._named(submission, stored, await self._change(stored, Change(labels=submission.labels)))

    async def _target(self, submission: Submission) -> Resource | None:
        """Find the document that a change is about: of its own id, else of the one that it says to replace."""
        stored = await self._client.look_up(submission.identifier, submission.patient)
        return stored if stored is not None else await self._former(submission)

    def _named(self, submission: Submission, stored: Resource, outcome: Outcome) -> Outcome:
        if isinstance(outcome, Delivered | Retry):
            return replace(outcome, references=submission.references(text(stored, "id")))
        return outcome

    async def _change(self, stored: Resource, change: Change) -> Delivered | Retry | Refused:
        return await change_state(self._client, stored, change, self._form)


async def change_state(
    client: PdsmClient, stored: Resource, change: Change, form: PatchForm
) -> Delivered | Retry | Refused:
    """Patch a document, reading it again when somebody else changed it meanwhile. Raises Interrupted."""
    current: Resource | None = stored
    server_id = text(stored, "id")
    for _ in range(ATTEMPTS_AT_A_PATCH):
        if current is None:
            return Refused("the document is gone from the server")
        body = patch(current, change, form)
        if body is None:
            return Delivered("the document is so already", acknowledged=True)
        answer = await client.patch(server_id, body, form, version_of(current))
        if isinstance(answer, Retry):
            return answer
        if answer.status not in CHANGED:
            outcome = judge(answer)
            return outcome if isinstance(outcome, Delivered | Retry) else Refused(outcome.detail, outcome.answer)
        current = await client.read("DocumentReference", server_id)
    return Retry("the document changes at the server faster than it can be patched")


def _is_current(former: Resource | None) -> bool:
    return former is not None and text(former, "status") == "current"


def _unfit_former(former: Resource | None) -> Finding | None:
    """Say why a document cannot be replaced: it is not there, or it is not the current version any more."""
    if former is None:
        return _finding("pdsm.replace.absent", "the server does not have the document that this one replaces")
    if not _is_current(former):
        return _finding("pdsm.replace.not_current", "the document that this one replaces is not current any more")
    return None


def _finding(code: str, message: str) -> Finding:
    return Finding(severity=Severity.ERROR, code=code, where="DocumentReference", message=message)


def _held(findings: list[Finding]) -> Hold:
    return Hold("; ".join(finding.message for finding in findings), findings=tuple(findings))
