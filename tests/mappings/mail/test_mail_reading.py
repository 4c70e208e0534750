from __future__ import annotations

import base64
from datetime import UTC, datetime

import pytest
from filled_items import REPORT_ITEM
from hprim_files import coded, medecin, oru, with_line
from mails import (
    DOCTOR,
    MATRICULE,
    PATIENT_ADDRESS,
    SENDER,
    attached,
    codes,
    documents,
    files,
    forwarded,
    mail,
    multipart,
    notes,
    read,
    text,
)
from xdm_archives import PDF, archive, cda, entry, metadata, xdm

from mappings.contracts import WriteContext
from mappings.mail import FORMAT
from mappings.mail.wording import says_something
from mappings.registry import detect, format_named
from schemas.identity import PatientIdentity
from schemas.item import LabReportItem

XDM_SUBJECT = "XDM/1.0/DDM+Lettre de liaison FICTIVE-ROSE MIREILLE 05/03/1979"
ENCLOSED = "Bonjour,\n\nVeuillez trouver ci-joint un compte rendu.\n\nCordialement,\nLaboratoire fictif"
RES = "RES|HB|Hémoglobine|HB|A|12.1|g/dl|12|16||N|F|05/06/2024|"
OTHER_PDF = PDF + b"% autre\n"


def test_an_archive_is_its_document_and_says_nothing_beside() -> None:
    reading = read(mail(text(ENCLOSED), attached(xdm(), "IHE_XDM.ZIP"), Subject=XDM_SUBJECT, X_MSS_CODECDA="11490-0"))
    (item,) = reading.items
    assert codes(reading) == set()
    assert documents(reading) == [item]
    assert item.source.format == "mail"
    assert item.source.where == "part 2 IHE_XDM/SUBSET01/DOC00001.XML"
    assert files(documents(reading)[0]) == [cda(), PDF]
    assert item.patient.ins is not None
    assert item.patient.ins.matricule == MATRICULE
    assert reading.control_id == "m1@labo-fictif.mssante.invalid"
    assert [one.text.split("\n")[0] for one in reading.unread] == ["Bonjour,"]


@pytest.mark.parametrize("name", ["IHE_XDM.zip", "ihe-xdm.zip", "ihe_xdm.ZIP", "envoi.zip", None])
@pytest.mark.parametrize("media_type", ["application/zip", "application/x-zip-compressed", "application/octet-stream"])
def test_an_archive_is_one_under_any_name_and_type(name: str | None, media_type: str) -> None:
    reading = read(mail(text(ENCLOSED), attached(xdm(), name, media_type)))
    assert [one.kind for one in reading.items] == ["document"]
    assert codes(reading) == set()


def test_a_document_and_its_pdf_are_one() -> None:
    same, other = attached(PDF, "copie.pdf"), attached(OTHER_PDF, "20260302_Lettre de liaison_X.pdf")
    for beside, expected in ((same, [cda(), PDF]), (other, [cda(), PDF, OTHER_PDF])):
        reading = read(mail(text(ENCLOSED), attached(xdm(), "IHE_XDM.ZIP"), beside))
        assert len(reading.items) == 1
        assert files(documents(reading)[0]) == expected
        assert codes(reading) == {"mail.twin"}


def test_of_several_documents_each_gets_the_pdf_of_its_name() -> None:
    second = cda("1.2.250.1.999.67.2").replace(b'Lettre de liaison"', b'CR de consultation"')
    listed = metadata(
        entry(cda()), entry(second, symbol="Document02", uri="DOC00002.XML", unique_id="1.2.250.1.999.67.2")
    )
    folder = "IHE_XDM/SUBSET01/"
    whole = archive({folder + "METADATA.XML": listed, folder + "DOC00001.XML": cda(), folder + "DOC00002.XML": second})
    pdfs = [
        attached(OTHER_PDF, "20260302_CR de consultation_FICTIVE-ROSE_MIREILLE.pdf"),
        attached(PDF + b"%2\n", "20260302_Lettre de liaison_FICTIVE-ROSE_MIREILLE.pdf"),
        attached(PDF + b"%3\n", "autre.pdf"),
    ]
    reading = read(mail(text(ENCLOSED), attached(whole, "IHE_XDM.ZIP"), *pdfs))
    first, later, loose = documents(reading)
    assert files(first)[-1] == PDF + b"%2\n"
    assert files(later)[-1] == OTHER_PDF
    assert files(loose) == [PDF + b"%3\n"]
    assert loose.patient == PatientIdentity(), "nothing says for certain whose a loose file is"


