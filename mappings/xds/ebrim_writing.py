"""The XDS metadata model as ebRIM 3.0 XML (IHE ITI TF-3 §4.2.1 and §4.3), in the order that the schemas want.

Two envelopes carry the same objects: `lcm:SubmitObjectsRequest` alone (METADATA.XML of XDM, ITI-57), or inside
`xds:ProvideAndRegisterDocumentSetRequest` with the documents themselves (ITI-41, DMP).
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping

from lxml import etree

from mappings.xds import vocabulary as urns
from mappings.xds.model import Association, Author, Code, DocumentEntry, Slots, Submission, SubmissionSet

_NS = {"lcm": urns.LCM, "rim": urns.RIM}
_LANGUAGE = "{http://www.w3.org/XML/1998/namespace}lang"
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_URI_PIECE = 120
_LONGEST_WHOLE_URI = 128


def metadata_xml(submission: Submission) -> bytes:
    """Write METADATA.XML."""
    return etree.tostring(submit_objects_request(submission), xml_declaration=True, encoding="UTF-8")


def submit_objects_request(submission: Submission) -> etree._Element:
    """Write a submission as `lcm:SubmitObjectsRequest`."""
    root = etree.Element(f"{{{urns.LCM}}}SubmitObjectsRequest", nsmap=_NS)
    if submission.extra:
        listed = etree.SubElement(root, "{urn:oasis:names:tc:ebxml-regrep:xsd:rs:3.0}RequestSlotList")
        _slots(listed, submission.extra)
    _Writer(_child(root, "RegistryObjectList")).write(submission)
    return root


def provide_and_register(submission: Submission, documents: Mapping[str, bytes | str]) -> etree._Element:
    """Write a submission with its documents, by entry UUID: bytes stand inline in base64, a text is an XOP href."""
    root = etree.Element(f"{{{urns.XDS_B}}}ProvideAndRegisterDocumentSetRequest", nsmap={"xds": urns.XDS_B, **_NS})
    root.append(submit_objects_request(submission))
    for entry_uuid, content in documents.items():
        document = etree.SubElement(root, f"{{{urns.XDS_B}}}Document", id=entry_uuid)
        if isinstance(content, bytes):
            document.text = base64.b64encode(content).decode("ascii")
        else:
            etree.SubElement(document, f"{{{urns.XOP}}}Include", nsmap={"xop": urns.XOP}, href=content)
    return root


class _Writer:
    """Writes objects into a RegistryObjectList and numbers what has no identity of its own."""

    def __init__(self, objects: etree._Element) -> None:
        self.objects = objects
        self.numbers: dict[str, int] = {}

    def write(self, submission: Submission) -> None:
        if submission.submission_set is not None:
            self._submission_set(submission.submission_set)
        for entry in submission.entries:
            self._entry(entry)
        for association in submission.associations:
            self._association(association)

    def _submission_set(self, lot: SubmissionSet) -> None:
        package = _child(self.objects, "RegistryPackage", id=lot.entry_uuid)
        _set(package, "status", lot.availability_status)
        _slot(package, "submissionTime", _one(lot.submission_time))
        _slot(package, "intendedRecipient", lot.intended_recipients)
        _slots(package, lot.extra)
        _texts(package, lot.title, lot.comments)
        for author in lot.authors:
            self._author(package, urns.SUBMISSION_AUTHOR, author)
        self._code(package, urns.CONTENT_TYPE_CODE, lot.content_type_code)
        self._identifier(package, urns.SUBMISSION_PATIENT, lot.patient_id)
        self._identifier(package, urns.SUBMISSION_SOURCE, lot.source_id)
        self._identifier(package, urns.SUBMISSION_UNIQUE, lot.unique_id)
        node = _child(self.objects, "Classification", id=self._number("cl"), classifiedObject=lot.entry_uuid)
        node.set("classificationNode", urns.SUBMISSION_SET_NODE)

    def _entry(self, entry: DocumentEntry) -> None:
        found = _child(self.objects, "ExtrinsicObject", id=entry.entry_uuid, mimeType=entry.mime_type)
        found.set("objectType", urns.STABLE_DOCUMENT)
        _set(found, "lid", entry.logical_id)
        _set(found, "status", entry.availability_status)
        _slot(found, "creationTime", _one(entry.creation_time))
        _slot(found, "hash", _one(entry.hash))
        _slot(found, "languageCode", _one(entry.language_code))
        _slot(found, "legalAuthenticator", _one(entry.legal_authenticator))
        _slot(found, "repositoryUniqueId", _one(entry.repository_unique_id))
        _slot(found, "serviceStartTime", _one(entry.service_start_time))
        _slot(found, "serviceStopTime", _one(entry.service_stop_time))
        _slot(found, "size", _one(None if entry.size is None else str(entry.size)))
        _slot(found, "sourcePatientId", _one(entry.source_patient_id))
        _slot(found, "sourcePatientInfo", entry.source_patient_info)
        _slot(found, "URI", _uri(entry.uri))
        _slot(found, urns.REFERENCE_IDS, entry.reference_ids)
        _slots(found, entry.extra)
        _texts(found, entry.title, entry.comments)
        if entry.version is not None:
            _child(found, "VersionInfo", versionName=entry.version)
        for author in entry.authors:
            self._author(found, urns.DOCUMENT_AUTHOR, author)
        self._code(found, urns.CLASS_CODE, entry.class_code)
        for code in entry.confidentiality_codes:
            self._code(found, urns.CONFIDENTIALITY_CODE, code)
        for code in entry.event_codes:
            self._code(found, urns.EVENT_CODE, code)
        self._code(found, urns.FORMAT_CODE, entry.format_code)
        self._code(found, urns.FACILITY_CODE, entry.healthcare_facility_type_code)
        self._code(found, urns.PRACTICE_SETTING_CODE, entry.practice_setting_code)
        self._code(found, urns.TYPE_CODE, entry.type_code)
        self._identifier(found, urns.DOCUMENT_PATIENT, entry.patient_id)
        self._identifier(found, urns.DOCUMENT_UNIQUE, entry.unique_id)

    def _association(self, association: Association) -> None:
        found = _child(
            self.objects,
            "Association",
            id=association.id,
            associationType=association.type,
            sourceObject=association.source,
            targetObject=association.target,
        )
        _slots(found, association.slots)

    def _author(self, owner: etree._Element, scheme: str, author: Author) -> None:
        found = self._classification(owner, scheme, "")
        _slot(found, "authorPerson", _one(author.person))
        _slot(found, "authorInstitution", author.institutions)
        _slot(found, "authorRole", author.roles)
        _slot(found, "authorSpecialty", author.specialties)
        _slot(found, "authorTelecommunication", author.telecoms)

    def _code(self, owner: etree._Element, scheme: str, code: Code | None) -> None:
        if code is None:
            return
        found = self._classification(owner, scheme, code.code)
        _slot(found, "codingScheme", (code.scheme,))
        _texts(found, code.label, None)

    def _classification(self, owner: etree._Element, scheme: str, node: str) -> etree._Element:
        found = _child(owner, "Classification", id=self._number("cl"), classificationScheme=scheme)
        found.set("classifiedObject", owner.get("id") or "")
        _set(found, "nodeRepresentation", node)
        return found

    def _identifier(self, owner: etree._Element, scheme: str, value: str | None) -> None:
        if value is None:
            return
        found = _child(owner, "ExternalIdentifier", id=self._number("ei"), identificationScheme=scheme)
        found.set("registryObject", owner.get("id") or "")
        _set(found, "value", value)
        _texts(found, urns.IDENTIFIER_NAMES[scheme], None)

    def _number(self, prefix: str) -> str:
        self.numbers[prefix] = self.numbers.get(prefix, 0) + 1
        return f"{prefix}{self.numbers[prefix]:02d}"


def _child(owner: etree._Element, tag: str, **attributes: str) -> etree._Element:
    found = etree.SubElement(owner, f"{{{urns.RIM}}}{tag}")
    for name, value in attributes.items():
        found.set(name, _text(value))
    return found


def _set(element: etree._Element, name: str, value: str | None) -> None:
    if value is not None:
        element.set(name, _text(value))


def _text(value: str) -> str:
    """Leave out the control characters that XML has no way to write."""
    return _NOT_XML.sub("", value)


def _one(value: str | None) -> tuple[str, ...]:
    return () if value is None else (value,)


def _uri(uri: str | None) -> tuple[str, ...]:
    if uri is None or len(uri) <= _LONGEST_WHOLE_URI:
        return _one(uri)
    pieces = [uri[at : at + _URI_PIECE] for at in range(0, len(uri), _URI_PIECE)]
    return tuple(f"{rank}|{piece}" for rank, piece in enumerate(pieces, 1))


def _slot(owner: etree._Element, name: str, values: Iterable[str]) -> None:
    values = tuple(values)
    if not values:
        return
    listed = _child(_child(owner, "Slot", name=name), "ValueList")
    for value in values:
        _child(listed, "Value").text = _text(value)


def _slots(owner: etree._Element, slots: Slots) -> None:
    for name, values in slots:
        _slot(owner, name, values)


def _texts(owner: etree._Element, name: str | None, description: str | None) -> None:
    for tag, text in (("Name", name), ("Description", description)):
        if text is not None:
            string = _child(_child(owner, tag), "LocalizedString", charset="UTF-8", value=text)
            string.set(_LANGUAGE, "fr-FR")
