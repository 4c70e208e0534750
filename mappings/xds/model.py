"""The XDS metadata model: what a registry keeps of documents, as IHE ITI TF-3 §4.2 names it.

Composite values (CX, XCN, XON, sourcePatientInfo) are the very texts of the registry; `mappings.xds.datatypes` reads
and writes them. Times are `YYYY[MM[DD[hh[mm[ss]]]]]` in UTC. A model read and written again says the same.
"""

from __future__ import annotations

from dataclasses import dataclass

Slots = tuple[tuple[str, tuple[str, ...]], ...]
"""Slots without a place in the model, by name, in the order they came in."""


@dataclass(frozen=True, slots=True)
class Code:
    """A coded value: `scheme` is its codingScheme, an OID in France; `label` its display name."""

    code: str
    scheme: str = ""
    label: str | None = None


@dataclass(frozen=True, slots=True)
class Author:
    """An author: `person` is an XCN, `institutions` are XON, `specialties` `code^label^OID`, `telecoms` XTN."""

    person: str | None = None
    institutions: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    specialties: tuple[str, ...] = ()
    telecoms: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DocumentEntry:
    """The metadata of one document.

    `entry_uuid` is the object's id in its request (`Document01`, or `urn:uuid:…` once registered), which changes with
    each version of the metadata; `logical_id` stays; `unique_id` is the document's own. `hash` is SHA-1 in hex and
    `size` in bytes, both of the bytes as they travel. `uri` is a file name, in XDM only.
    """

    entry_uuid: str
    unique_id: str | None = None
    mime_type: str = "text/xml"
    patient_id: str | None = None
    type_code: Code | None = None
    class_code: Code | None = None
    format_code: Code | None = None
    practice_setting_code: Code | None = None
    healthcare_facility_type_code: Code | None = None
    confidentiality_codes: tuple[Code, ...] = ()
    event_codes: tuple[Code, ...] = ()
    title: str | None = None
    comments: str | None = None
    language_code: str | None = None
    creation_time: str | None = None
    service_start_time: str | None = None
    service_stop_time: str | None = None
    authors: tuple[Author, ...] = ()
    legal_authenticator: str | None = None
    source_patient_id: str | None = None
    source_patient_info: tuple[str, ...] = ()
    reference_ids: tuple[str, ...] = ()
    hash: str | None = None
    size: int | None = None
    uri: str | None = None
    repository_unique_id: str | None = None
    logical_id: str | None = None
    version: str | None = None
    availability_status: str | None = None
    extra: Slots = ()

    @property
    def action(self) -> str | None:
        """The extra metadata `action` of the ANS (MSSanté): `D` deletes, `C` replaces; its slot has no settled name."""
        return action_of(self.extra)


@dataclass(frozen=True, slots=True)
class SubmissionSet:
    """The metadata of one submission (*lot de soumission*); `intended_recipients` are `XON|XCN|XTN`."""

    entry_uuid: str
    unique_id: str | None = None
    source_id: str | None = None
    patient_id: str | None = None
    submission_time: str | None = None
    content_type_code: Code | None = None
    title: str | None = None
    comments: str | None = None
    authors: tuple[Author, ...] = ()
    intended_recipients: tuple[str, ...] = ()
    availability_status: str | None = None
    extra: Slots = ()


@dataclass(frozen=True, slots=True)
class Association:
    """A relation between two objects of a registry, by their entry UUIDs; `type` is its whole URN."""

    id: str
    type: str
    source: str
    target: str
    slots: Slots = ()


@dataclass(frozen=True, slots=True)
class Submission:
    """One SubmitObjectsRequest: a submission set, its documents and what relates them."""

    submission_set: SubmissionSet | None = None
    entries: tuple[DocumentEntry, ...] = ()
    associations: tuple[Association, ...] = ()
    extra: Slots = ()


def action_of(slots: Slots) -> str | None:
    """Find the value of a slot named `action`, or with a name that ends so."""
    for name, values in slots:
        if name.lower().endswith("action") and values:
            return values[0].upper()
    return None


def metadata_name(field: str) -> str:
    """Give the name that XDS has for a field of the model: `type_code` is typeCode."""
    first, *rest = field.split("_")
    return first + "".join(word.capitalize() for word in rest)