def test_loose_files_are_documents_of_nobody_for_certain() -> None:
    parts = [
        attached(cda(), "lettre.xml", "text/xml"),
        attached(b"\xff\xd8\xff\xe0photo", "plaie.jpg"),
        attached(b"PK\x03\x04[Content_Types].xml", "courrier.docx"),
        attached(b"texte", "BEGIN:VCARD.vcf", "text/vcard"),
    ]
    reading = read(mail(text(ENCLOSED), *parts, Subject="TESTROSE Marie 05/03/1979"))
    letter, photo, office = documents(reading)
    assert letter.patient.birth_name == "FICTIVE-ROSE"
    assert photo.patient == office.patient == PatientIdentity()
    assert [one.content.attachments[0].media_type for one in (photo, office)] == [
        "image/jpeg",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    ]
    assert (photo.content.title, photo.content.comment) == ("plaie", "TESTROSE Marie 05/03/1979")
    assert photo.sender is not None
    assert photo.sender.name == "Laboratoire fictif"
    assert "BEGIN:VCARD.vcf" in {one.text for one in reading.unread}


def test_each_hprim_file_is_a_report_of_its_own_person() -> None:
    other = coded(RES, header=with_line(2, "PATTROIS"))
    reading = read(
        mail(text(ENCLOSED), attached(coded(RES), "a.hpm"), attached(other, "b b.HPR"), attached(oru(), "c"))
    )
    reports = [one for one in reading.items if isinstance(one, LabReportItem)]
    assert [one.patient.family_name or one.patient.birth_name for one in reports][:2] == ["TESTROSE", "PATTROIS"]
    assert codes(reading) == set(), "a laboratory sends the results of several people"
    assert {one.source.where.split(" line")[0] for one in reports} >= {"part 2", "part 3"}


def test_hprim_may_be_the_body_itself_and_its_files_beside() -> None:
    reading = read(mail(text(coded(RES).decode("cp1252")), Subject="HNET.1/MSG/0000001"))
    assert [one.kind for one in reading.items] == ["lab_report"]
    assert any(one.code.startswith("hprim.") for one in reading.findings), "what its reader noticed is told"
    plain = read(mail(text("\r\n".join(["Bonjour", "à", "tous"])), Subject="HNET.1/MSG/0000001"))
    assert [one.kind for one in plain.items] == ["note"]


def test_a_file_that_an_hprim_message_names_is_part_of_its_report() -> None:
    message = oru("OBX|1|FIC|CR~~L||X~CR.PDF~PDF")
    reading = read(mail(text(ENCLOSED), attached(message, "r.hpr"), attached(PDF, "cr.pdf")))
    (report,) = reading.items
    assert isinstance(report, LabReportItem)
    assert [base64.b64decode(one.data or "") for one in report.content.attachments] == [PDF]


def test_beside_a_document_hprim_about_somebody_else_is_an_alarm() -> None:
    letter = medecin("Texte fictif", header=with_line(2, "PATTROIS"))
    reading = read(mail(text(ENCLOSED), attached(cda(), "c.xml"), attached(letter, "r.hpr")))
    assert "mail.patients.several" in codes(reading)


def test_results_in_hprim_and_as_cda_are_read_from_the_cda() -> None:
    context = WriteContext(now=datetime(2026, 3, 5, 9, 0, tzinfo=UTC), identity="R1")
    report = REPORT_ITEM.model_copy(update={"content": REPORT_ITEM.content.model_copy(update={"attachments": ()})})
    cr_bio, hprim = (format_named(name).write(report, context).content for name in ("cda", "hprim-sante"))
    reading = read(mail(text(ENCLOSED), attached(cr_bio, "cr.xml"), attached(hprim, "r.hpr")))
    assert [one.kind for one in reading.items] == ["lab_report", "document"]
    assert codes(reading) == {"mail.twin"}
    assert files(documents(reading)[0])[-1] == hprim


