"""The header of a document to its metadata."""

from __future__ import annotations

import base64

import pytest
from cda_documents import DOCTOR, LABORATORY, codes, document, read_document, reading, unread

from mappings.cda import is_cda, read_header
from mappings.contracts import ReadContext
from schemas.coding import LOINC, Coding, Identifier
from schemas.document import Document, DocumentOperation, Participant
from schemas.item import DocumentItem

SERVICE = (
    "<documentationOf><serviceEvent>"
    '<code code="18719-5" displayName="Biochimie" codeSystem="2.16.840.1.113883.6.1"/>'
    '<lab:statusCode code="completed"/>'
    '<effectiveTime><low value="20250310090000+0100"/><high value="20250310112500+0100"/></effectiveTime>'
    f"<performer><assignedEntity>{DOCTOR}<representedOrganization>{LABORATORY}"
    '<standardIndustryClassCode code="AMBULATOIRE" displayName="Ambulatoire" codeSystem="1.2.250.1.213.1.1.4.9"/>'
    "</representedOrganization></assignedEntity></performer></serviceEvent></documentationOf>"
    '<documentationOf><serviceEvent><code code="X" codeSystem="1.2.3.77"/></serviceEvent></documentationOf>'
)
ENCOUNTER = (
    '<componentOf><encompassingEncounter><id root="1.2.3.7" extension="VENUE-1"/>'
    '<code code="AMB" displayName="Ambulatoire" codeSystem="2.16.840.1.113883.5.4"/>'
    '<effectiveTime><low value="20250310083000+0100"/></effectiveTime>'
    f"<responsibleParty><assignedEntity>{DOCTOR}</assignedEntity></responsibleParty>"
    f'<encounterParticipant typeCode="ATND"><assignedEntity>{DOCTOR}</assignedEntity></encounterParticipant>'
    '<location><healthCareFacility><code code="SA25" displayName="LBM" codeSystem="1.2.250.1.71.4.2.4"/>'
    "<location><name>LBM FICTIF</name><addr><city>VILLE-TEST</city></addr></location></healthCareFacility></location>"
    "</encompassingEncounter></componentOf>"
)


def participant(kind: str, document: Document) -> Participant:
    (only,) = [one for one in document.participants if one.kind == kind]
    return only


def test_identity_and_versions() -> None:
    found = read_document(document())
    assert (found.document_id, found.set_id, found.version) == ("1.2.3.9^DOC-1", "1.2.3.8^SET-1", 2)
    assert found.operation is DocumentOperation.CREATE
    assert found.type == Coding(system=LOINC, code="11490-0", display="Lettre")
    assert found.format is not None
    assert found.format.code == "urn:asip:ci-sis:ldl-ses:2017"
    assert (found.title, found.language, found.created_at) == ("Lettre fictive", "fr-FR", "2025-03-10T11:30:00+01:00")
    (level,) = found.confidentiality
    assert (level.code, level.system) == ("N", "http://terminology.hl7.org/CodeSystem/v3-Confidentiality")


def test_a_new_version_replaces_one() -> None:
    parent = (
        '<relatedDocument typeCode="RPLC"><parentDocument><id root="1.2.3.9" extension="DOC-0"/>'
        "</parentDocument></relatedDocument>"
    )
    result = reading(document(others=parent))
    (item,) = result.items
    assert isinstance(item, DocumentItem)
    assert item.content.replaces_id == item.replaces == "1.2.3.9^DOC-0"
    assert item.content.operation is DocumentOperation.REPLACE
    assert unread(result) == {}


def test_a_transformation_is_no_replacement() -> None:
    parent = '<relatedDocument typeCode="XFRM"><parentDocument><id root="1.2.3.9"/></parentDocument></relatedDocument>'
    result = reading(document(others=parent))
    assert result.items[0].replaces is None
    assert unread(result) == {"relatedDocument": "1.2.3.9"}


def test_the_document_itself_comes_first_byte_for_byte() -> None:
    content = (
        b'<?xml version="1.0"?>\n<?xml-stylesheet href="http://exemple.invalid/a.xsl"?>\n'
        + document()
        + b"\n<!-- end -->\n"
    )
    whole = read_document(content).attachments[0]
    assert whole.media_type == "text/xml"
    assert whole.data is not None
    assert base64.b64decode(whole.data) == content
    assert whole.size == len(content)


def test_author_organization_and_sender() -> None:
    result = reading(document())
    (item,) = result.items
    assert isinstance(item, DocumentItem)
    author = item.content.author
    assert author is not None
    assert author == item.author
    assert author.identifiers == (Identifier(system="urn:oid:1.2.250.1.71.4.2.1", value="99900000001", type="RPPS"),)
    assert (author.family_name, author.given_name, author.civility) == ("BIOLOGISTE-FICTIF", "TEST", "MME DR")
    assert author.specialty is not None
    assert author.specialty.code == "G15_10/SM03"
    assert item.sender == item.content.custodian
    assert item.sender is not None
    assert item.sender.identifiers[0] == Identifier(
        system="urn:oid:1.2.250.1.71.4.2.2", value="990000001", type="FINEG"
    )


