"""ebRIM 3.0 XML to the XDS metadata model, as senders really write it.

A stylesheet that many senders copied puts identifiers under the wrong scheme, leaves schemes empty, writes
`classification` in small letters and pads its values. All of it is read, and each deviation is said once. Namespaces
and envelopes do not matter: SOAP, ITI-41, ITI-18 answers and METADATA.XML hold the same objects.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from lxml import etree

from mappings.notes import Notes
from mappings.xds import vocabulary as urns
from mappings.xds.datatypes import read_time
from mappings.xds.model import Association, Author, Code, DocumentEntry, Slots, Submission, SubmissionSet

_BLANKS = re.compile(r"\s+")
_NUMBERED = re.compile(r"(\d+)\|(.*)", re.DOTALL)
_ENTRY_SLOTS = frozenset(
    {
        "creationtime",
        "hash",
        "languagecode",
        "legalauthenticator",
        "repositoryuniqueid",
        "servicestarttime",
        "servicestoptime",
        "size",
        "sourcepatientid",
        "sourcepatientinfo",
        "uri",
        "patientid",
        urns.REFERENCE_IDS.lower(),
    }
)
_LOT_SLOTS = frozenset({"submissiontime", "intendedrecipient", "patientid"})
_AUTHOR_SLOTS = frozenset(
    {
        "authorperson",
        "authorinstitution",
        "authorrole",
        "authorspecialty",
        "authorspeciality",
        "authortelecommunication",
    }
)
_SCHEME_OF_NAME = {name.lower(): scheme for scheme, name in urns.IDENTIFIER_NAMES.items()}


@dataclass
class _Object:
    """What a registry object holds, gathered whatever its spelling: slots by small letters, codes by scheme."""

    element: etree._Element
    where: str
    slots: dict[str, tuple[str, tuple[str, ...]]] = field(default_factory=dict)
    codes: dict[str, list[Code]] = field(default_factory=dict)
    authors: list[Author] = field(default_factory=list)
    identifiers: dict[str, str] = field(default_factory=dict)
    title: str | None = None
    comments: str | None = None
    version: str | None = None

    def values(self, name: str) -> tuple[str, ...]:
        return self.slots.get(name.lower(), ("", ()))[1]

    def value(self, name: str) -> str | None:
        return next((value for value in self.values(name) if value), None)

    def code(self, scheme: str) -> Code | None:
        return next(iter(self.codes.get(scheme, ())), None)

    def others(self, known: frozenset[str]) -> Slots:
        return tuple(slot for key, slot in self.slots.items() if key not in known and slot[1])


def read_submission(root: etree._Element, notes: Notes, where: str = "") -> Submission:
    """Read the objects of a request, an answer or a METADATA.XML; `where` names the content in the Findings.

    Objects that the model has no place for (folders, other packages, a second submission set) are left unread.
    """
    return _Reader(notes, where).read(root)


class _Reader:
    def __init__(self, notes: Notes, where: str) -> None:
        self.notes = notes
        self.where = where

    def read(self, root: etree._Element) -> Submission:
        lists = [one for one in root.iter() if _name(one) == "registryobjectlist"]
        owner = lists[0] if lists else root
        packages: list[etree._Element] = []
        entries: list[DocumentEntry] = []
        associations: list[Association] = []
        nodes: dict[str, str] = {}
        for element in owner:
            match _name(element):
                case "registrypackage":
                    packages.append(element)
                case "extrinsicobject":
                    entries.append(self._entry(element, len(entries) + 1))
                case "association":
                    associations.append(self._association(element, len(associations) + 1))
                case "classification":
                    nodes[_attribute(element, "classifiedObject")] = _urn(_attribute(element, "classificationNode"))
                case _:
                    self.notes.leave(f"{self.where} {etree.QName(element).localname}", _flat(element))
        return Submission(
            submission_set=self._submission_set(packages, nodes),
            entries=tuple(entries),
            associations=tuple(associations),
            extra=tuple(self._request_slots(root)),
        )

    def _request_slots(self, root: etree._Element) -> Iterator[tuple[str, tuple[str, ...]]]:
        for element in root.iter():
            if _name(element) == "requestslotlist":
                yield from (slot for slot in map(_slot, element) if slot is not None)

    # --- the submission set

    def _submission_set(self, packages: list[etree._Element], nodes: dict[str, str]) -> SubmissionSet | None:
        chosen: etree._Element | None = None
        for package in packages:
            node = nodes.get(_attribute(package, "id")) or self._node_inside(package)
            if chosen is None and node in (urns.SUBMISSION_SET_NODE, ""):
                chosen = package
                if not node:
                    self._warn("xds.submission_set.unmarked", "the package is not marked as a submission set")
            else:
                self.notes.leave(f"{self.where} RegistryPackage", _flat(package))
        return self._lot(chosen) if chosen is not None else None

    def _node_inside(self, package: etree._Element) -> str:
        inside = (_urn(_attribute(one, "classificationNode")) for one in package if _name(one) == "classification")
        return next((node for node in inside if node), "")

    def _lot(self, element: etree._Element) -> SubmissionSet:
        found = self._object(element, f"{self.where} SubmissionSet".strip(), urns.SUBMISSION_AUTHOR)
        return SubmissionSet(
            entry_uuid=_attribute(element, "id") or "SubmissionSet01",
            unique_id=found.identifiers.get(urns.SUBMISSION_UNIQUE),
            source_id=found.identifiers.get(urns.SUBMISSION_SOURCE),
            patient_id=self._patient(found, urns.SUBMISSION_PATIENT, urns.DOCUMENT_PATIENT),
            submission_time=self._time(found, "submissionTime"),
            content_type_code=found.code(urns.CONTENT_TYPE_CODE),
            title=found.title,
            comments=found.comments,
            authors=tuple(found.authors),
            intended_recipients=found.values("intendedRecipient"),
            availability_status=_attribute(element, "status") or None,
            extra=found.others(_LOT_SLOTS),
        )

    # --- documents

    def _entry(self, element: etree._Element, rank: int) -> DocumentEntry:
        symbol = _attribute(element, "id") or f"Document{rank:02d}"
        found = self._object(element, f"{self.where} {symbol}".strip(), urns.DOCUMENT_AUTHOR)
        size = found.value("size") or ""
        if size and not (size.isascii() and size.isdigit() and len(size) < 16):
            self.notes.warning("xds.size", found.where, "the size is not a number of bytes")
            size = ""
        return DocumentEntry(
            entry_uuid=symbol,
            unique_id=found.identifiers.get(urns.DOCUMENT_UNIQUE),
            mime_type=_attribute(element, "mimeType") or "text/xml",
            patient_id=self._patient(found, urns.DOCUMENT_PATIENT, urns.SUBMISSION_PATIENT),
            type_code=found.code(urns.TYPE_CODE),
            class_code=found.code(urns.CLASS_CODE),
            format_code=found.code(urns.FORMAT_CODE),
            practice_setting_code=found.code(urns.PRACTICE_SETTING_CODE),
            healthcare_facility_type_code=found.code(urns.FACILITY_CODE),
            confidentiality_codes=tuple(found.codes.get(urns.CONFIDENTIALITY_CODE, ())),
            event_codes=tuple(found.codes.get(urns.EVENT_CODE, ())),
            title=found.title,
            comments=found.comments,
            language_code=found.value("languageCode"),
            creation_time=self._time(found, "creationTime"),
            service_start_time=self._time(found, "serviceStartTime"),
            service_stop_time=self._time(found, "serviceStopTime"),
            authors=tuple(found.authors),
            legal_authenticator=found.value("legalAuthenticator"),
            source_patient_id=found.value("sourcePatientId"),
            source_patient_info=found.values("sourcePatientInfo"),
            reference_ids=found.values(urns.REFERENCE_IDS),
            hash=(found.value("hash") or "").lower() or None,
            size=int(size) if size else None,
            uri=_joined_uri(found.values("URI")),
            repository_unique_id=found.value("repositoryUniqueId"),
            logical_id=_attribute(element, "lid") or None,
            version=found.version,
            availability_status=_attribute(element, "status") or None,
            extra=found.others(_ENTRY_SLOTS),
        )

    def _association(self, element: etree._Element, rank: int) -> Association:
        slots = tuple(slot for slot in map(_slot, element) if slot is not None and slot[1])
        return Association(
            id=_attribute(element, "id") or f"as{rank:02d}",
            type=_attribute(element, "associationType"),
            source=_attribute(element, "sourceObject"),
            target=_attribute(element, "targetObject"),
            slots=slots,
        )

    # --- what both are made of

    def _object(self, element: etree._Element, where: str, author_scheme: str) -> _Object:
        found = _Object(element, where)
        for child in element:
            match _name(child):
                case "slot":
                    slot = _slot(child)
                    if slot is not None:
                        name, values = found.slots.get(slot[0].lower(), (slot[0], ()))
                        found.slots[slot[0].lower()] = (name, (*values, *slot[1]))
                case "name":
                    found.title = _localized(child)
                case "description":
                    found.comments = _localized(child)
                case "versioninfo":
                    found.version = _attribute(child, "versionName") or None
                case "classification":
                    self._classification(found, child, author_scheme)
                case "externalidentifier":
                    self._identifier(found, child)
                case "contentversioninfo":
                    pass
                case _:
                    self.notes.leave(f"{where} {etree.QName(child).localname}", _flat(child))
        return found

    def _classification(self, found: _Object, element: etree._Element, author_scheme: str) -> None:
        if etree.QName(element).localname != "Classification":
            self._warn("xds.element.spelling", "an element is not spelt as ebRIM does (classification)")
        slots = {name.lower(): values for name, values in (slot for slot in map(_slot, element) if slot is not None)}
        scheme = _urn(_attribute(element, "classificationScheme"))
        coding_scheme = next(iter(slots.get("codingscheme", ())), "")
        if not scheme:
            if _attribute(element, "classificationNode"):
                return
            guessed = author_scheme if _AUTHOR_SLOTS & slots.keys() else urns.kind_of_scheme(coding_scheme)
            self._warn("xds.classification.scheme", "a Classification has no classificationScheme; its codes decide")
            scheme = guessed or ""
        if scheme in (urns.DOCUMENT_AUTHOR, urns.SUBMISSION_AUTHOR):
            found.authors.append(_author(slots))
            return
        code = Code(_attribute(element, "nodeRepresentation"), coding_scheme, _name_of(element))
        if not scheme or not code.code:
            self.notes.leave(f"{found.where} Classification", _flat(element))
            return
        found.codes.setdefault(scheme, []).append(code)

    def _identifier(self, found: _Object, element: etree._Element) -> None:
        value = _attribute(element, "value")
        scheme = _urn(_attribute(element, "identificationScheme"))
        named = _SCHEME_OF_NAME.get((_name_of(element) or "").lower())
        if named is not None and named != scheme:
            self._warn("xds.identifier.scheme", "an ExternalIdentifier is under another scheme than its name says")
            scheme = named
        if not value or scheme not in urns.IDENTIFIER_NAMES or scheme in found.identifiers:
            self.notes.leave(f"{found.where} ExternalIdentifier", _flat(element))
            return
        found.identifiers[scheme] = value

    def _patient(self, found: _Object, scheme: str, other: str) -> str | None:
        """Take the patientId from its identifier, else from the other object's scheme, a slot, or sourcePatientId."""
        own = found.identifiers.get(scheme)
        if own is not None:
            return own
        elsewhere = found.identifiers.get(other) or found.value("patientId") or found.value("sourcePatientId")
        if elsewhere is not None:
            self.notes.warning("xds.patient_id.place", found.where, "the patientId is not where XDS wants it")
        return elsewhere

    def _time(self, found: _Object, name: str) -> str | None:
        value = found.value(name)
        if value is not None:
            moment, bare = read_time(value)
            if moment is None:
                self.notes.warning("xds.time.invalid", f"{found.where} {name}", "this is not a time")
                self.notes.leave(f"{found.where} {name}", value)
            elif not bare:
                self.notes.warning(
                    "xds.time.offset", f"{found.where} {name}", "XDS wants a time in UTC without an offset"
                )
        return value

    def _warn(self, code: str, message: str) -> None:
        self.notes.warning(code, self.where, message)


