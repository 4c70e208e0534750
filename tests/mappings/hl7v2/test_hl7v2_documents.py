from __future__ import annotations

import base64

import pytest
from hl7v2_messages import PID, cda, codes, document, reading, report

from schemas.coding import Coding
from schemas.document import DocumentOperation, Wishes

CDA = base64.b64encode(cda()).decode()
OBR = "OBR|1|||11502-2^CR d'examens biologiques^LN"
SENDER = (
    "PRT||UC||SB^Send by^participation|899700000017^DOCTEUR^FICTIF^^^^^^ASIP-SANTE- PS&1.2.250.1.71.4.2.1&ISO^D^^^RPPS"
    "|||CH-FICTIF^^^^^ASIP-SANTE-ST&1.2.250.1.71.4.2.2&ISO^FINEG^^^1990000002"
)


def file(status: str = "F", number: int = 1, data: str = CDA) -> str:
    return f"OBX|{number}|ED|11502-2^CR d'examens biologiques^LN||^TEXT^XML^Base64^{data}||||||{status}"


def meta(code: str, answer: str, system: str = "^MetaDMPMSS") -> str:
    return f"OBX|9|CE|{code}^libellé{system}||{answer}||||||F"


def test_document_with_its_wishes_recipients_and_mail() -> None:
    found = reading(
        PID,
        "PV1|1|I|||||||||||||||||V-5^^^CH^VN",
        "ORC|NW",
        OBR,
        file(),
        SENDER,
        "PRT||UC||RCT^^HL70912|899700000025^GENERALISTE^FICTIVE^^^^^^1.2.250.1.71.4.2.1^D^^^IDNPS||||||||||^NET^X.400^g@medecin.mssante.fr",
        "PRT||UC||RCT|||||||||||^^X.400^199017599999948@patient.mssante.fr",
        "PRT||UC||RCT||||Urologie^^^^^990000002^UF^^^3435|||||||^^X.400^uro@ch.mssante.fr",
        "PRT||UC||REPLY|||||||||||^^X.400^secretariat@ch.mssante.fr",
        meta("MASQUE_PS", "N^^expandedYes-NoIndicator"),
        meta("INVISIBLE_PATIENT", "N"),
        meta(" DESTDMP", "Y^^HL70136", ""),
        meta("DESTMSSANTEPAT", "Y"),
        "NTE|1|||FIN",
        meta("INVISIBLE_REPRESENTANTS_LEGAUX", "Y"),
        meta("MODIF_CONFIDENTIALITYCODE", "N"),
        meta("ACK_LECTURE", "Y"),
        f"OBX|12|ED|CORPSMAIL_PS^x^MetaDMPMSS||^TEXT^^Base64^{base64.b64encode('à lire'.encode()).decode()}||||||F",
        f"OBX|13|ED|CORPSMAIL_PATIENT^x^MetaDMPMSS||^TEXT^^Base64^{base64.b64encode('été'.encode('cp1252')).decode()}||||||F",
    )
    item = document(found)
    content = item.content
    assert content.wishes == Wishes(
        dmp=True,
        mssante_patient=True,
        masked_to_professionals=False,
        hidden_from_patient=False,
        hidden_from_representatives=True,
        update_visibility=False,
        reading_receipt=True,
        patient_may_not_reply=True,
    )
    assert (content.document_id, content.operation, content.replaces_id) == (
        "1.2.3^D-1",
        DocumentOperation.CREATE,
        None,
    )
    assert content.type is not None
    assert (content.type.code, content.title) == ("11502-2", "Document fictif")
    assert item.author is not None
    assert item.author.identifiers[0].value == "99700000017"
    assert content.author_organization is not None
    assert content.author_organization.identifiers[0].value == "990000002"
    professional, patient, unit = content.recipients
    assert professional.professional is not None
    assert professional.professional.identifiers[0].value == "99700000025"
    assert [(one.kind, one.value) for one in professional.professional.telecoms] == [
        ("mssante", "g@medecin.mssante.fr")
    ]
    assert patient.professional is not None
    assert patient.professional.telecoms[0].value == "199017599999948@patient.mssante.fr"
    assert unit.organization is not None
    assert unit.organization.identifiers[0].system == "urn:x-finess:990000002"
    assert content.reply_to == "secretariat@ch.mssante.fr"
    assert (content.mail_body_professionals, content.mail_body_patient) == ("à lire", "été")
    assert content.visit is not None
    assert [one.media_type for one in content.attachments] == ["text/xml", "application/pdf"]
    assert content.encounter_type == Coding(system="http://terminology.hl7.org/CodeSystem/v2-0004", code="I")
    assert item.recipients == content.recipients
    assert codes(found) == []
    assert found.unread == ()


@pytest.mark.parametrize(
    ("control", "status", "operation", "replaces"),
    [
        ("NW", "F", DocumentOperation.CREATE, None),
        ("RO", "C", DocumentOperation.REPLACE, "1.2.3^D-0"),
        ("CA", "D", DocumentOperation.DELETE, "1.2.3^D-1"),
        ("SC", "D", DocumentOperation.DELETE, "1.2.3^D-1"),
    ],
)
def test_operation_is_read_and_names_what_it_replaces(
    control: str, status: str, operation: DocumentOperation, replaces: str | None
) -> None:
    found = reading(PID, f"ORC|{control}", OBR, file(status), meta("DESTDMP", "Y"))
    assert document(found).content.operation is operation
    assert document(found).replaces == replaces
    assert codes(found) == []


