"""The DMP without HTTP: a SOAP message and its parts in, an answer out. Runs in any thread, one call after another.

`Call` is what arrived, `Answer` what leaves; the listening side is `server`.
"""

from __future__ import annotations

import base64
import hashlib
import io
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import quote, unquote
from uuid import uuid4

from cryptography import x509
from lxml import etree

from connectors.sandbox.dmp import answers, envelope, names, patients, queries
from connectors.sandbox.dmp.deposits import register
from connectors.sandbox.dmp.lot_signature import signature_problems
from connectors.sandbox.dmp.lots import Content, lot_problems
from connectors.sandbox.dmp.metadata import Submission, read_submission
from connectors.sandbox.dmp.names import clark
from connectors.sandbox.dmp.refusals import FaultRaised, RegistryProblem, RegistryRefused, refuse
from connectors.sandbox.dmp.rights import Profile, Right, may, may_touch
from connectors.sandbox.dmp.rules import Checks
from connectors.sandbox.dmp.store import DmpStore, HeldAssociation, HeldEntry, HeldLot
from connectors.sandbox.dmp.trouble import Trouble
from connectors.sandbox.dmp.updates import update
from connectors.sandbox.dmp.vihf import Caller, VihfChecks, read_caller
from connectors.sandbox.dmp.xsd import MessageSchemas
from mappings.xml_source import parse_xml


@dataclass(frozen=True, slots=True)
class Transaction:
    """One operation: its name in the specification, its service, its WS-Addressing actions and its body."""

    name: str
    service: str
    action: str
    answer: str
    body: str


ITI_41 = Transaction(
    "ITI-41",
    "repository",
    "urn:ihe:iti:2007:ProvideAndRegisterDocumentSet-b",
    "urn:ihe:iti:2007:ProvideAndRegisterDocumentSet-bResponse",
    clark(names.XDS, "ProvideAndRegisterDocumentSetRequest"),
)
ITI_43 = Transaction(
    "ITI-43",
    "repository",
    "urn:ihe:iti:2007:RetrieveDocumentSet",
    "urn:ihe:iti:2007:RetrieveDocumentSetResponse",
    clark(names.XDS, "RetrieveDocumentSetRequest"),
)
ITI_18 = Transaction(
    "ITI-18",
    "registry",
    "urn:ihe:iti:2007:RegistryStoredQuery",
    "urn:ihe:iti:2007:RegistryStoredQueryResponse",
    clark(names.QUERY, "AdhocQueryRequest"),
)
ITI_57 = Transaction(
    "ITI-57",
    "registry",
    "urn:ihe:iti:2010:UpdateDocumentSet",
    "urn:ihe:iti:2010:UpdateDocumentSet-Response",
    clark(names.LCM, "SubmitObjectsRequest"),
)
TD0_2 = Transaction(
    "TD0.2",
    "patient",
    "urn:hl7-org:v3:PRPA_IN201307UV02",
    "urn:hl7-org:v3:PRPA_IN201308UV02",
    clark(names.HL7, "PRPA_IN201307UV02"),
)
TD0_3 = Transaction(
    "TD0.3",
    "habilitation",
    "urn:si-dmp-habilitations:HabilitationsEndPoint:setAuthorization",
    "urn:si-dmp-habilitations:HabilitationsEndPoint:setAuthorizationResponse",
    clark(names.HABILITATIONS, "setAuthorization"),
)
TD0_4 = Transaction(
    "TD0.4",
    "patient_specific",
    "urn:si-dmp-patients:PatientSpecificEndPoint:patientList",
    "urn:si-dmp-patients:PatientSpecificEndPoint:patientListResponse",
    clark(names.PATIENTS, "patientList"),
)
TRANSACTIONS = (ITI_41, ITI_43, ITI_18, ITI_57, TD0_2, TD0_3, TD0_4)

_RIGHTS = {
    ITI_41: Right.SUBMIT,
    ITI_43: Right.RETRIEVE,
    TD0_2: Right.EXISTENCE,
    TD0_3: Right.AUTHORISE,
    TD0_4: Right.PATIENT_LIST,
}
_CONSULTATION = frozenset({Right.METADATA, Right.RETRIEVE})


@dataclass(slots=True)
class Part:
    """A part of a multipart request beside the root: its Content-ID without brackets, and its bytes."""

    cid: str
    content: Content


