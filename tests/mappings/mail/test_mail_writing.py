from __future__ import annotations

import base64
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage

import pytest
from document_strategies import document_items
from filled_items import DOCUMENT_ITEM, NOTE_ITEM, PATIENT, REPORT_ITEM, STAY_ITEM
from hypothesis import HealthCheck, assume, given, settings, strategies as st
from mails import DOCTOR, MATRICULE, codes, documents, files, notes, read
from xdm_archives import PDF, cda, xdm

from mappings.contracts import Environment, FormatError, ReadContext, Rendition, WriteContext, WriteRefused
from mappings.mail import FORMAT
from mappings.mail.naming import person_line
from mappings.xdm import FORMAT as XDM
from schemas.actors import Professional, Recipient, Telecom
from schemas.attachment import Attachment
from schemas.document import DocumentOperation, Wishes
from schemas.identity import IdentityStatus
from schemas.item import DocumentItem, Item, LabReportItem, NoteItem
from schemas.note import LiaisonNote

NOW = datetime(2026, 3, 5, 8, 36, tzinfo=UTC)
FROM = "bal-auto@passerelle.mssante.invalid"
PATIENT_ADDRESS = f"{MATRICULE}@patient.mssante.invalid"


def write(
    item: Item, identity: str = "LIVRAISON-1", environment: Environment | None = None, **options: str
) -> Rendition:
    options = {"from": FROM, "to": DOCTOR} | {name.rstrip("_"): value for name, value in options.items()}
    chosen = {name: value for name, value in options.items() if value}
    return FORMAT.write(item, WriteContext(now=NOW, identity=identity, environment=environment, options=chosen))


def parsed(rendition: Rendition) -> EmailMessage:
    """As another program reads it."""
    message = message_from_bytes(rendition.content, policy=policy.default)
    assert isinstance(message, EmailMessage)
    assert not message.defects
    return message


def document(content: bytes | None = None, **changes: object) -> DocumentItem:
    (item,) = XDM.read(xdm(document=content), ReadContext()).items
    assert isinstance(item, DocumentItem)
    return item.model_copy(update={"content": item.content.model_copy(update=changes)})


def to(*addresses: str, kind: str = "mssante") -> tuple[Recipient, ...]:
    return tuple(Recipient(professional=Professional(telecoms=(Telecom(kind=kind, value=one),))) for one in addresses)


def refusal(item: Item, **options: str) -> str:
    with pytest.raises(WriteRefused) as refused:
        write(item, **options)
    return refused.value.code


def test_the_mail_of_a_document() -> None:
    rendition = write(
        document(), from_label="Hôpital Fictif – Biologie", nil="REF-1", reply_to="equipe@x.mssante.invalid"
    )
    message = parsed(rendition)
    assert (rendition.media_type, rendition.filename) == ("message/rfc822", "LIVRAISON-1.eml")
    assert message["From"].addresses[0].display_name == "Hôpital Fictif – Biologie"
    assert message["From"].addresses[0].addr_spec == message["Disposition-Notification-To"] == FROM
    assert message["To"] == DOCTOR
    assert message["Subject"] == "XDM/1.0/DDM+Lettre de liaison FICTIVE-ROSE MIREILLE 05/03/1979"
    assert message["Date"] == "Thu, 05 Mar 2026 09:36:00 +0100"
    assert message["Message-ID"] == "<LIVRAISON-1@passerelle.mssante.invalid>"
    assert message["Reply-To"] == "equipe@x.mssante.invalid"
    marks = [message[f"X-MSS-{name}"] for name in ("CODECDA", "INS", "NIL", "MES")]
    assert marks == ["11490-0", "O", "REF-1", None]
    body, archive, pdf = message.iter_parts()
    assert body.get_content_type() == "text/plain"
    assert (archive.get_filename(), archive.get_content_type()) == ("IHE_XDM.ZIP", "application/zip")
    assert pdf.get_filename() == "20260302_Lettre de liaison_FICTIVE-ROSE_MIREILLE.pdf"
    assert pdf.get_content() == PDF
    assert rendition.content.isascii()
    assert max(map(len, rendition.content.split(b"\r\n"))) < 998
    assert b"\n" not in rendition.content.replace(b"\r\n", b"")