def test_operation_said_differently_is_an_error() -> None:
    found = reading(PID, "ORC|NW", OBR, file("D"), meta("DESTDMP", "Y"))
    assert [(one.code, one.where) for one in found.findings] == [("hl7v2.document.operation", "ORC-1, OBX-11")]
    assert document(found).content.operation is DocumentOperation.DELETE


def mdm(
    event: str, *lines: str, txa: str = "TXA|1|11502-2|TEXT|202601050930||||||||D-1^^1.2.3^ISO|D-0^^1.2.3^ISO||||AU|R"
) -> tuple[str, ...]:
    return ("EVN||20260105", PID, "PV1|1|N", f"ORC|{event}", OBR, txa, *lines)


def test_document_of_an_mdm_takes_its_ids_from_txa() -> None:
    found = reading(*mdm("RO", file("C"), SENDER), kind="MDM^T10^MDM_T02")
    content = document(found).content
    assert (content.document_id, content.replaces_id, content.status) == ("1.2.3^D-1", "1.2.3^D-0", "final")
    assert content.created_at == "2026-01-05T09:00:00+01:00"
    assert document(found).occurred_at == content.created_at
    assert [one.code for one in content.confidentiality] == ["N", "R"]
    assert document(found).replaces == "1.2.3^D-0"
    assert codes(found) == []
    assert [one.where for one in found.unread] == ["TXA-4"], "the CDA's own date decides"


def test_extension_and_root_of_a_document_id() -> None:
    txa = "TXA|1|11502-2|TEXT|||||||||DOC-9^^1.2.3^ISO"
    found = reading(*mdm("NW", file(), txa=txa), kind="MDM^T02")
    assert document(found).content.document_id == "1.2.3^DOC-9"
    assert codes(found) == ["hl7v2.document.id"], "the CDA has another one"


def test_a_second_component_that_is_no_oid_is_not_part_of_the_id() -> None:
    txa = "TXA|1|11502-2|TEXT|||||||||1.2.3.4^Organisation-Y"
    data = base64.b64encode(cda(number='<id root="1.2.3.4"/>')).decode()
    found = reading(*mdm("NW", file(data=data), txa=txa), kind="MDM^T02")
    assert document(found).content.document_id == "1.2.3.4"
    assert codes(found) == []


@pytest.mark.parametrize(
    ("event", "operation"),
    [
        ("T02", DocumentOperation.CREATE),
        ("T04", DocumentOperation.REPLACE),
        ("T06", DocumentOperation.CREATE),
        ("T08", DocumentOperation.REPLACE),
        ("T10", DocumentOperation.REPLACE),
        ("T11", DocumentOperation.DELETE),
    ],
)
def test_events_outside_the_french_profile_have_their_base_meaning(event: str, operation: DocumentOperation) -> None:
    found = reading(*mdm("RE", file()), kind=f"MDM^{event}")
    assert document(found).content.operation is operation
    assert codes(found) == []


def test_deletion_of_the_french_profile_is_t04() -> None:
    found = reading(*mdm("CA", file("D"), meta("DESTDMP", "Y")), kind="MDM^T04")
    assert document(found).content.operation is DocumentOperation.DELETE
    assert codes(found) == []


def test_document_typed_in_lines_is_a_text_file() -> None:
    found = reading(*mdm("NW", "OBX|1|TX|X||ligne 1||||||F", "OBX|2|TX|X||ligne 2~suite||||||F"), kind="MDM^T02")
    (attachment,) = document(found).content.attachments
    assert attachment.data is not None
    assert (attachment.media_type, base64.b64decode(attachment.data)) == ("text/plain", b"ligne 1\nligne 2\nsuite")


def test_document_without_content_is_an_error() -> None:
    found = reading(*mdm("NW", meta("DESTDMP", "Y")), kind="MDM^T02")
    assert codes(found) == ["hl7v2.document.no_content"]


def test_unknown_wish_is_said_and_left() -> None:
    found = reading(
        PID, "ORC|NW", OBR, file(), meta("DESTDMP", "peut-être"), meta("NOUVEAU", "Y"), meta("COMP_LOT", "1")
    )
    assert codes(found) == ["hl7v2.document.wish", "hl7v2.document.wish"]
    assert document(found).content.wishes is None
    assert {"OBX[2]-5", "OBX[3]-5", "OBX[4]-5"} <= {one.where for one in found.unread}


def test_two_forms_of_the_document_are_two_attachments_of_one() -> None:
    found = reading(
        PID, "ORC|NW", OBR, file(), file(number=2, data=base64.b64encode(b"<a/>").decode()), meta("DESTDMP", "Y")
    )
    assert [one.media_type for one in document(found).content.attachments] == [
        "text/xml",
        "application/pdf",
        "text/xml",
    ]
    assert document(found).content.document_id == "1.2.3^D-1"


def test_results_and_a_document_in_one_message_are_both_read() -> None:
    found = reading(PID, "OBR|1||F-1|A^A^L", "OBX|1|NM|X^X^L||5||||||F", "ORC|NW", OBR, file(), meta("DESTDMP", "Y"))
    assert [item.kind for item in found.items] == ["lab_report", "document"]
    assert report(found).content.report_id == "F-1"
    assert found.items[1].source.where == "MSH-10=CTRL-1, OBR[2]"