def test_a_patients_own_document_is_sent_by_its_author() -> None:
    host = (
        "<custodian><assignedCustodian><representedCustodianOrganization>"
        '<id root="1.2.250.1.213.4.1" extension="1"/><name>HEBERGEUR</name>'
        "</representedCustodianOrganization></assignedCustodian></custodian>"
    )
    (item,) = reading(document(custodian=host)).items
    assert item.sender is not None
    assert item.sender.name == "LBM FICTIF"


def test_a_device_and_a_second_author_with_another_function() -> None:
    device = (
        '<author><time value="20250310"/><assignedAuthor><id root="1.2.3" extension="9"/><assignedAuthoringDevice>'
        "<manufacturerModelName>MODELE</manufacturerModelName><softwareName>LOGICIEL</softwareName>"
        "</assignedAuthoringDevice></assignedAuthor></author>"
    )
    second = (
        '<author><functionCode code="PCP" displayName="Médecin traitant" codeSystem="2.16.840.1.113883.5.88"/>'
        f'<time value="20250310113000+0100"/><assignedAuthor>{DOCTOR}</assignedAuthor></author>'
    )
    found = read_document(document(author=device + second))
    assert found.author is not None
    assert found.author.name == "MODELE LOGICIEL"
    assert [one.family_name for one in found.other_authors] == ["BIOLOGISTE-FICTIF"]
    roles = [(one.function.code if one.function else None, one.at) for one in found.participants]
    assert roles == [(None, "2025-03-10"), ("PCP", None)]


def test_acts_performer_setting_and_status() -> None:
    found = read_document(document(others=SERVICE))
    assert [one.code for one in found.event_codes] == ["18719-5", "X"]
    assert (found.period_start, found.period_end) == ("2025-03-10T09:00:00+01:00", "2025-03-10T11:25:00+01:00")
    assert found.performer is not None
    assert found.performer.family_name == "BIOLOGISTE-FICTIF"
    assert found.performer_organization is not None
    assert found.performer_organization.name == "LBM FICTIF"
    assert found.practice_setting is not None
    assert found.practice_setting.code == "AMBULATOIRE"
    assert found.status == "final"


def test_encounter() -> None:
    result = reading(document(others=ENCOUNTER))
    (item,) = result.items
    assert isinstance(item, DocumentItem)
    found = item.content
    assert found.visit == Identifier(system="urn:oid:1.2.3.7", value="VENUE-1", type="VN")
    assert found.encounter_type is not None
    assert found.encounter_type.code == "AMB"
    assert found.facility_type is not None
    assert found.facility_type.code == "SA25"
    place = participant("location", found)
    assert place.at == "2025-03-10T08:30:00+01:00"
    assert place.organization is not None
    assert place.organization.name == "LBM FICTIF"
    assert participant("responsibleParty", found).professional is not None
    attending = participant("encounterParticipant", found)
    assert attending.function == Coding(code="ATND")
    assert unread(result) == {}