def test_the_same_delivery_gives_the_same_bytes_and_another_does_not() -> None:
    assert write(document()).content == write(document()).content
    assert write(document(), identity="5b0f8f0e-8d4f").content != write(document()).content


def test_it_is_read_back_as_it_was_and_says_nothing_beside() -> None:
    reading = read(write(document()).content)
    (item,) = reading.items
    assert documents(reading) == [item]
    assert files(documents(reading)[0]) == [cda(), PDF]
    assert codes(reading) == {"mail.twin"}


def test_a_correction_says_so_in_the_subject_the_text_and_the_thread() -> None:
    first = parsed(write(document()))
    content = cda("1.2.250.1.999.67.2", replaces="1.2.250.1.999.67.1")
    second = parsed(write(document(content), identity="LIVRAISON-2"))
    assert second["Subject"].startswith("XDM/1.0/DDM+[Annule et remplace] Lettre de liaison FICTIVE-ROSE")
    assert second["References"] == first["References"]
    text = next(second.iter_parts()).get_content()
    assert "annule et remplace" in text
    assert "[Annule" not in str(parsed(write(document(content), replace_mark=" "))["Subject"])
    (again,) = documents(read(write(document(content)).content))
    assert again.content.operation is DocumentOperation.REPLACE
    deleted = write(document(operation=DocumentOperation.DELETE))
    (gone,) = documents(read(deleted.content))
    assert gone.content.operation is DocumentOperation.DELETE


def test_a_report_is_a_cda_with_the_pdf_that_it_has() -> None:
    rendition = write(REPORT_ITEM)
    names = [part.get_filename() for part in parsed(rendition).iter_parts()]
    assert names[1] == "IHE_XDM.ZIP"
    assert names[2].endswith(".pdf")
    reading = read(rendition.content)
    assert {one.kind for one in reading.items} == {"lab_report", "document"}
    assert not any(one.code.startswith("mail.patients") for one in reading.findings)


def test_a_document_without_a_pdf_gets_one_made() -> None:
    letter = document(b"<" + cda().lstrip(b"<").replace(b'mediaType="application/pdf"', b'mediaType="text/plain"'))
    rendition = write(letter)
    assert "mail.write.pdf_made" in {one.code for one in rendition.findings}
    *_, pdf = parsed(rendition).iter_parts()
    assert pdf.get_content().startswith(b"%PDF-")


@pytest.mark.parametrize(
    ("patient", "expected"),
    [({}, "O"), ({"status": IdentityStatus.VALIDATED}, "N"), ({"ins": None, "status": None}, "N")],
)
def test_x_mss_ins(patient: dict[str, object], expected: str) -> None:
    item = document().model_copy(update={"patient": document().patient.model_copy(update=patient)})
    assert parsed(write(item))["X-MSS-INS"] == ("N" if patient.get("ins", 1) is None else expected)


def test_the_text_is_the_one_of_the_audience() -> None:
    item = document(
        mail_body_professionals="Cher confrère,\nvoyez la conclusion.",
        mail_body_patient="Madame, voici votre lettre.",
        wishes=Wishes(patient_may_not_reply=True),
    )
    professional, patient = parsed(write(item)), parsed(write(item, to=PATIENT_ADDRESS, audience="patient"))
    assert next(professional.iter_parts()).get_content() == "Cher confrère,\r\nvoyez la conclusion.\r\n"
    assert next(patient.iter_parts()).get_content() == "Madame, voici votre lettre.\r\n"
    assert (professional["X-MSS-MES"], patient["X-MSS-MES"]) == (None, "FIN")


def test_one_address_of_the_item_is_written_to() -> None:
    item = document().model_copy(update={"recipients": to(DOCTOR, DOCTOR.upper())})
    assert parsed(write(item, to=""))["To"] == DOCTOR
    several = item.model_copy(update={"recipients": to(DOCTOR, "autre@x.mssante.invalid")})
    assert refusal(several, to="") == "mail.write.several_recipients"
    both = item.model_copy(update={"recipients": to(DOCTOR, PATIENT_ADDRESS)})
    assert parsed(write(both, to="", audience="professional"))["To"] == DOCTOR
    assert parsed(write(both, to="", audience="patient"))["To"] == PATIENT_ADDRESS
    outside = item.model_copy(update={"recipients": to("x@ordinaire.invalid", kind="email")})
    assert refusal(outside, to="") == "mail.write.no_recipient"
    assert parsed(write(document(), to="", audience="patient", patient_domain="patient.mssante.invalid"))["To"] == (
        PATIENT_ADDRESS
    )