@dataclass(slots=True)
class Call:
    """A request as it arrived. `connection` is the client's TLS certificate (DER), None without TLS."""

    service: str
    root: bytes
    parts: list[Part] = field(default_factory=list)
    multipart: bool = False
    connection: bytes | None = None


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A document that leaves with an answer."""

    cid: str
    mime: str
    unique_id: str


@dataclass(slots=True)
class Answer:
    """What leaves: HTTP status, SOAP part, documents, and whether it is multipart in any case."""

    status: int
    content: bytes
    documents: list[Outgoing] = field(default_factory=list)
    multipart: bool = False
    transaction: str = ""


@dataclass(slots=True)
class Done:
    """What a transaction answers, before it is put in an envelope."""

    body: str
    documents: list[Outgoing] = field(default_factory=list)


def transaction_of(root: bytes) -> str:
    """Name the transaction of a SOAP part by its action, without judging it; empty when it is none of ours."""
    for one in sorted(TRANSACTIONS, key=lambda found: -len(found.action)):
        if f">{one.action}<".encode() in root:
            return one.name
    return ""


class DmpService:
    """Answers calls. `schemas` is None without the public XSD; `now` is the clock that VIHFs are held to."""

    def __init__(
        self,
        store: DmpStore,
        authority: x509.Certificate,
        *,
        checks: Checks | None = None,
        schemas: MessageSchemas | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.store = store
        self.checks = checks or Checks()
        self.schemas = schemas
        self._authority = authority
        self._now = now

    def answer(self, call: Call, trouble: Trouble | None = None) -> Answer:
        """Answer a call; every refusal is an answer too."""
        relates_to = ""
        transaction: Transaction | None = None
        try:
            request = envelope.read_request(call.root)
            relates_to = request.message_id
            transaction = self._transaction(call, request)
            done = self._done(call, request, transaction, trouble)
            self._hold_to_schemas(done.body)
        except FaultRaised as raised:
            return _faulty(raised, relates_to, transaction)
        except sqlite3.Error as problem:
            # A full disk, a folder that went away: nothing was kept, the client may try again.
            ours = FaultRaised(f"the sandbox cannot use its file ({type(problem).__name__})", side="Receiver")
            return _faulty(ours, relates_to, transaction)
        content = envelope.answer(transaction.answer, relates_to, done.body)
        return Answer(200, content, done.documents, transaction is ITI_43, transaction.name)

    def _transaction(self, call: Call, request: envelope.Request) -> Transaction:
        found = next((one for one in TRANSACTIONS if one.body == request.body.tag), None)
        if found is None or found.service != call.service:
            raise FaultRaised(f"the service {call.service} has no operation for this body")
        if request.action != found.action:
            raise FaultRaised("the Action is not that of the body", subcode="ActionMismatch")
        if (
            found is ITI_41
            and not call.multipart
            and next(request.body.iter(clark(names.XOP, "Include")), None) is not None
        ):
            raise FaultRaised("the body includes parts, but the request has one part only")
        return found

    def _done(self, call: Call, request: envelope.Request, asked: Transaction, trouble: Trouble | None) -> Done:
        vihf = VihfChecks(self._authority, self._now, call.connection) if self.checks.vihf else None
        caller = self._known(read_caller(request.security, vihf))
        if self.schemas is not None and request.security is not None:
            for one in self.schemas.vihf_problems(request.security[0]):
                raise FaultRaised(f"the VIHF breaks the schema of SAML 2.0 ({one})")
        broken = self.schemas.problems(request.body) if self.schemas is not None else []
        try:
            if broken:
                code = "XDSRepositoryMetadataError" if asked is ITI_41 else "XDSRegistryError"
                code = "XDSMetadataUpdateError" if asked is ITI_57 else code
                raise RegistryRefused([RegistryProblem(code, f"schema: {one}") for one in broken])
            self._allow(_RIGHTS.get(asked), caller)
            if trouble is Trouble.BUSY:
                side = "Registry" if asked.service == "registry" else "Repository"
                raise refuse(f"XDS{side}Busy", "try again later")
            return self._run(call, request.body, asked, caller, trouble)
        except RegistryRefused as refused:
            return self._refused(asked, refused)

    def _known(self, caller: Caller) -> Caller:
        """Make a treating doctor of a doctor whom the patient declared so."""
        if caller.patient is None or caller.profile is not Profile.DOCTOR:
            return caller
        allowed = self.store.authorisation(caller.patient, caller.owner.person)
        if allowed is None or not allowed.treating:
            return caller
        return Caller(caller.owner, Profile.TREATING, caller.access, caller.mode, caller.patient)

    def _allow(self, right: Right | None, caller: Caller) -> None:
        if right is None:
            return
        if not may(right, caller.profile, caller.access):
            raise FaultRaised(
                f"{right} is not allowed to the profile {caller.profile} ({caller.access})", subcode="DMPAccessDenied"
            )
        if caller.patient is None and right is not Right.PATIENT_LIST:
            raise FaultRaised("the VIHF names no patient (resource-id)")
        if right in _CONSULTATION and caller.access.value == "normal" and caller.patient is not None:
            allowed = self.store.authorisation(caller.patient, caller.owner.person)
            if allowed is None or allowed.state != "VALIDE":
                raise FaultRaised("the professional has no authorisation on this DMP", subcode="DMPAccessDenied")

    def _refused(self, asked: Transaction, refused: RegistryRefused) -> Done:
        if asked is ITI_18:
            return Done(answers.query_response((), refused.problems))
        if asked is ITI_43:
            return Done(answers.retrieve_response((), refused.problems, names.FAILURE))
        if asked in (ITI_41, ITI_57):
            return Done(answers.registry_response(refused.problems))
        first = refused.problems[0]
        raise FaultRaised(first.context, subcode=first.code)

    def _run(
        self, call: Call, body: etree._Element, asked: Transaction, caller: Caller, trouble: Trouble | None
    ) -> Done:
        status = names.PARTIAL if trouble is Trouble.PARTIAL else None
        if asked is ITI_41:
            return Done(answers.registry_response(self._submit(call, body, caller, trouble), status))
        if asked is ITI_57:
            update(self.store, _submission(body, "XDSMetadataUpdateError"), caller, self.checks)
            return Done(answers.registry_response(_warnings(trouble), status))
        if asked is ITI_18:
            return Done(answers.query_response(list(self._query(body, caller)), _warnings(trouble), status))
        if asked is ITI_43:
            return self._retrieve(body, caller, trouble)
        if asked is TD0_2:
            return Done(patients.existence(self.store, body, caller, self._now()))
        if asked is TD0_3:
            return Done(patients.set_authorisation(self.store, body, caller))
        return Done(patients.patient_list(self.store, body, caller))

    def _submit(
        self, call: Call, body: etree._Element, caller: Caller, trouble: Trouble | None
    ) -> list[RegistryProblem]:
        contents = _contents(body, call.parts)
        asked = body.find(clark(names.LCM, "SubmitObjectsRequest"))
        submission = _submission(asked, "XDSRepositoryMetadataError")
        found = list(lot_problems(submission, contents, caller.patient, self.checks))
        if self.checks.lot_signature and all(one.warning for one in found):
            found += signature_problems(submission, contents, self._authority)
        if not all(one.warning for one in found):
            raise RegistryRefused(found)
        register(self.store, submission, contents, caller.owner, self.checks)
        return [*found, *_warnings(trouble)]

    def _query(self, body: etree._Element, caller: Caller) -> Iterator[str]:
        query = queries.read_query(body)
        right = Right.METADATA if query.leaf_class else Right.REFERENCE
        self._allow(right, caller)
        patient = queries.asked_patient(query)
        if patient is not None and patient != caller.patient:
            raise refuse("XDSPatientIdDoesNotMatch", "the query is of another patient than the VIHF")
        found = queries.run(self.store, query)
        whose = {one.patient for one in found.entries} | {one.patient for one in found.lots}
        if whose - {caller.patient}:
            raise refuse("XDSPatientIdDoesNotMatch", "an object is of another patient than the VIHF")
        seen = [one for one in found.entries if self._sees(right, caller, one)]
        associations = self._seen_associations(found, caller, right)
        objects: list[HeldLot | HeldEntry | HeldAssociation] = [*found.lots, *seen, *associations]
        return iter([one.xml if query.leaf_class else answers.reference(one.uuid) for one in objects])

    def _seen_associations(self, found: queries.Found, caller: Caller, right: Right) -> list[HeldAssociation]:
        ends = {end for one in found.associations for end in (one.source, one.target)}
        entries = self.store.entries_by(uuids=sorted(ends))
        visible = {one.uuid for one in entries if one.patient == caller.patient and self._sees(right, caller, one)}
        visible |= {one.uuid for one in self.store.lots_by(uuids=sorted(ends)) if one.patient == caller.patient}
        return [one for one in found.associations if {one.source, one.target} <= visible]

    def _sees(self, right: Right, caller: Caller, entry: HeldEntry) -> bool:
        patient = self.store.patient(entry.patient)
        emergency = patient is not None and patient.emergency
        if entry.status == names.DELETED:
            return False
        return may_touch(right, caller.profile, caller.access, caller.owner, entry, emergency=emergency)

    def _retrieve(self, body: etree._Element, caller: Caller, trouble: Trouble | None) -> Done:
        problems: list[RegistryProblem] = []
        outgoing: list[Outgoing] = []
        requests = body.findall(clark(names.XDS, "DocumentRequest"))
        for one in requests:
            repository = (one.findtext(clark(names.XDS, "RepositoryUniqueId")) or "").strip()
            unique_id = (one.findtext(clark(names.XDS, "DocumentUniqueId")) or "").strip()
            if repository != names.REPOSITORY_OID:
                problems.append(RegistryProblem("XDSUnknownRepositoryId", "the repository is not this one", unique_id))
                continue
            entries = queries.latest(self.store.entries_by(unique_ids=[unique_id]))
            seen = [e for e in entries if e.patient == caller.patient and self._sees(Right.RETRIEVE, caller, e)]
            if not seen:
                sentence = f"documentUniqueId={unique_id}"
                problems.append(RegistryProblem("XDSDocumentUniqueIdError", sentence, unique_id))
                continue
            outgoing.append(Outgoing(f"{uuid4()}@urn:ihe:iti:xds-b:2007", seen[0].mime, unique_id))
        if len(requests) == 1 and problems and problems[0].code == "XDSDocumentUniqueIdError":
            # Seen on the test platform: for a single document it is a Fault, not a RegistryError.
            raise FaultRaised("the document is not known", subcode="XDSDocumentUniqueIdError")
        status = names.SUCCESS if not problems else names.PARTIAL if outgoing else names.FAILURE
        status = names.PARTIAL if trouble is Trouble.PARTIAL else status
        hidden = trouble is Trouble.ENCODED_CID
        documents = [(one.unique_id, one.mime, f"cid:{_encoded(one.cid, hidden=hidden)}") for one in outgoing]
        return Done(answers.retrieve_response(documents, [*problems, *_warnings(trouble)], status), outgoing)

    def _hold_to_schemas(self, body: str) -> None:
        if self.schemas is None:
            return
        broken = self.schemas.problems(parse_xml(body.encode(), code="sandbox"))
        if broken:
            self.schemas.violations += broken
            raise FaultRaised(f"defect of the sandbox: its answer breaks the schema ({broken[0]})", side="Receiver")


def _faulty(raised: FaultRaised, relates_to: str, transaction: Transaction | None) -> Answer:
    name = "" if transaction is None else transaction.name
    return Answer(500, envelope.fault(raised, relates_to), multipart=transaction is ITI_43, transaction=name)


def _warnings(trouble: Trouble | None) -> list[RegistryProblem]:
    if trouble is not Trouble.WARNING:
        return []
    return [RegistryProblem("XDSExtraMetadataNotSaved", "a warning that was asked for", warning=True)]


def _encoded(cid: str, *, hidden: bool) -> str:
    if not hidden:
        return quote(cid, safe="@")
    return "".join(f"%{byte:02x}" for byte in cid.encode())


def _submission(asked: etree._Element | None, code: str) -> Submission:
    objects = None if asked is None else asked.find(clark(names.RIM, "RegistryObjectList"))
    if objects is None:
        raise refuse(code, "the request has no SubmitObjectsRequest with a RegistryObjectList")
    return read_submission(objects)


def _contents(body: etree._Element, parts: list[Part]) -> Mapping[str, Content]:
    """Match documents and parts by cid. Raises RegistryRefused: one of them without the other."""
    by_cid = {part.cid: part.content for part in parts}
    contents: dict[str, Content] = {}
    used: set[str] = set()
    for document in body.findall(clark(names.XDS, "Document")):
        name = document.get("id", "")
        if name in contents:
            raise refuse("XDSRepositoryMetadataError", "two documents have the same id", name)
        include = document.find(clark(names.XOP, "Include"))
        if include is None:
            contents[name] = inline(document.text or "", name)
            continue
        href = include.get("href", "")
        cid = unquote(href.removeprefix("cid:"))
        if not href.startswith("cid:") or cid not in by_cid:
            raise refuse("XDSMissingDocument", "a document includes a part that is not there", name)
        used.add(cid)
        contents[name] = by_cid[cid]
    if by_cid.keys() - used:
        raise refuse("XDSMissingDocument", "a part is included by no document")
    return contents


def inline(text: str, name: str) -> Content:
    """Read a document that stands in the message as base64."""
    try:
        content = base64.b64decode("".join(text.split()), validate=True)
    except ValueError:
        raise refuse("XDSMissingDocument", "a document is neither included nor base64", name) from None
    return Content(io.BytesIO(content), len(content), hashlib.sha1(content, usedforsecurity=False).hexdigest())
