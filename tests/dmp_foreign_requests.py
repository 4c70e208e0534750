"""Requests of a DMP client as somebody else would have written them: text templates, nothing of the project's own.

`Lot(...)` is a submission in pieces that a test may bend; `changes`, `query` and `retrieve` write the other bodies.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from uuid import uuid4

from connectors.sandbox.people import ROSE

RIM = "urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0"
APPROVED = "urn:oasis:names:tc:ebxml-regrep:StatusType:Approved"
ARCHIVED = "urn:asip:ci-sis:2010:StatusType:Archived"
DELETED = "urn:asip:ci-sis:2010:StatusType:Deleted"
REPOSITORY = "1.2.250.1.213.4.1.1.1.2"
STRUCTURE = "10B0000001"
DOCTOR = "899990000012"
ROSE_CX = f"{ROSE.matricule}^^^&1.2.250.1.213.1.4.10&ISO^NH"
AUTHOR = f"{DOCTOR}^TESTEUR^CAMILLE^^^^^^&1.2.250.1.71.4.2.1&ISO^D^^^IDNPS"
PLACE = f"STRUCTURE FICTIVE^^^^^&1.2.250.1.71.4.2.2&ISO^IDNST^^^{STRUCTURE}"
ROOT = "1.2.250.1.999.7"

_numbers = itertools.count(1)


def new_oid() -> str:
    """Give an OID that nobody has."""
    return f"{ROOT}.{uuid4().int % 10**12}.{next(_numbers)}"


def as_it_is(text: str) -> str:
    return text


def escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")


def slot(name: str, *values: str) -> str:
    inside = "".join(f"<Value>{escaped(value)}</Value>" for value in values)
    return f'<Slot name="{escaped(name)}"><ValueList>{inside}</ValueList></Slot>'


def label(text: str) -> str:
    return f'<Name><LocalizedString charset="UTF-8" xml:lang="fr" value="{escaped(text)}"/></Name>'


def coded(owner: str, scheme: str, code: str, system: str, text: str = "libellé") -> str:
    return (
        f'<Classification id="c{next(_numbers)}" classificationScheme="urn:uuid:{scheme}" classifiedObject="{owner}" '
        f'nodeRepresentation="{escaped(code)}">{slot("codingScheme", system)}{label(text)}</Classification>'
    )


def author(owner: str, scheme: str, person: str = AUTHOR, place: str = PLACE) -> str:
    return (
        f'<Classification id="c{next(_numbers)}" classificationScheme="urn:uuid:{scheme}" classifiedObject="{owner}" '
        f'nodeRepresentation="">{slot("authorInstitution", place)}{slot("authorPerson", person)}'
        f"{slot('authorSpecialty', 'G15_10/SM26^Médecin - Qualifié en Médecine Générale (SM)^1.2.250.1.213.1.1.4.5')}"
        "</Classification>"
    )


def identifier(owner: str, scheme: str, value: str, name: str) -> str:
    return (
        f'<ExternalIdentifier id="e{next(_numbers)}" identificationScheme="urn:uuid:{scheme}" registryObject="{owner}" '
        f'value="{escaped(value)}">{label(name)}</ExternalIdentifier>'
    )


def association(kind: str, source: str, target: str, *slots: str) -> str:
    return (
        f'<Association id="a{next(_numbers)}" associationType="{kind}" sourceObject="{source}" '
        f'targetObject="{target}">{"".join(slots)}</Association>'
    )


MEMBER = "urn:oasis:names:tc:ebxml-regrep:AssociationType:HasMember"
SIGNS = "urn:ihe:iti:2007:AssociationType:signs"
RPLC = "urn:ihe:iti:2007:AssociationType:RPLC"
STATUS = "urn:ihe:iti:2010:AssociationType:UpdateAvailabilityStatus"
ORIGINAL = slot("SubmissionSetStatus", "Original")


@dataclass
class Document:
    """A document of a lot, with the metadata that tests vary."""

    content: bytes = b"<document>Bonjour</document>"
    id: str = "Document01"
    unique_id: str = field(default_factory=new_oid)
    title: str = "Compte rendu fictif"
    created: str = "20300101101000"
    start: str = "20300101093000"
    type_code: tuple[str, str] = ("11488-4", "2.16.840.1.113883.6.1")
    class_code: str = "10"
    events: tuple[tuple[str, str], ...] = ()
    confidentiality: tuple[str, ...] = ("N",)
    patient: str = ROSE_CX
    person: str = AUTHOR
    references: tuple[str, ...] = ()
    signature: bool = False
    hashed: bool = True

    def metadata(self) -> str:
        own, event = self.id, "2c6b8cb7-8b2a-4051-b291-b1ae6a575ef4"
        digest = hashlib.sha1(self.content, usedforsecurity=False).hexdigest()
        sums = slot("hash", digest) + slot("size", str(len(self.content))) if self.hashed else ""
        secret = "1.2.250.1.213.1.1.4.13"
        codes = "".join(
            coded(
                own, "f4f85eac-e6cb-4883-b524-f2705394840f", one, secret if len(one) > 1 else "2.16.840.1.113883.5.25"
            )
            for one in self.confidentiality
        )
        if self.signature:
            kinds = (
                coded(own, "41a5887f-8865-4c09-adf7-e362475b143a", "urn:oid:1.3.6.1.4.1.19376.1.2.1.1.1", "URN")
                + coded(own, event, "1.2.840.10065.1.12.1.14", "1.2.840.10065.1.12")
                + coded(own, "a09d5840-386c-46f2-b5ad-9c3699a4309d", "http://www.w3.org/2000/09/xmldsig#", "URN")
                + coded(own, "f0306f51-975f-434e-a61c-c59651d33983", "E1762", "ASTM")
            )
        else:
            kinds = (
                coded(own, "41a5887f-8865-4c09-adf7-e362475b143a", self.class_code, "1.2.250.1.213.1.1.4.1")
                + "".join(coded(own, event, code, system) for code, system in self.events)
                + coded(
                    own,
                    "a09d5840-386c-46f2-b5ad-9c3699a4309d",
                    "urn:ihe:iti:xds-sd:pdf:2008",
                    "1.3.6.1.4.1.19376.1.2.3",
                )
                + coded(own, "f0306f51-975f-434e-a61c-c59651d33983", *self.type_code)
            )
        reference = slot("urn:ihe:iti:xds:2013:referenceIdList", *self.references) if self.references else ""
        return (
            f'<ExtrinsicObject id="{own}" mimeType="text/xml" '
            'objectType="urn:uuid:7edca82f-054d-47f2-a032-9b2a5b5186c1">'
            f"{slot('creationTime', self.created)}{sums}{slot('languageCode', 'fr-FR')}"
            f"{slot('legalAuthenticator', self.person)}{slot('serviceStartTime', self.start)}"
            f"{slot('sourcePatientId', 'IPP1^^^&1.2.250.1.999.35.1&ISO^PI')}{reference}{label(self.title)}"
            f"{author(own, '93606bcf-9494-43ec-9b4e-a7748d1a838d', self.person)}{kinds}{codes}"
            f"{coded(own, 'f33fb8ac-18af-42cc-ae0e-ed0b0bdb91e1', 'SA07', '1.2.250.1.71.4.2.4')}"
            f"{coded(own, 'cccf5598-8b07-4b77-a05e-ae952c785ead', 'AMBULATOIRE', '1.2.250.1.213.1.1.4.9')}"
            f"{identifier(own, '58a6f841-87b3-4a3e-92fd-a8ffeff98427', self.patient, 'XDSDocumentEntry.patientId')}"
            f"{identifier(own, '2e82c1f6-a085-4c72-9da3-8640a32e42ab', self.unique_id, 'XDSDocumentEntry.uniqueId')}"
            "</ExtrinsicObject>"
        )


@dataclass
class Lot:
    """A submission: documents, and the signature that `sign` makes over them."""

    documents: list[Document] = field(default_factory=lambda: [Document()])
    unique_id: str = field(default_factory=new_oid)
    patient: str = ROSE_CX
    submitted: str = "20300101101500"
    content_type: str = "07"
    person: str = AUTHOR
    replaces: str = ""
    more: str = ""
    signature: bytes | None = None
    bend: Callable[[str], str] = as_it_is

    def package(self) -> str:
        own = "Lot"
        return (
            f'<RegistryPackage id="{own}">{slot("submissionTime", self.submitted)}{label("Lot fictif")}'
            f"{author(own, 'a7058bb9-b4e4-4307-ba5b-e3f0ab85e12d', self.person)}"
            f"{coded(own, 'aa543740-bdda-424e-8c96-df4873be8500', self.content_type, '1.2.250.1.213.2.2')}"
            f'<Classification id="c{next(_numbers)}" classifiedObject="{own}" '
            'classificationNode="urn:uuid:a54d6aa5-d40d-43f9-88c5-b4633d873bdd"/>'
            f"{identifier(own, '6b5aea1a-874d-4603-a4bc-96a0a7b38446', self.patient, 'XDSSubmissionSet.patientId')}"
            f"{identifier(own, '554ac39e-e3fe-47fe-b233-965d2a147832', ROOT, 'XDSSubmissionSet.sourceId')}"
            f"{identifier(own, '96fdda7c-d067-4183-912e-bf5ee74998a8', self.unique_id, 'XDSSubmissionSet.uniqueId')}"
            "</RegistryPackage>"
        )

    def whole(self, sign: Callable[[Lot], bytes]) -> tuple[str, list[Document]]:
        """Give the request's body (before it is bent) and every document, the signature last."""
        signed = Document(
            content=self.signature if self.signature is not None else sign(self),
            id="Signature01",
            title="Source",
            confidentiality=("N", "MASQUE_PS", "INVISIBLE_PATIENT"),
            patient=self.patient,
            person=self.person,
            signature=True,
        )
        documents = [*self.documents, signed]
        links = "".join(association(MEMBER, "Lot", one.id, ORIGINAL) for one in documents)
        links += association(SIGNS, signed.id, "Lot", ORIGINAL)
        if self.replaces:
            links += association(RPLC, self.documents[0].id, self.replaces)
        includes = "".join(
            f'<xds:Document id="{one.id}"><xop:Include xmlns:xop="http://www.w3.org/2004/08/xop/include" '
            f'href="cid:{one.id}@test.example"/></xds:Document>'
            for one in documents
        )
        body = (
            f'<xds:ProvideAndRegisterDocumentSetRequest xmlns:xds="urn:ihe:iti:xds-b:2007" xmlns="{RIM}">'
            '<lcm:SubmitObjectsRequest xmlns:lcm="urn:oasis:names:tc:ebxml-regrep:xsd:lcm:3.0"><RegistryObjectList>'
            f"{self.package()}{''.join(one.metadata() for one in documents)}{links}{self.more}"
            f"</RegistryObjectList></lcm:SubmitObjectsRequest>{includes}</xds:ProvideAndRegisterDocumentSetRequest>"
        )
        return self.bend(body), documents


