"""IHE_XDM.ZIP by hand, not with the writer under test: a small CDA, its metadata, and archives around them.

The people in them do not exist.
"""

from __future__ import annotations

import base64
import io
import zipfile
from hashlib import sha1

INS = "279035121518989"
INS_OID = "1.2.250.1.213.1.4.10"
PDF = b"%PDF-1.4\n% TESTROSE\n%%EOF\n"
FOLDER = "IHE_XDM/SUBSET01/"
_DOCTOR = "899700000017^TESTEUR^HELENE^^^^^^&amp;1.2.250.1.71.4.2.1&amp;ISO^D^^^IDNPS"


def cda(
    document_id: str = "1.2.250.1.999.67.1",
    *,
    name: str = "FICTIVE-ROSE",
    ins: str | None = INS,
    replaces: str | None = None,
    extra: str = "",
) -> bytes:
    """A level 1 document of MIREILLE FICTIVE-ROSE with a PDF body."""
    number = f'<id root="{INS_OID}" extension="{ins}"/>' if ins else ""
    parent = (
        f'<relatedDocument typeCode="RPLC"><parentDocument><id root="{replaces}"/></parentDocument></relatedDocument>'
        if replaces
        else ""
    )
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<ClinicalDocument xmlns="urn:hl7-org:v3">
<realmCode code="FR"/><typeId root="2.16.840.1.113883.1.3" extension="POCD_HD000040"/>
<templateId root="2.16.840.1.113883.2.8.2.1"/><templateId root="1.2.250.1.213.1.1.1.1"/>
<templateId root="1.3.6.1.4.1.19376.1.2.20"/>
<id root="{document_id}"/>
<code code="11490-0" codeSystem="2.16.840.1.113883.6.1" displayName="Lettre de liaison"/>
<title>Lettre de liaison à la sortie</title><effectiveTime value="20260305093000+0100"/>
<confidentialityCode code="N" displayName="Normal" codeSystem="2.16.840.1.113883.5.25"/>
<languageCode code="fr-FR"/><setId root="1.2.250.1.999.67.100"/><versionNumber value="1"/>
<recordTarget><patientRole>{number}<id root="1.2.250.1.999.67.2" extension="IPP-TEST-1"/>
<patient><name><family qualifier="BR">{name}</family><given>MIREILLE TESTA</given>
<given qualifier="BR">MIREILLE</given></name>
<administrativeGenderCode code="F" codeSystem="2.16.840.1.113883.5.1"/><birthTime value="19790305"/>
<birthplace><place><addr><county>35238</county></addr></place></birthplace></patient></patientRole></recordTarget>
<author><time value="20260305093000+0100"/><assignedAuthor>
<id root="1.2.250.1.71.4.2.1" extension="899700000017"/>
<assignedPerson><name><family>TESTEUR</family><given>HELENE</given></name></assignedPerson>
<representedOrganization><id root="1.2.250.1.71.4.2.2" extension="1990000017"/><name>HOPITAL FICTIF</name>
</representedOrganization></assignedAuthor></author>
<custodian><assignedCustodian><representedCustodianOrganization>
<id root="1.2.250.1.71.4.2.2" extension="1990000017"/><name>HOPITAL FICTIF</name>
</representedCustodianOrganization></assignedCustodian></custodian>
<legalAuthenticator><time value="20260305093000+0100"/><signatureCode code="S"/><assignedEntity>
<id root="1.2.250.1.71.4.2.1" extension="899700000017"/>
<assignedPerson><name><family>TESTEUR</family><given>HELENE</given></name></assignedPerson>
</assignedEntity></legalAuthenticator>
<documentationOf><serviceEvent><effectiveTime><low value="20260302080000+0100"/><high value="20260305093000+0100"/>
</effectiveTime><performer typeCode="PRF"><assignedEntity><id root="1.2.250.1.71.4.2.1" extension="899700000017"/>
<representedOrganization><id root="1.2.250.1.71.4.2.2" extension="1990000017"/>
<standardIndustryClassCode code="ETABLISSEMENT" codeSystem="1.2.250.1.213.1.1.4.9"
 displayName="Etablissement de santé"/></representedOrganization></assignedEntity></performer></serviceEvent>
