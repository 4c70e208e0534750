"""An INS leaves only under a qualified identity that is neither doubtful nor fictitious, in each format's own form."""

from __future__ import annotations

import base64
import io
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from email import message_from_bytes

import pytest
from filled_items import DOCUMENT_ITEM, IDENTITY_ITEMS, NOTE_ITEM, PATIENT, REPORT_ITEM, STAY_ITEM
from hypothesis import given, settings, strategies as st

from mappings.contracts import Environment, FormatError, WriteContext
from mappings.registry import format_named
from schemas.coding import Identifier
from schemas.identity import IdentityAttribute, IdentityStatus, Ins, PatientIdentity
from schemas.identity_status import ins_usable
from schemas.item import Item

INS = Ins(matricule="180017505600004", oid="1.2.250.1.213.1.4.10")
UNUSABLE = Identifier(system=f"urn:oid:{INS.oid}", value=INS.matricule, type="INS")
FORMS = {
    "fhir": b'"system":"urn:oid:1.2.250.1.213.1.4.10"',
    "hl7v2": b"180017505600004^^^ASIP-SANTE-INS-NIR&1.2.250.1.213.1.4.10&ISO^INS",
    "hprim-sante": b"180017505600004~NIR~~~~1.2.250.1.213.1.4.10",
    "cda": b'root="1.2.250.1.213.1.4.10" extension="180017505600004"',
    "xdm": b"180017505600004^^^&amp;1.2.250.1.213.1.4.10&amp;ISO^NH",
    "mail": b"X-MSS-INS: O",
}
"""How each format says whose INS it is; HPRIM Médecin has no place for one."""

WRITERS = ("fhir", "hl7v2", "hprim-medecin", "hprim-sante", "cda", "xdm", "mail")
OPTIONS = {
    "hprim-sante": {"version": "2.5"},
    "mail": {"from": "bal@fictif.mssante.invalid", "to": "dr.fictif@test.mssante.invalid"},
}
WITHOUT_FILE = REPORT_ITEM.model_copy(update={"content": REPORT_ITEM.content.model_copy(update={"attachments": ()})})
ITEMS: dict[str, Item] = {
    "report": WITHOUT_FILE,
    "document": DOCUMENT_ITEM,
    "note": NOTE_ITEM,
    "stay": STAY_ITEM,
    "identity": next(one for one in IDENTITY_ITEMS if one.content.event == "patient.updated"),
}


def identity(status: IdentityStatus | None, *attributes: IdentityAttribute, ins: Ins | None = INS) -> PatientIdentity:
    """Give the fictitious patient of these tests, with every trait that an INS needs beside it."""
    return PATIENT.model_copy(
        update={"ins": ins, "status": status, "attributes": attributes, "deleted": (), "birth_date_corrected": None}
    )


def written(form: str, item: Item, patient: PatientIdentity) -> bytes | None:
    """Write an Item and give everything that leaves, opened; None when the format has no place for it."""
    context = WriteContext(
        now=datetime(2026, 3, 5, 9, 0, tzinfo=UTC),
        identity="5b0f8f0e-8d4f-5d38-9d5e-0d9e2a6f7c11",
        environment=Environment.TEST,
        options=OPTIONS.get(form, {}),
    )
    try:
        rendition = format_named(form).write(item.model_copy(update={"patient": patient}), context)
    except FormatError:
        return None
    return b"\n".join(opened(rendition.content)) + b"\n".join(rendition.attachments.values())


def opened(content: bytes) -> Iterator[bytes]:
    """Give a content, the members of an archive, and documents that are inside in base64."""
    if content[:2] == b"PK":
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for name in archive.namelist():
                yield from opened(archive.read(name))
        return
    yield content
    if content.startswith(b"From: "):
        for part in message_from_bytes(content).walk():
            yield from opened(part.get_payload(decode=True) or b"")
        return
    for quoted in content.replace(b"|", b'"').replace(b"^", b'"').split(b'"'):
        if len(quoted) > 400 and b" " not in quoted and b"<" not in quoted:
            yield base64.b64decode(quoted + b"==")


@pytest.mark.parametrize("kind", ITEMS)
@pytest.mark.parametrize("form", WRITERS)
@settings(max_examples=15, deadline=None)
@given(
    status=st.sampled_from([None, *IdentityStatus]),
    attributes=st.lists(st.sampled_from(IdentityAttribute), unique=True, max_size=2),
    kept=st.booleans(),
)
def test_no_writer_lets_an_ins_out_that_may_not_leave(
    form: str, kind: str, status: IdentityStatus | None, attributes: list[IdentityAttribute], kept: bool
) -> None:
    usable = ins_usable(status, attributes)
    patient = identity(status, *attributes, ins=None if kept else INS)
    if kept:
        # What a reader may not use stays among the identifiers: it leaves under no status at all.
        patient = patient.model_copy(update={"identifiers": (*patient.identifiers, UNUSABLE)})
        usable = False
    content = written(form, ITEMS[kind], patient)
    if content is not None and not usable:
        assert INS.matricule.encode() not in content


@pytest.mark.parametrize("form", FORMS)
def test_a_qualified_ins_leaves_in_the_form_of_its_format(form: str) -> None:
    content = written(form, ITEMS["report"], identity(IdentityStatus.QUALIFIED, IdentityAttribute.HOMONYM))
    assert content is not None
    assert FORMS[form] in content
    assert INS.matricule.encode() in content


def test_hprim_medecin_has_no_place_for_an_ins() -> None:
    content = written("hprim-medecin", ITEMS["report"], identity(IdentityStatus.QUALIFIED))
    assert content is not None
    assert INS.matricule.encode() not in content