def changes(*associations: str, entries: str = "", patient: str = ROSE_CX) -> str:
    """Write the body of an ITI-57 around associations that begin at `Lot`."""
    lot = Lot(patient=patient)
    return (
        f'<lcm:SubmitObjectsRequest xmlns:lcm="urn:oasis:names:tc:ebxml-regrep:xsd:lcm:3.0" xmlns="{RIM}">'
        f"<RegistryObjectList>{lot.package()}{entries}{''.join(associations)}</RegistryObjectList>"
        "</lcm:SubmitObjectsRequest>"
    )


def query(kind: str, parameters: dict[str, str | list[str]], returns: str = "LeafClass") -> str:
    """Write an AdhocQueryRequest."""
    slots = "".join(slot(name, *([value] if isinstance(value, str) else value)) for name, value in parameters.items())
    return (
        '<q:AdhocQueryRequest xmlns:q="urn:oasis:names:tc:ebxml-regrep:xsd:query:3.0" '
        f'xmlns="{RIM}"><q:ResponseOption returnComposedObjects="true" returnType="{returns}"/>'
        f'<AdhocQuery id="{kind}">{slots}</AdhocQuery></q:AdhocQueryRequest>'
    )


def retrieve(*unique_ids: str, repository: str = REPOSITORY) -> str:
    """Write a RetrieveDocumentSetRequest."""
    inside = "".join(
        f"<DocumentRequest><RepositoryUniqueId>{repository}</RepositoryUniqueId>"
        f"<DocumentUniqueId>{one}</DocumentUniqueId></DocumentRequest>"
        for one in unique_ids
    )
    return f'<RetrieveDocumentSetRequest xmlns="urn:ihe:iti:xds-b:2007">{inside}</RetrieveDocumentSetRequest>'