@pytest.mark.parametrize("item", [document(), NOTE_ITEM], ids=["document", "note"])
def test_a_patient_is_written_to_under_a_qualified_ins_alone(item: Item) -> None:
    for status in (None, IdentityStatus.PROVISIONAL, IdentityStatus.VALIDATED, IdentityStatus.RETRIEVED):
        unsure = item.model_copy(update={"patient": item.patient.model_copy(update={"status": status})})
        assert refusal(unsure, to=PATIENT_ADDRESS) == "mail.write.patient_not_qualified"
    assert refusal(item, to="180017505600004@patient.mssante.invalid") == "mail.write.other_patient"
    assert refusal(item, to=PATIENT_ADDRESS, audience="professional") == "mail.write.audience"


def test_what_may_not_be_sent_is_refused() -> None:
    assert refusal(STAY_ITEM) == "mail.write.kind"
    assert refusal(document(), from_="") == "mail.write.from"
    assert refusal(document(), to="pas une adresse") == "mail.write.address"
    assert refusal(document(), to="a@x.mssante.invalid\r\nBcc: b@x.invalid") == "mail.write.address"
    assert refusal(document(wishes=Wishes(masked_to_professionals=True))) == "mail.write.hidden"
    assert refusal(document(wishes=Wishes(mssante_professionals=False))) == "mail.write.hidden"
    assert refusal(document(wishes=Wishes(hidden_from_patient=True)), to=PATIENT_ADDRESS) == "mail.write.hidden"
    assert refusal(NoteItem(id="1", patient=PATIENT, source=NOTE_ITEM.source, content=LiaisonNote(withdrawn=True))) == (
        "mail.write.withdrawn"
    )
    with pytest.raises(WriteRefused) as refused:
        write(document(), environment=Environment.PRODUCTION)
    assert refused.value.code == "mail.write.nil"
    for options in ({"audience": "tous"}, {"mdn": "peut-être"}):
        with pytest.raises(FormatError) as wrong:
            write(document(), **options)
        assert wrong.value.code == "mail.option"
    other = document().model_copy(update={"patient": PATIENT.model_copy(update={"birth_date": "1950-01-01"})})
    with pytest.raises(FormatError) as mixed:
        write(other)
    assert mixed.value.code == "document.other_patient"


def test_a_note_and_its_thread() -> None:
    rendition = write(NOTE_ITEM, mdn="yes")
    message = parsed(rendition)
    assert message["Subject"] == "Retour à domicile"
    assert message["In-Reply-To"] == "<note-2@fictif.mssante.invalid>"
    assert message["References"] == "<note-1@fictif.mssante.invalid> <note-2@fictif.mssante.invalid>"
    assert (message["Importance"], message["Reply-To"]) == ("high", "equipe@fictif.mssante.invalid")
    text, pdf = message.iter_parts()
    assert text.get_content().startswith("Concerne : FICTIVE-ROSE MIREILLE, né(e) le 05/03/1979\r\n\r\nBonjour")
    assert (pdf.get_filename(), pdf.get_content()) == ("lettre.pdf", b"%PDF-1.4\n")
    assert {one.where for one in rendition.findings} == {
        "content.type", "content.visibility", "content.closed", "author",
    }  # fmt: skip
    again = next(iter(notes(read(rendition.content))))
    assert (again.content.thread, again.content.in_reply_to, again.content.urgent) == (
        "note-1@fictif.mssante.invalid",
        "note-2@fictif.mssante.invalid",
        True,
    )
    to_patient = parsed(write(NOTE_ITEM, to=PATIENT_ADDRESS))
    assert to_patient["X-MSS-MES"] == "FIN"