def test_the_same_document_twice_is_one() -> None:
    twice = read(mail(text(ENCLOSED), attached(xdm(), "IHE_XDM.ZIP"), attached(xdm(), "IHE_XDM(1).ZIP")))
    beside = read(mail(text(ENCLOSED), attached(cda(), "DOC00001.XML"), attached(xdm(), "IHE_XDM.ZIP")))
    for reading in (twice, beside):
        assert [one.kind for one in reading.items] == ["document"]
        assert codes(reading) == {"mail.twin"}


def test_a_mail_of_a_person_is_a_note() -> None:
    content = mail(
        text("Bonjour,\r\n\r\nla patiente a chuté.\r\n"),
        Subject="=?utf-8?q?Re=3A_retour_=C3=A0?= =?utf-8?b?IGRvbWljaWxl?=",
        In_Reply_To="<b@x.invalid>",
        References="<a@x.invalid>\r\n <b@x.invalid>",
        Reply_To=f"Equipe <{DOCTOR}>",
        Importance="high",
    )
    (item,) = notes(read(content))
    note = item.content
    assert note.subject == "Re: retour à domicile"
    assert note.text == "Bonjour,\n\nla patiente a chuté."
    assert (note.thread, note.in_reply_to, note.note_id) == (
        "a@x.invalid",
        "b@x.invalid",
        "m1@labo-fictif.mssante.invalid",
    )
    assert (note.sender_address, note.sender_name, note.reply_to) == (SENDER, "Laboratoire fictif", DOCTOR)
    assert (note.sent_at, note.urgent, note.closed) == ("2026-03-05T09:36:00+01:00", True, False)
    assert item.patient == PatientIdentity()
    assert item.recipients[0].professional is not None
    assert item.recipients[0].professional.telecoms[0].value == DOCTOR


def test_the_thread_of_a_mail() -> None:
    (first,) = notes(read(mail(text())))
    assert first.content.thread == first.content.note_id
    (lost,) = notes(read(mail(text(), Subject="RE : votre question")))
    assert lost.content.thread is None, "it answers something, and does not say what"


def test_the_mail_of_a_patient_names_a_number_and_no_trait() -> None:
    reading = read(mail(text(), attached(b"\xff\xd8\xff", "photo.jpg"), From=f'"Leo TESTROSE" <{PATIENT_ADDRESS}>'))
    for item in reading.items:
        assert [(one.value, one.type, one.system) for one in item.patient.identifiers] == [(MATRICULE, "INS", None)]
        assert item.patient.family_name is None
        assert item.patient.ins is None
        assert item.sender is None
    (item,) = notes(reading)
    assert item.content.sender_name == "Leo TESTROSE"


def test_the_address_of_a_patient_goes_on_with_no_document() -> None:
    """It is an INS, and nobody has said that this one may be used."""
    content = mail(text(), attached(xdm(), "IHE_XDM.ZIP"), To=f"{DOCTOR}, {PATIENT_ADDRESS}", Reply_To=PATIENT_ADDRESS)
    reading = read(content)
    for item in reading.items:
        people = [one.professional for one in item.recipients if one.professional is not None]
        assert [one.value for person in people for one in person.telecoms] == [DOCTOR]
    assert documents(reading)[0].content.reply_to is None
    assert {(one.where, one.text) for one in reading.unread} >= {("To", PATIENT_ADDRESS), ("Reply-To", PATIENT_ADDRESS)}


@pytest.mark.parametrize(
    ("changes", "closed"),
    [({"X_MSS_MES": "FIN"}, True), ({"Subject": "[FIN]"}, True), ({"Subject": "[fin]"}, False), ({}, False)],
)
def test_what_closes_an_exchange(changes: dict[str, str], closed: bool) -> None:
    (item,) = notes(read(mail(text(), From=PATIENT_ADDRESS, **changes)))
    assert item.content.closed is closed


