"""Seeds: good inputs of every format, made at run time from the samples of the tests; nobody in them exists."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache

import cda_documents
import fhir_samples
import hl7v2_messages
import hprim_files
import mails
import orjson
import rose_letters
import rose_messages
import xdm_archives
from filled_items import EVERY_ITEM

from mappings.contracts import FormatError, WriteContext
from mappings.registry import format_named

NOW = datetime(2026, 3, 5, 9, 41, tzinfo=UTC)
PATIENT = fhir_samples.note("Patient/1")


@cache
def written(format_name: str) -> tuple[bytes, ...]:
    """Give what a format writes of every kind of item that it carries, every field filled."""
    made: list[bytes] = []
    for rank, item in enumerate(EVERY_ITEM):
        try:
            fmt = format_named(format_name)
            made.append(fmt.write(item, WriteContext(now=NOW, identity=f"2.25.{rank + 1}")).content)
        except FormatError:
            continue  # a format does not carry every kind
    return tuple(made)


def hl7v2() -> Sequence[bytes]:
    """HL7 v2: what we write, and messages as senders here write them."""
    return (
        *written("hl7v2"),
        rose_messages.oru("1").encode() if isinstance(rose_messages.oru("1"), str) else rose_messages.oru("1"),
        hl7v2_messages.message(
            hl7v2_messages.PID,
            "OBR|1|D^DPI|F^SGL|58410-2^NFS^LN|||20260105083000||||||||SANG&Sang&L",
            "OBX|1|SN|X^X^L|1|<^5^-^8|10^9/L|<5|H~L|||C",
            "OBX|2|ED|X^X^L||^application^pdf^Base64^JVBERi0xLjQKJSBmaWN0aWYgZXQgYXNzZXogbG9uZw==||||||F",
        ),
    )


def hprim_medecin() -> Sequence[bytes]:
    """HPRIM Médecin with and without a coded block."""
    return (
        *written("hprim-medecin"),
        hprim_files.medecin("Hémoglobine 13,2 g/dL"),
        hprim_files.coded("RES|Hémoglobine|HB|N|13,2|g/dL|12|16|N|", "TEX|commentaire"),
    )


def hprim_sante() -> Sequence[bytes]:
    """HPRIM Santé."""
    return (*written("hprim-sante"), hprim_files.oru("OBX|1|NM|HB~Hémoglobine~L||13.2|g/dL|12-16|N|||F"))


def cda() -> Sequence[bytes]:
    """CDA: a CR-BIO with narrative and results, and documents around a PDF."""
    value = '<value xsi:type="PQ" value="13.2" unit="g/dL"/>'
    chapter = cda_documents.section(
        cda_documents.relation(cda_documents.observation(value)), "<table><tr><td>1</td></tr></table>"
    )
    return (*written("cda"), cda_documents.cr_bio(chapter), xdm_archives.cda("1.2.3.4"))


def fhir() -> Sequence[bytes]:
    """FHIR resources and transactions."""
    more = (
        fhir_samples.note("Patient/1"), fhir_samples.letter("Patient/1"), fhir_samples.weight("Patient/1"),
        fhir_samples.appointment("Patient/1"),
    )  # fmt: skip
    bundle = fhir_samples.transaction(*(("POST", one["resourceType"], one) for one in more))
    return (*written("fhir"), *(orjson.dumps(one) for one in (*more, bundle)))


def pdsm() -> Sequence[bytes]:
    """FHIR as PDSm writes it."""
    return written("pdsm")


def canonical() -> Sequence[bytes]:
    """The canonical JSON of every kind of item."""
    return written("canonical")


def xdm() -> Sequence[bytes]:
    """XDM archives."""
    return (*written("xdm"), xdm_archives.xdm())


def xds() -> Sequence[bytes]:
    """Submissions to the DMP."""
    return written("xds")


def mail() -> Sequence[bytes]:
    """Mails: notes, letters with an XDM, forwarded ones, reports, TNEF, S/MIME."""
    report = (
        b"Reporting-MTA: dns; mssante.invalid\r\n\r\nFinal-Recipient: rfc822; dr.fictif@test.mssante.invalid\r\n"
        b"Action: failed\r\nStatus: 5.1.1\r\n"
    )
    status = b"Content-Type: message/delivery-status\r\n\r\n" + report
    notified = (
        mails.header()
        + b"MIME-Version: 1.0\r\n"
        + mails.multipart(mails.text("Non remis"), status, kind="report", parameters=" report-type=delivery-status;")
    )
    tnef = b"\x78\x9f\x3e\x22\x01\x00\x02\x10\x80\x01\x00\x0a\x00\x00\x00lettre.pdf\x00\x00"
    return (
        *written("mail"),
        rose_letters.mailed_letter(),
        mails.mail(mails.text(), mails.attached(hprim_files.medecin("x"), "resultat.hpr")),
        mails.mail(
            mails.text(), mails.forwarded(mails.mail(mails.text("<p>a</p>", "html"), mails.attached(b"%PDF-1.4")))
        ),
        notified,
        mails.mail(mails.text(), mails.attached(tnef, "winmail.dat", "application/ms-tnef")),
        mails.header()
        + mails.attached(b"0\x80\x06\x09*\x86H\x86\xf7\x0d\x01\x07\x02", "smime.p7m", "application/pkcs7-mime"),
    )
