"""Documents for the tests of PDSm: Items, and the Parcels that the format makes of them."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import Any

from connectors.contracts import Parcel
from connectors.sandbox.people import INS_TEST_OID, ROSE
from mappings.contracts import WriteContext
from mappings.fhir import PDSM_FORMAT
from schemas.actors import Organization, Professional
from schemas.attachment import Attachment
from schemas.coding import Coding, Identifier
from schemas.document import Document
from schemas.identity import IdentityStatus, Ins, PatientIdentity
from schemas.item import DocumentItem, Provenance

SYSTEM = f"urn:oid:{INS_TEST_OID}"
PATIENT = PatientIdentity(
    ins=Ins(matricule=ROSE.matricule, oid=INS_TEST_OID),
    status=IdentityStatus.QUALIFIED,
    birth_name=ROSE.birth_name,
    birth_given_names=ROSE.birth_given_names,
    birth_date="1938-05-12",
)
AUTHOR = Professional(
    family_name="TESTEUR",
    given_name="CAMILLE",
    identifiers=(Identifier(system="1.2.250.1.71.4.2.1", value="899990000012", type="IDNPS"),),
)
PLACE = Organization(name="CABINET TEST", identifiers=(Identifier(value="990000017", type="FINEG"),))
OID = "2.999.7."


def document(number: int = 1, content: bytes | None = None, **changes: Any) -> Document:
    data = content if content is not None else b"%PDF-1.4 TESTROSE " + str(number).encode()
    values: dict[str, Any] = {
        "document_id": f"{OID}{number}",
        "type": Coding(system="http://loinc.org", code="11488-4", display="CR ou fiche de consultation"),
        "category": Coding(system="1.2.250.1.213.1.1.4.1", code="10", display="Compte rendu"),
        "format": Coding(system="1.3.6.1.4.1.19376.1.2.3", code="urn:ihe:iti:xds-sd:pdf:2008"),
        "title": "Compte rendu",
        "created_at": "2026-03-05T08:10:00+01:00",
        "period_start": "2026-03-05T08:00:00+01:00",
        "author": AUTHOR,
        "author_organization": PLACE,
        "custodian": PLACE,
        "practice_setting": Coding(system="1.2.250.1.213.1.1.4.9", code="AMBULATOIRE"),
        "facility_type": Coding(system="1.2.250.1.71.4.2.4", code="SA07"),
        "confidentiality": (Coding(system="http://terminology.hl7.org/CodeSystem/v3-Confidentiality", code="N"),),
        "attachments": (
            Attachment(media_type="application/pdf", title="Compte rendu", data=base64.b64encode(data).decode()),
        ),
    }
    return Document(**{**values, **changes})


def item(number: int = 1, *, patient: PatientIdentity = PATIENT, **changes: Any) -> DocumentItem:
    return DocumentItem(
        id=str(number),
        patient=patient,
        sender=PLACE,
        author=AUTHOR,
        content=document(number, **changes),
        source=Provenance(format="test", where="here"),
    )


def written(given: DocumentItem, **options: str) -> bytes:
    context = WriteContext(now=datetime(2026, 3, 5, 9, 0, tzinfo=UTC), identity=f"D{given.id}", options=options)
    return PDSM_FORMAT.write(given, context).content


def parcel(given: DocumentItem, attempt: int = 1, *, insisted: bool = False, **options: str) -> Parcel:
    content = written(given, **options)
    return Parcel(1, f"D{given.id}", content, "application/fhir+json", "d.json", attempt, insisted=insisted)