HOSTILE = st.text(st.characters(exclude_categories=()), max_size=30) | st.sampled_from(
    ["X\r\nBcc: a@b.invalid", "\nBcc: a", "=?utf-8?q?=0D=0ABcc:_a?=", '"', "é" * 300, "a" * 3000, "\0", "<a@b>", "--x"]
)


@settings(deadline=None, max_examples=60)
@given(name=HOSTILE, subject=HOSTILE, text=HOSTILE, label=HOSTILE, file=HOSTILE)
def test_nothing_can_be_injected_into_a_header(name: str, subject: str, text: str, label: str, file: str) -> None:
    assume(all(one.encode("utf-8", "ignore").decode() == one for one in (name, subject, text, label, file)))
    patient = PATIENT.model_copy(update={"birth_name": name, "used_name": None})
    attachment = Attachment(media_type="a/b\r\nX: y", filename=file, title=subject, data="QQ==")
    note = LiaisonNote(subject=subject, text=text, thread=f"{label}@x", in_reply_to=subject, attachments=(attachment,))
    item = NoteItem(id="1", patient=patient, source=NOTE_ITEM.source, content=note)
    content = write(item, identity=name or "x", from_label=label, nil=label).content
    head, _, _ = content.partition(b"\r\n\r\n")
    names = [line.partition(b":")[0] for line in head.split(b"\r\n") if line[:1] not in b" \t"]
    allowed = {
        b"From", b"To", b"Subject", b"In-Reply-To", b"References", b"Date", b"Message-ID", b"X-MSS-NIL",
        b"MIME-Version", b"Content-Type", b"Reply-To",
    }  # fmt: skip
    assert set(names) <= allowed
    assert len(names) == len(set(names))
    assert content.isascii()
    (found,) = notes(read(content))
    assert found.recipients[0].professional is not None
    assert [one.value for one in found.recipients[0].professional.telecoms] == [DOCTOR]
    assert files(found) == [] or files(found) == [b"A"]


TEXTS = st.text(st.characters(exclude_categories=("Cs", "Cc")) | st.just("\n"), min_size=1, max_size=200)


@settings(deadline=None, max_examples=60)
@given(subject=st.text(st.characters(exclude_categories=("Cs", "Cc", "Z")), min_size=1, max_size=120), text=TEXTS)
def test_every_note_comes_back(subject: str, text: str) -> None:
    text = text.strip("\n ")
    assume(text)
    item = NoteItem(id="1", patient=PATIENT, source=NOTE_ITEM.source, content=LiaisonNote(subject=subject, text=text))
    content = write(item, note_patient="no").content
    (again,) = [one for one in read(content).items if isinstance(one, NoteItem)] or [None]
    assume(again is not None)  # a text that is HPRIM itself is read as that
    assert again is not None
    assert again.content.subject == " ".join(subject.split())
    assert again.content.text == text
    (named,) = notes(read(write(item).content))
    assert named.content.text == f"Concerne : {person_line(PATIENT)}\n\n{text}"


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(item=document_items(without=("recipients",)))
def test_every_document_comes_back_byte_for_byte(item: DocumentItem) -> None:
    try:
        archive = XDM.write(item, WriteContext(now=NOW, identity="LIVRAISON-1", options={}))
    except WriteRefused:
        assume(False)
        raise
    (expected,) = (one for one in XDM.read(archive.content, ReadContext()).items if isinstance(one, DocumentItem))
    reading = read(write(item, nil="REF-1").content)
    (again,) = documents(reading)
    assert set(files(expected)) <= set(files(again))
    assert again.patient == expected.patient
    assert again.content.model_copy(update={"attachments": ()}) == expected.content.model_copy(
        update={"attachments": ()}
    )
    pdfs = [base64.b64decode(one.data or "") for one in item.content.attachments if one.media_type == "application/pdf"]
    assert set(pdfs) <= set(files(again))


def test_every_kind_that_is_written_is_read() -> None:
    for item in (DOCUMENT_ITEM, REPORT_ITEM, NOTE_ITEM):
        reading = read(write(item, to="helene.testeur@fictif.mssante.invalid").content)
        assert item.kind in {one.kind for one in reading.items}
        assert isinstance(item, DocumentItem | LabReportItem | NoteItem)
