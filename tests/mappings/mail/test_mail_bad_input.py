"""The worst input: each has an end that somebody sees, and none an exception but FormatError."""

from __future__ import annotations

import binascii
import io
import random
import struct
import tracemalloc
import zipfile

import pytest
from hprim_files import coded
from hypothesis import HealthCheck, given, settings, strategies as st
from mails import ALARMS, attached, codes, documents, files, forwarded, header, mail, multipart, notes, read, text
from xdm_archives import PDF, cda, entry, xdm

from mappings.contracts import FormatError
from mappings.mail import FORMAT
from mappings.mail.headers import read_mailboxes, read_parameters
from router.identity.matching import HoldReason, alarm
from schemas.item import ITEM

ENCLOSED = text("Veuillez trouver ci-joint un document.")


def test_two_patients_in_one_mail_hold_it() -> None:
    second = cda("1.2.250.1.999.67.2", name="PATTROIS", ins=None).replace(b"MIREILLE", b"PAULE")
    reading = read(mail(ENCLOSED, attached(xdm(), "IHE_XDM.ZIP"), attached(second, "autre.xml")))
    assert codes(reading) & ALARMS == {"mail.patients.several"}
    assert len(documents(reading)) == 2
    assert alarm(reading.findings) is HoldReason.SEVERAL_PATIENTS


def test_metadata_about_another_than_the_document_hold_it() -> None:
    listed = entry(cda(), patient="150035121518990^^^&amp;1.2.250.1.213.1.4.10&amp;ISO^NH", name="PATTROIS")
    reading = read(mail(ENCLOSED, attached(xdm(listed=listed), "IHE_XDM.ZIP")))
    assert codes(reading) & ALARMS == {"document.other_patient"}


@pytest.mark.parametrize(
    ("subject", "found"),
    [
        ("XDM/1.0/DDM+Lettre FICTIVE-ROSE MIREILLE 05/03/1979", set()),
        ("=?utf-8?q?xdm/1=2E0/ddm+CR_d=C3=A9taill=C3=A9?= fictive rose mireille 05/03/1979", set()),
        ("XDM/1.0/DDM+Lettre FICTIVE-ROSE MIREILLE 06/03/1979", {"document.other_patient"}),
        ("XDM/1.0/DDM+Lettre PATTROIS PAULE 05/03/1979", {"mail.subject.name"}),
        ("XDM/1.0/DDM+Lettre FICTIVE-ROSE MIREILLE 02/03/2026", {"mail.subject.date"}),
        ("XDM/1.0/DDM+2 documents PATTROIS PAULE", set()),
        ("Lettre du 06/03/1979", set()),
    ],
)
def test_a_subject_that_announces_another(subject: str, found: set[str]) -> None:
    assert codes(read(mail(ENCLOSED, attached(xdm(), "IHE_XDM.ZIP"), Subject=subject))) == found


def test_hprim_in_the_body_about_another_than_the_document() -> None:
    body = text(coded("RES|HB|Hémoglobine|HB|A|12.1|g/dl|12|16||N|F|05/06/2024|").decode("cp1252"))
    reading = read(mail(body, attached(xdm(), "IHE_XDM.ZIP")))
    assert codes(reading) & ALARMS == {"mail.patients.several"}


def test_a_wrong_hash_holds_the_mail_too() -> None:
    reading = read(mail(ENCLOSED, attached(xdm(listed=entry(cda(), hashed="0" * 40)), "IHE_XDM.ZIP")))
    assert codes(reading) & ALARMS == {"xdm.hash.mismatch"}


def test_codes_that_do_not_agree_are_told() -> None:
    reading = read(mail(ENCLOSED, attached(xdm(), "IHE_XDM.ZIP"), X_MSS_CODECDA="11502-2, X", X_MSS_INS="O"))
    assert codes(reading) == {"mail.code.differs"}


def test_winmail_dat_is_told_listed_and_held() -> None:
    title = b"resultats TESTROSE.pdf\0"
    content = b"\x78\x9f\x3e\x22\x01\x00" + struct.pack("<BII", 2, 0x00018010, len(title)) + title + b"\0\0"
    reading = read(mail(text("Bonjour"), attached(content, "winmail.dat", "application/ms-tnef")))
    assert codes(reading) == {"mail.parts.left"}
    assert alarm(reading.findings) is HoldReason.PARTLY_READ
    assert files(documents(reading)[0]) == [content]
    assert ("part 2 winmail.dat", "resultats TESTROSE.pdf") in {(one.where, one.text) for one in reading.unread}