def test_the_text_beside_documents_is_a_note_when_it_says_something() -> None:
    reading = read(mail(text("Merci de la rappeler avant jeudi."), attached(xdm(), "IHE_XDM.ZIP")))
    document, note = reading.items
    assert notes(reading) == [note]
    assert note.patient == document.patient, "one document mail, one patient"


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (ENCLOSED, False),
        (
            "Bonjour Docteur,\n\nVeuillez trouver ci-joint\nle compte rendu de votre patient.\n\nBien cordialement\nX",
            False,
        ),
        ("Résultats joints.", False),
        ("Ceci est un message automatique, merci de ne pas y répondre.", False),
        ("Chère consœur, cher confrère,\n\nCi-joint le courrier de sortie.\n-- \nService de cardiologie", False),
        ("Bonjour,\n\nCi-joint le bilan. Attention, la kaliémie est à 6,8.\n\nCordialement", True),
        ("Voir le point 3.", True),
        ("", False),
    ],
)
def test_what_says_something(body: str, says: bool) -> None:
    assert says_something(body, "Laboratoire fictif – Biologie") is says


def test_of_two_forms_of_a_text_the_plain_one_is_read_and_pictures_are_kept() -> None:
    html = text("<p>Bonjour<br>la <b>patiente</b></p><style>p {}</style>", "html")
    picture = b"Content-ID: <logo>\r\n" + attached(b"\x89PNG\r\nlogo", None, "image/png")
    related = multipart(html, picture, kind="related", boundary="r")
    both = multipart(text("En clair"), related, kind="alternative", boundary="a")
    (item,) = notes(read(mail(both, Subject="x")))
    assert item.content.text == "En clair"
    assert files(item) == [b"\x89PNG\r\nlogo"]
    (alone,) = notes(read(mail(html)))
    assert alone.content.text == "Bonjour\nla patiente"


def test_a_forwarded_mail_is_opened() -> None:
    inner = mail(text(ENCLOSED), attached(xdm(), "IHE_XDM.ZIP"), Subject=XDM_SUBJECT, From="h@hopital.mssante.invalid")
    reading = read(mail(text("Pour intégration."), forwarded(inner), Subject="TR: document"))
    assert [one.kind for one in reading.items] == ["document", "note"]
    assert reading.items[0].source.where.startswith("part 2 mail part 2 IHE_XDM")
    assert files(documents(reading)[0])[0] == cda()


def test_a_forwarded_mail_may_be_encoded_against_the_rules() -> None:
    inner = mail(text(ENCLOSED), attached(xdm(), "IHE_XDM.ZIP"))
    encoded = attached(inner, None, "message/rfc822")
    assert [one.kind for one in read(mail(text("Voir."), encoded)).items] == ["document", "note"]


def test_a_certificate_of_hprim_net_is_not_read_as_results() -> None:
    reading = read(mail(text("certificat"), attached(coded(RES), "c.hpm"), Subject=f"HNET.1/CER/{SENDER}"))
    (item,) = notes(reading)
    assert codes(reading) == {"mail.hnet.certificate"}
    assert files(item) == [coded(RES)]


def test_automatic_mail_and_what_is_not_used_are_told() -> None:
    reading = read(mail(text(), Auto_Submitted="auto-generated", X_MSS_NIL="REF-1", Keywords="a"))
    assert codes(reading) == {"mail.automatic"}
    assert {(one.where, one.text) for one in reading.unread} == {("X-MSS-NIL", "REF-1"), ("Keywords", "a")}


def test_the_format_is_recognised_and_shown() -> None:
    content = mail(text(ENCLOSED), attached(xdm(), "IHE_XDM.ZIP"), attached(coded(RES), "r.hpm"), Subject=XDM_SUBJECT)
    assert detect(content) is FORMAT
    assert detect(mail(text(coded(RES).decode("cp1252")))) is FORMAT
    shown = {one.name: one for one in FORMAT.pieces(content)}
    assert shown["Objet"].text == XDM_SUBJECT
    assert shown["IHE_XDM.ZIP"].children[0].name == "Lot de soumission"
    assert shown["r.hpm"].children
    spans = FORMAT.positions(content)
    assert any(content[one.start : one.end] == XDM_SUBJECT.encode() for one in spans if one.where == "Subject")
    assert FORMAT.sniff(b"From: a\r\n\r\n") == 0.0