def test_people_around_the_document() -> None:
    people = (
        f'<dataEnterer><time value="20250310"/><assignedEntity>{DOCTOR}</assignedEntity></dataEnterer>'
        '<informant><relatedEntity classCode="NOK">'
        '<code code="SIS" displayName="Soeur" codeSystem="2.16.840.1.113883.5.111"/>'
        '<telecom value="tel:0600000000" use="MC"/><relatedPerson><name><family>PROCHE-FICTIVE'
        "</family></name></relatedPerson>"
        "</relatedEntity></informant>"
        '<informationRecipient typeCode="PRCP"><intendedRecipient>'
        '<id root="1.2.250.1.71.4.2.1" extension="899900000002"/>'
        '<telecom value="mailto:dest@exemple.mssante.fr"/><informationRecipient><name><family>DEST</family></name>'
        f"</informationRecipient><receivedOrganization>{LABORATORY}</receivedOrganization>"
        "</intendedRecipient></informationRecipient>"
        '<legalAuthenticator><time value="20250310120000+0100"/><signatureCode code="S"/>'
        f"<assignedEntity>{DOCTOR}</assignedEntity></legalAuthenticator>"
        '<authenticator><time value="20250310114000+0100"/><signatureCode code="S"/>'
        f"<assignedEntity>{DOCTOR}</assignedEntity></authenticator>"
        '<participant typeCode="INF">'
        '<functionCode code="PCP" codeSystem="2.16.840.1.113883.5.88"/><time xsi:type="IVL_TS">'
        '<high value="20250301"/></time>'
        '<associatedEntity classCode="PROV"><id root="1.2.250.1.71.4.2.1" extension="899900000003"/>'
        "<associatedPerson><name><family>TRAITANT-FICTIF</family></name></associatedPerson>"
        "</associatedEntity></participant>"
        '<inFulfillmentOf><order><id root="1.2.3.6" extension="PRESC-1"/></order></inFulfillmentOf>'
    )
    result = reading(document(others=people))
    (item,) = result.items
    assert isinstance(item, DocumentItem)
    found = item.content
    relative = participant("informant", found)
    assert relative.function is not None
    assert relative.function.code == "NOK"
    assert relative.professional is not None
    assert relative.professional.specialty is not None
    assert relative.professional.specialty.display == "Soeur"
    assert relative.professional.telecoms[0].kind == "mobile"
    (to,) = item.recipients
    assert to.professional is not None
    assert (to.professional.telecoms[0].kind, to.professional.telecoms[0].value) == (
        "mssante",
        "dest@exemple.mssante.fr",
    )
    assert to.role == "PRCP"
    assert found.legal_authenticator is not None
    assert participant("legalAuthenticator", found).at == "2025-03-10T12:00:00+01:00"
    assert participant("authenticator", found).at == "2025-03-10T11:40:00+01:00"
    assert participant("dataEnterer", found).at == "2025-03-10"
    treating = participant("INF", found)
    assert (treating.at, treating.function and treating.function.code) == ("2025-03-01", "PCP")
    assert item.patient.general_practitioner == treating.professional
    assert found.order_id == "PRESC-1"
    assert unread(result) == {}


def test_what_is_not_used_is_listed_once_at_its_largest_part() -> None:
    guardian = "<guardian><guardianPerson><name><family>TUTEUR-FICTIF</family></name></guardianPerson></guardian>"
    odd = '<authorization><consent><code code="C1"/><statusCode code="completed"/></consent></authorization>'
    content = document(others=odd).replace(b"<birthplace>", guardian.encode() + b"<birthplace>")
    assert unread(reading(content)) == {
        "recordTarget/patientRole/patient/guardian": "TUTEUR-FICTIF",
        "authorization": "C1 completed",
    }


def test_what_differs_in_a_part_that_is_used_is_listed_too() -> None:
    content = document(
        code='<code code="11490-0" codeSystem="2.16.840.1.113883.6.1"><qualifier><value code="Q"/></qualifier></code>'
    )
    assert unread(reading(content)) == {"code/qualifier": "Q"}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("202503101130+0100", "2025-03-10T11:30+01:00"),
        ("20250310113000", "2025-03-10T11:30:00+01:00"),
        ("20250710113000", "2025-07-10T11:30:00+02:00"),
        ("20250310113000.5+0100", "2025-03-10T11:30:00.5+01:00"),
        ("20250310113000+100", "2025-03-10T11:30:00+01:00"),
        ("20250310", "2025-03-10"),
        ("2025", "2025"),
    ],
)
def test_times_keep_their_precision(value: str, expected: str) -> None:
    assert read_document(document(effectiveTime=f'<effectiveTime value="{value}"/>')).created_at == expected


def test_a_time_that_is_none_is_said_and_left_unread() -> None:
    result = reading(document(effectiveTime='<effectiveTime value="hier"/>'))
    assert codes(result) == ["cda.time.invalid"]
    assert unread(result) == {"effectiveTime": "hier"}


def test_uuid_roots_and_missing_names() -> None:
    root = "8D5E778C-E155-4685-95C6-5FF65A362964"
    found = read_document(
        document(id=f'<id root="{root}"/>', code='<code code="11490-0" codeSystem="2.16.840.1.113883.6.1"/>')
    )
    assert found.document_id == root
    assert found.type == Coding(system=LOINC, code="11490-0")


def test_a_wrapper_is_looked_into() -> None:
    inside = document().decode()
    content = (
        '<xsl:stylesheet xmlns:xsl="http://www.w3.org/1999/XSL/Transform" version="1.0">'
        f'<xsl:template match="/"/>{inside}</xsl:stylesheet>'
    ).encode()
    result = reading(content)
    assert [one.code for one in result.findings] == ["cda.wrapper"]
    assert is_cda(content)
    first = result.items[0]
    assert isinstance(first, DocumentItem)
    assert base64.b64decode(first.content.attachments[0].data or "") == content


def test_read_header_gives_patient_and_metadata_alone() -> None:
    body = (
        '<component><nonXMLBody><text mediaType="application/pdf" representation="B64">!!!'
        "</text></nonXMLBody></component>"
    )
    found = read_header(document(component=body), ReadContext())
    assert found.patient.birth_name == "TESTROSE"
    assert found.document.document_id == "1.2.3.9^DOC-1"
    assert found.document.attachments == ()
    assert found.findings == ()