def test_damaged_base64_holds_the_mail_and_missing_padding_does_not() -> None:
    whole = attached(PDF, "a.pdf")
    damaged = whole[:-20] + b"\x00*\xff" + whole[-20:]
    reading = read(mail(ENCLOSED, damaged))
    assert codes(reading) & ALARMS == {"mail.encoding.damaged"}
    assert alarm(reading.findings) is HoldReason.ALTERED
    assert len(documents(reading)) == 1
    unpadded = attached(PDF + b"x", "a.pdf").replace(b"=\r\n", b"\r\n").replace(b"=\r\n", b"\r\n")
    repaired = read(mail(ENCLOSED, unpadded))
    assert codes(repaired) <= {"mail.encoding.padding"}
    assert files(documents(repaired)[0]) == [PDF + b"x"]


def test_unknown_and_old_encodings() -> None:
    odd = b"Content-Type: application/pdf\r\nContent-Transfer-Encoding: x-own\r\n\r\n" + PDF
    assert codes(read(mail(ENCLOSED, odd))) == {"mail.encoding.damaged"}
    lines = (binascii.b2a_uu(PDF[at : at + 45]).replace(b"\n", b"\r\n") for at in range(0, len(PDF), 45))
    body = b"begin 644 a.pdf\r\n" + b"".join(lines)
    uu = b"Content-Type: application/pdf\r\nContent-Transfer-Encoding: x-uuencode\r\n\r\n" + body + b"`\r\nend\r\n"
    assert files(documents(read(mail(ENCLOSED, uu)))[0]) == [PDF]


def test_a_zip_bomb_is_an_error_and_kept_as_it_came() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr("IHE_XDM/SUBSET01/METADATA.XML", b"\0" * 50_000_000)
    reading = read(mail(ENCLOSED, attached(buffer.getvalue(), "IHE_XDM.ZIP")))
    assert codes(reading) == {"archive.ratio"}
    assert files(documents(reading)[0]) == [buffer.getvalue()]


def test_mails_inside_mails_end_somewhere() -> None:
    content = mail(text("le plus profond"), attached(cda(), "c.xml"))
    for level in range(6):
        content = mail(text("Voir."), forwarded(content).replace(b"interne", f"b{level}".encode()))
    reading = read(content)
    assert codes(reading) == {"mail.parts.left"}
    assert documents(reading) == []
    encoded = mail(text("x"))
    for _ in range(6):
        encoded = mail(text("Voir."), attached(encoded, None, "message/rfc822"))
    assert codes(read(encoded)) == {"mail.parts.left"}


def test_multiparts_inside_multiparts_end_somewhere() -> None:
    body = text("fond")
    for level in range(40):
        body = multipart(body, boundary=f"b{level}")
    assert codes(read(mail(body))) == {"mail.parts.left"}


def test_thousands_of_parts_end_somewhere() -> None:
    reading = read(mail(*[attached(b"%d" % rank, f"{rank}.txt", "text/plain") for rank in range(3000)]))
    assert codes(reading) == {"mail.parts.left"}
    assert len(documents(reading)) == 999


def test_headers_in_eight_bits_and_charsets_that_do_not_hold() -> None:
    raw = header(Subject=None) + "Subject: Réponse à l'équipe\r\n".encode("cp1252")
    raw += b"Content-Type: text/plain; charset=us-ascii\r\n\r\n" + "état fébrile".encode("cp1252")
    (item,) = notes(reading := read(raw))
    assert (item.content.subject, item.content.text) == ("Réponse à l'équipe", "état fébrile")
    assert codes(reading) == {"mail.charset"}
    unknown = header() + b"Content-Type: text/plain; charset=x-invented\r\n\r\n" + "état".encode()
    assert notes(read(unknown))[0].content.text == "état"
    for codec in ("unicode_escape", "utf-7", "rot13", "base64", '"', "\x00"):
        strange = header() + f"Content-Type: text/plain; charset={codec}\r\n\r\n+2AA-\\d".encode()
        assert notes(read(strange))[0].content.text == "+2AA-\\d"


def test_boundaries_that_are_missing_or_wrong() -> None:
    body = multipart(text(), attached(PDF, "a.pdf"))
    lost = read(mail(body.replace(b' boundary="limite"', b"")))
    assert [one.kind for one in lost.items] == ["document", "note"]
    assert codes(lost) == {"mail.mime.boundary"}
    none = read(mail(b"Content-Type: multipart/mixed\r\n\r\nrien"))
    assert notes(none)[0].content.text == "rien"
    cut = read(mail(body[: -len(b"--limite--\r\n")]))
    assert codes(cut) == {"mail.mime.not_closed"}
    assert files(documents(cut)[0]) == [PDF]