# --- elements, whatever their namespace and case


def _name(element: etree._Element) -> str:
    return etree.QName(element).localname.lower() if isinstance(element.tag, str) else ""


def _attribute(element: etree._Element, name: str) -> str:
    return (element.get(name) or "").strip()


def _urn(value: str) -> str:
    """Give a scheme without the blanks that some senders leave inside it."""
    return _BLANKS.sub("", value).lower()


def _slot(element: etree._Element) -> tuple[str, tuple[str, ...]] | None:
    if _name(element) != "slot":
        return None
    values = ((one.text or "").strip() for one in element.iter() if _name(one) == "value")
    return _attribute(element, "name"), tuple(value for value in values if value)


def _author(slots: dict[str, tuple[str, ...]]) -> Author:
    return Author(
        person=next(iter(slots.get("authorperson", ())), None),
        institutions=slots.get("authorinstitution", ()),
        roles=slots.get("authorrole", ()),
        specialties=slots.get("authorspecialty", ()) or slots.get("authorspeciality", ()),
        telecoms=slots.get("authortelecommunication", ()),
    )


def _localized(element: etree._Element) -> str | None:
    """Give the French text, else the first."""
    texts = [(one, _attribute(one, "value")) for one in element if _name(one) == "localizedstring"]
    french = (
        text for one, text in texts if (one.get("{http://www.w3.org/XML/1998/namespace}lang") or "").lower()[:2] == "fr"
    )
    return next(french, None) or next((text for _, text in texts if text), None)


def _name_of(element: etree._Element) -> str | None:
    return next((_localized(one) for one in element if _name(one) == "name"), None)


def _joined_uri(values: tuple[str, ...]) -> str | None:
    """Join a URI that was cut in numbered pieces (`1|…`, `2|…`)."""
    pieces = [_NUMBERED.fullmatch(value) for value in values]
    if values and all(pieces):
        ordered = sorted((int(piece[1]), piece[2]) for piece in pieces if piece is not None)
        return "".join(text for _, text in ordered)
    return values[0] if values else None


def _flat(element: etree._Element) -> str:
    """Show an object in one line: its attributes and texts."""
    pieces: list[str] = []
    for one in element.iter():
        pieces += [str(value) for value in one.attrib.values()]
        pieces.append(one.text or "")
    return " ".join(" ".join(pieces).split())[:1000]