</documentationOf>{parent}
<componentOf><encompassingEncounter><code code="IMP" codeSystem="2.16.840.1.113883.5.4" displayName="Hospitalisation"/>
<effectiveTime><low value="20260302080000+0100"/></effectiveTime>
<location><healthCareFacility><code code="SA01" codeSystem="1.2.250.1.71.4.2.4" displayName="Etablissement public"/>
</healthCareFacility></location></encompassingEncounter></componentOf>
<component><nonXMLBody><text mediaType="application/pdf" representation="B64">{base64.b64encode(PDF).decode()}</text>
</nonXMLBody></component>{extra}
</ClinicalDocument>
""".encode()


def slot(name: str, *values: str) -> str:
    listed = "".join(f"<Value>{value}</Value>" for value in values)
    return f'<Slot name="{name}"><ValueList>{listed}</ValueList></Slot>'


def classification(scheme: str, code: str, system: str, label: str = "") -> str:
    return (
        f'<Classification id="c" classificationScheme="{scheme}" classifiedObject="x" nodeRepresentation="{code}">'
        f'{slot("codingScheme", system)}<Name><LocalizedString value="{label}"/></Name></Classification>'
    )


def identifier(scheme: str, value: str, name: str) -> str:
    return (
        f'<ExternalIdentifier id="e" registryObject="x" identificationScheme="{scheme}" value="{value}">'
        f'<Name><LocalizedString value="{name}"/></Name></ExternalIdentifier>'
    )


PATIENT = f"{INS}^^^&amp;{INS_OID}&amp;ISO^NH"
CLASS = "urn:uuid:41a5887f-8865-4c09-adf7-e362475b143a"
TYPE = "urn:uuid:f0306f51-975f-434e-a61c-c59651d33983"
CONFIDENTIALITY = "urn:uuid:f4f85eac-e6cb-4883-b524-f2705394840f"
PATIENT_ID = "urn:uuid:58a6f841-87b3-4a3e-92fd-a8ffeff98427"
UNIQUE_ID = "urn:uuid:2e82c1f6-a085-4c72-9da3-8640a32e42ab"


def entry(
    content: bytes | None,
    *,
    symbol: str = "Document01",
    uri: str | None = "DOC00001.XML",
    unique_id: str = "1.2.250.1.999.67.1",
    patient: str = PATIENT,
    name: str = "FICTIVE-ROSE",
    mime: str = "text/xml",
    slots: str = "",
    inside: str = "",
    hashed: str | None = None,
    size: int | None = None,
) -> str:
    """An ExtrinsicObject; `hashed` and `size` stand for the right ones when they are given."""
    digest = hashed if hashed is not None else sha1(content or b"", usedforsecurity=False).hexdigest()
    length = size if size is not None else len(content or b"")
    return (
        f'<ExtrinsicObject id="{symbol}" mimeType="{mime}" '
        'objectType="urn:uuid:7edca82f-054d-47f2-a032-9b2a5b5186c1">'
        + slot("creationTime", "20260305083000")
        + (slot("hash", digest) if digest else "")
        + (slot("size", str(length)) if length >= 0 else "")
        + (slot("URI", uri) if uri else "")
        + slot("serviceStartTime", "20260302070000")
        + slot("legalAuthenticator", _DOCTOR)
        + slot("sourcePatientId", "IPP-TEST-1^^^&amp;1.2.250.1.999.67.2&amp;ISO^PI")
        + slot("sourcePatientInfo", f"PID-5|{name}^MIREILLE^^^^^L", "PID-7|19790305", "PID-8|F")
        + slots
        + '<Name><LocalizedString xml:lang="fr-FR" value="Lettre de liaison à la sortie"/></Name>'
        + classification(CLASS, "10", "1.2.250.1.213.1.1.4.1", "Compte rendu")
        + classification(TYPE, "11490-0", "2.16.840.1.113883.6.1", "Lettre de liaison")
        + classification(CONFIDENTIALITY, "N", "2.16.840.1.113883.5.25", "Normal")
        + inside
        + (identifier(PATIENT_ID, patient, "XDSDocumentEntry.patientId") if patient else "")
        + identifier(UNIQUE_ID, unique_id, "XDSDocumentEntry.uniqueId")
        + "</ExtrinsicObject>"
    )


def metadata(*entries: str, lot: str = "", associations: str = "", lot_id: str = "1.2.250.1.999.67.900") -> bytes:
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<lcm:SubmitObjectsRequest xmlns:lcm="urn:oasis:names:tc:ebxml-regrep:xsd:lcm:3.0">'
        '<RegistryObjectList xmlns="urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0"><RegistryPackage id="Lot01">'
        + slot("submissionTime", "20260305084500")
        + lot
        + identifier("urn:uuid:6b5aea1a-874d-4603-a4bc-96a0a7b38446", PATIENT, "XDSSubmissionSet.patientId")
        + identifier("urn:uuid:96fdda7c-d067-4183-912e-bf5ee74998a8", lot_id, "XDSSubmissionSet.uniqueId")
        + '</RegistryPackage><Classification id="n" classifiedObject="Lot01" '
        'classificationNode="urn:uuid:a54d6aa5-d40d-43f9-88c5-b4633d873bdd"/>'
        + "".join(entries)
        + associations
        + "</RegistryObjectList></lcm:SubmitObjectsRequest>"
    ).encode()


def archive(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A ZIP of exactly these entries, in this order."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as opened:
        for name, content in files.items():
            opened.writestr(zipfile.ZipInfo(name, (2026, 3, 5, 9, 0, 0)), content, method)
    return buffer.getvalue()


def xdm(*, document: bytes | None = None, listed: str | None = None, **more: bytes) -> bytes:
    """An ordinary archive of one document; `more` are further files of the submission set by name (`_` for `.`)."""
    content = document if document is not None else cda()
    files = {
        "INDEX.HTM": b"<html/>",
        "README.TXT": b"TESTROSE",
        f"{FOLDER}METADATA.XML": metadata(listed if listed is not None else entry(content)),
        f"{FOLDER}DOC00001.XML": content,
    }
    return archive(files | {FOLDER + name.replace("_", "."): value for name, value in more.items()})