def test_names_and_addresses_of_every_kind() -> None:
    value = "attachment; filename*0*=UTF-8''r%C3%A9su; filename*1*=l%20tat; filename*2=.hpm; filename=vieux"
    assert read_parameters(value).parameters["filename"] in {"résul tat.hpm", "vieux"}
    assert read_parameters('x; name="=?iso-8859-1?Q?r=E9sultat?="').parameters["name"] == "résultat"
    assert read_parameters('x; name="a\\"b;c"; z=1').parameters == {"name": 'a"b;c', "z": "1"}
    found = read_mailboxes('"TESTROSE, Marie" <m@x.invalid>, (Dr) d@x.invalid, groupe: e@x.invalid;, rien')
    assert [(one.address, one.name) for one in found] == [
        ("m@x.invalid", "TESTROSE, Marie"),
        ("d@x.invalid", "Dr"),
        ("e@x.invalid", None),
    ]
    path = read(mail(ENCLOSED, attached(b"x", "../../etc/passwd\x00")))
    assert documents(path)[0].content.attachments[0].filename == "../../etc/passwd", "a label, never a path"


def test_what_is_no_mail_is_refused() -> None:
    for content in (b"", b"\r\n\r\n", b"MSH|^~\\&|", b"{}", b"\x00" * 50):
        with pytest.raises(FormatError) as refused:
            read(content)
        assert refused.value.code == "mail.no_header"
        assert FORMAT.sniff(content) == 0.0


def test_a_large_attachment_takes_a_few_times_its_size() -> None:
    content = mail(ENCLOSED, attached(b"%PDF-" + bytes(range(256)) * 40_000, "scan.pdf"))
    tracemalloc.start()
    try:
        reading = read(content)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(documents(reading)) == 1
    assert peak < 5 * len(content)


def test_a_hostile_header_takes_no_longer_than_it_is() -> None:
    for value in ("(" * 100_000, "<" * 100_000, '"' * 99_999, "=?x?q?" * 20_000, ";a*0*=" * 20_000, "a@" * 50_000):
        raw = f"From: {value}\r\nContent-Type: x/y; {value}\r\nSubject: {value}\r\nMessage-ID: {value}\r\n\r\n{value}"
        assert len(read(raw.encode()).items) == 1
    assert len(read(mail(text("<style>" * 50_000 + "<" * 50_000, "html"))).items) == 1


SAMPLES = [
    mail(ENCLOSED, attached(xdm(), "IHE_XDM.ZIP"), attached(PDF, "a.pdf"), X_MSS_CODECDA="1"),
    mail(text(), forwarded(mail(text("b"), attached(coded(), "a.hpm")))),
    mail(
        multipart(
            text("r"),
            b"Content-Type: message/delivery-status\r\n\r\nReporting-MTA: dns;x\r\n\r\n"
            b"Final-Recipient: rfc822;a@b.c\r\nAction: failed\r\nStatus: 5.1.1\r\n",
            forwarded(mail(text("b"))),
            kind="report",
            parameters=" report-type=delivery-status;",
        )
    ),
]


def withstands(content: bytes) -> None:
    """Read a content in every way: nothing but a FormatError comes out, and what is read is canonical."""
    assert 0.0 <= FORMAT.sniff(content) <= 1.0
    try:
        reading = read(content)
        spans = FORMAT.positions(content)
        FORMAT.pieces(content)
    except FormatError:
        return
    assert all(0 <= one.start < one.end <= len(content) for one in spans)
    for item in reading.items:
        assert ITEM.validate_json(ITEM.dump_json(item)) == item


@settings(deadline=None, max_examples=80, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 2**32), st.sampled_from(SAMPLES))
def test_mutated_mails_raise_nothing_but_format_errors(seed: int, content: bytes) -> None:
    chance = random.Random(seed)
    for _ in range(4):
        changed = bytearray(content)
        for _ in range(chance.randrange(1, 6)):
            at = chance.randrange(len(changed))
            match chance.randrange(4):
                case 0:
                    changed[at] = chance.randrange(256)
                case 1:
                    del changed[at : at + chance.randrange(1, 80)]
                case 2:
                    changed[at:at] = changed[at : at + chance.randrange(1, 200)]
                case _:
                    changed[at:at] = chance.choice([b"\r\n", b"\n\n", b"--limite", b"=?", b"\0", b": ", b"<>", b'"'])
        withstands(bytes(changed))


@settings(deadline=None, max_examples=60)
@given(st.binary(max_size=300))
def test_any_bytes_raise_nothing_but_format_errors(content: bytes) -> None:
    withstands(content)
    withstands(b"Subject: x\r\nContent-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n" + content)
    withstands(header() + content)
