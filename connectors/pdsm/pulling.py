"""One round over one patient: find what is new, fetch it, check it, hand it over; then the ends of what was taken."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import orjson

from connectors.contracts import ReferenceKind, Retry, Services
from connectors.pdsm.addresses import Unfollowed
from connectors.pdsm.answers import id_in
from connectors.pdsm.client import ALL_STATUSES, Interrupted, PdsmClient, token
from connectors.pdsm.following import Following, Seen
from connectors.pdsm.gathering import File, bytes_of, gathered, with_former, with_subject
from connectors.pdsm.resources import (
    DELETED,
    Resource,
    attachments,
    decoded,
    flagged,
    kind,
    master_identifier,
    mismatch,
    objects,
    replaced_by,
    text,
    unique_id,
)
from connectors.pdsm.settings import PdsmSourceSettings
from mappings.fhir import systems
from schemas.finding import Finding, Severity
from schemas.identity import PatientIdentity

SUBMISSION_SET = f"{systems.LIST_TYPES}|submissionset"
ENDED = "superseded,entered-in-error"
SOURCE_ID = systems.MHD + "ihe-sourceId"


@dataclass(frozen=True, slots=True)
class Arrived:
    """What is handed over: the content, its control id, what it is; `refusal` when it is kept but not processed."""

    content: bytes
    control_id: str
    message_type: str
    refusal: Finding | None = None


class Stopped(Exception):
    """The round ends here: the router stops, the inbox takes nothing, or the server is not there."""


Hand = Callable[[Arrived], Awaitable[None]]
"""Submits, and returns once it is durable. Raises Stopped when nothing more should be tried now."""


class Pull:
    """The round over one patient. `complete` says afterwards whether nothing was left for the next one."""

    def __init__(
        self,
        client: PdsmClient,
        settings: PdsmSourceSettings,
        services: Services,
        following: Following,
        identity: PatientIdentity,
        hand: Hand,
    ) -> None:
        self._client = client
        self._settings = settings
        self._services = services
        self._following = following
        if identity.ins is None:
            raise ValueError("a patient is asked for by an INS")
        self._patient = {"patient.identifier": token(f"urn:oid:{identity.ins.oid}", identity.ins.matricule)}
        self._identity = identity
        self._hand = hand
        self._read = 0
        self._ended: list[Resource] = []
        self.complete = True
        self.trouble = ""
        self.counts: Counter[str] = Counter()

    async def run(self) -> None:
        """Make the round. Raises Interrupted when a search fails, Stopped when the round must end."""
        started = self._services.now()
        async for document in self._news():
            await self._consider(document)
        for document in self._ended:
            await self._end(document)
        if self.complete and self._comparison_is_due(started):
            await self._compare()
        if self.complete:
            self._following.since = started

    async def _news(self) -> AsyncIterator[Resource]:
        since = self._following.since
        if since is None:
            async for document in self._first():
                yield document
            return
        moment = (since - timedelta(seconds=self._settings.overlap)).isoformat(timespec="seconds")
        if self._settings.find == "updates":
            criteria = {"status": ALL_STATUSES, "_lastUpdated": f"ge{moment}"}
            async for document in self._found("DocumentReference", criteria):
                yield document
            return
        async for submission in self._found(
            "List", {"code": SUBMISSION_SET, "status": "current", "date": f"ge{moment}"}
        ):
            if not self._is_ours(submission):
                async for document in self._members(submission):
                    yield document
        if self._following.held:
            async for document in self._found("DocumentReference", {"status": ENDED}):
                yield document

    async def _first(self) -> AsyncIterator[Resource]:
        criteria = {"status": "current"}
        if self._settings.history_days:
            earliest = self._services.now() - timedelta(days=self._settings.history_days)
            criteria["period-start"] = f"ge{earliest.date().isoformat()}"
        async for document in self._found("DocumentReference", criteria):
            yield document

    async def _found(self, of_kind: str, criteria: dict[str, str]) -> AsyncIterator[Resource]:
        """Search page by page, the oldest of each page first; a search without an end is cut, and said."""
        asked = {**self._patient, **criteria, "_count": str(self._settings.page_size)}
        count = 0
        async for page in self._client.pages(of_kind, asked):
            for resource in sorted(page.matches, key=_moment):
                if kind(resource) != of_kind:
                    continue
                count += 1
                if count > self._settings.max_results:
                    self._incomplete("a search has more than max_results results: the rest is not read")
                    self._report("pdsm.results.too_many", self.trouble, Severity.ERROR)
                    return
                yield resource

    async def _members(self, submission: Resource) -> AsyncIterator[Resource]:
        for member in objects(submission, "entry"):
            reference = text(member, "item", "reference")
            server_id = id_in(reference)
            if not server_id or (":" in reference and not reference.startswith(str(self._client.base))):
                self._report("pdsm.member.elsewhere", "a submission names a document that is not on this server")
                continue
            if server_id in self._following.ids:
                continue
            document = await self._client.read("DocumentReference", server_id)
            if document is not None:
                yield document

    def _is_ours(self, submission: Resource) -> bool:
        said = (
            text(one, "valueIdentifier", "value").removeprefix("urn:oid:")
            for one in objects(submission, "extension")
            if text(one, "url") == SOURCE_ID
        )
        return any(one in self._settings.own_sources for one in said)

    async def _consider(self, document: Resource) -> None:
        name = self._name(document)
        if text(document, "status") != "current" or flagged(document, DELETED):
            self._ended.append(document)
        elif name in self._following.seen:
            return
        elif await self._services.records.known(ReferenceKind.UNIQUE_ID, name):
            self._following.seen[name] = Seen.KNOWN
            self.counts["known"] += 1
            self._mark_replaced(document)
        else:
            await self._take(document, name)
        if name in self._following.seen:
            self._following.ids[text(document, "id")] = name

    def _name(self, document: Resource) -> str:
        """Name a document by its unique id, or by its address when it has none."""
        return unique_id(document) or f"{self._client.base}/DocumentReference/{text(document, 'id')}"

    async def _take(self, document: Resource, name: str) -> None:
        """Fetch, check and hand over one document; what is only late is left for the next round."""
        document, whole = _own_copy(document)
        patient = self._subject(document)
        refusal = None if whole else _refusal("pdsm.document.nested", "the document's description is nested too deep")
        files: list[File] = []
        try:
            await self._name_formers(document)
            for form in attachments(document) if whole else ():
                file, wrong = await self._file(form)
                files += [file] if file is not None else []
                refusal = refusal or wrong
        except Unfollowed as refused:
            refusal = _refusal(refused.code, refused.message)
        except Interrupted as interrupted:
            outcome = interrupted.outcome
            if isinstance(outcome, Retry):
                self._incomplete(outcome.detail)
                if not outcome.reached:
                    raise Stopped from None
                return
            refusal = _refusal("pdsm.file.refused", f"the file cannot be had: {outcome.detail}")
        await self._hand(Arrived(gathered(document, files, patient), name, "document", refusal))
        self._following.seen[name] = Seen.TAKEN if refusal is None else Seen.REFUSED
        self.counts["documents" if refusal is None else "refused"] += 1
        self._mark_replaced(document)

    async def _file(self, form: Resource) -> tuple[File | None, Finding | None]:
        """Fetch one file; the Finding says what is wrong with its bytes, which are kept all the same."""
        stated_type = text(form, "contentType")
        if text(form, "data"):
            content = decoded(text(form, "data"))
            if content is None:
                return None, _refusal("pdsm.document.base64", "the document's bytes are not base64")
            return None, self._checked(form, content)
        url = text(form, "url")
        if not url:
            return None, _refusal("pdsm.file.none", "the document has neither a file nor the address of one")
        fetched = await self._client.fetch(url, stated_type, self._settings.allowed_hosts)
        fetched = bytes_of(fetched, stated_type)
        # A FHIR document is written anew each time that it is read: its bytes are no proof, and the reader says so.
        measured = {} if id_in(url, "Bundle") else form
        return File(url, fetched), self._checked(measured, fetched.content)

    def _checked(self, form: Resource, content: bytes) -> Finding | None:
        if not content:
            return _refusal("pdsm.document.empty", "the document has no content")
        if len(content) > self._settings.max_document:
            return _refusal("pdsm.document.too_large", "the document is longer than max_document")
        wrong = mismatch(form, content)
        if wrong is None:
            return None
        return _refusal(f"pdsm.document.{wrong}", f"the document's bytes are not those that its {wrong} was made of")

    async def _name_formers(self, document: Resource) -> None:
        """Find the unique ids of the documents that this one replaces, where only the server's ids are told."""
        for target in replaced_by(document):
            server_id = id_in(text(target, "reference"))
            if server_id and "identifier" not in target:
                former = await self._client.read("DocumentReference", server_id)
                if former is not None:
                    with_former(document, server_id, former)

    def _subject(self, document: Resource) -> Resource:
        return with_subject(document, self._identity, self._services.now())

    def _mark_replaced(self, document: Resource) -> None:
        for target in replaced_by(document):
            logical = target.get("identifier")
            former = systems.document_number_in(text(logical, "system") or None, text(logical, "value"))
            if former in self._following.seen:
                self._following.seen[former] = Seen.REPLACED

    async def _end(self, document: Resource) -> None:
        """Hand over that a document that is known here was taken back; one that was replaced is no news."""
        name = self._name(document)
        state = self._following.seen.get(name)
        if state is None and await self._services.records.known(ReferenceKind.UNIQUE_ID, name):
            state = Seen.KNOWN
        gone = text(document, "status") == "entered-in-error" or flagged(document, DELETED)
        if state not in {Seen.TAKEN, Seen.KNOWN, Seen.REPLACED} or (state is Seen.REPLACED and not gone):
            return
        if not gone and self._settings.superseded_alone == "keep":
            return
        await self._hand_deletion(_own_copy(document)[0], name)

    def _comparison_is_due(self, now: datetime) -> bool:
        last, hours = self._following.compared, self._settings.compare_hours
        if last is None:
            # What was never taken cannot have gone: the first comparison is one period after the first round.
            self._following.compared = now
            return False
        return bool(hours) and self._following.held and now - last >= timedelta(hours=hours)

    async def _compare(self) -> None:
        """Find what was taken and is given no more: later drafts of the guide hide deleted documents altogether."""
        given = {text(one, "id") async for one in self._found("DocumentReference", {"status": ALL_STATUSES})}
        if not self.complete:
            return
        seen = self._following.seen
        for server_id, name in list(self._following.ids.items()):
            if server_id not in given and seen.get(name) in {Seen.TAKEN, Seen.KNOWN} and await self._is_gone(server_id):
                await self._miss(server_id, name)
        self._following.compared = self._services.now()

    async def _is_gone(self, server_id: str) -> bool:
        """Say whether the server denies that there is such a document; one that it only withholds is there."""
        try:
            return await self._client.read("DocumentReference", server_id) is None
        except Interrupted as interrupted:
            if isinstance(interrupted.outcome, Retry):
                raise
            return False

    async def _miss(self, server_id: str, name: str) -> None:
        if self._settings.absent == "keep":
            self._following.seen[name] = Seen.ABSENT
            self._report("pdsm.document.absent", "a document that was taken is given no more: deleted there, or hidden")
            return
        system, value = systems.document_number_out(name, "")
        document: Resource = {
            "resourceType": "DocumentReference",
            "id": server_id,
            "masterIdentifier": {"system": system, "value": value},
            "status": "entered-in-error",
        }
        await self._hand_deletion(document, name)

    async def _hand_deletion(self, document: Resource, name: str) -> None:
        patient = self._subject(document)
        await self._hand(Arrived(gathered(document, (), patient, deleted=True), f"{name}/deleted", "deletion"))
        self._following.seen[name] = Seen.DELETED
        self.counts["deletions"] += 1

    def _incomplete(self, detail: str) -> None:
        self.complete = False
        self.trouble = detail

    def _report(self, code: str, message: str, severity: Severity = Severity.WARNING) -> None:
        self._services.report(Finding(severity=severity, code=code, where="source", message=message))


def _own_copy(document: Resource) -> tuple[Resource, bool]:
    """Copy a document; one that could not be written again (nested too deep) is its names alone, and False."""
    try:
        copied: Resource = orjson.loads(orjson.dumps(document))
    except (orjson.JSONEncodeError, orjson.JSONDecodeError):
        named: Resource = {"resourceType": "DocumentReference", "id": text(document, "id")}
        named |= {"status": text(document, "status")}
        found = master_identifier(document)
        if found is not None:
            named["masterIdentifier"] = {"system": found[0], "value": found[1]}
        return named, False
    return copied, True


def _refusal(code: str, message: str) -> Finding:
    return Finding(severity=Severity.ERROR, code=code, where="DocumentReference.content", message=message)


def _moment(resource: Resource) -> float:
    """Sort by the document's date; what has none that can be read comes first."""
    try:
        return datetime.fromisoformat(text(resource, "date")).timestamp()
    except (ValueError, OverflowError):
        return 0.0
