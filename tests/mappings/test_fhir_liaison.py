"""Notes of the "cahier de liaison" (CDL) as FHIR: DocumentReference, there and back."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import orjson
import pytest
from filled_items import DOCTOR

from mappings.contracts import ReadContext, WriteContext
from mappings.fhir.check import check_with_fhirclient
from mappings.registry import format_named
from schemas.attachment import Attachment
from schemas.coding import Coding, Identifier
from schemas.identity import PatientIdentity
from schemas.item import NoteItem, Provenance
from schemas.note import LiaisonNote

CONTEXT = WriteContext(now=datetime(2026, 3, 6, tzinfo=UTC), identity="essai", options={"note": "cdl"})
R234 = "https://mos.esante.gouv.fr/NOS/TRE_R234-TypeNote/FHIR/TRE-R234-TypeNote"
A07 = "https://mos.esante.gouv.fr/NOS/TRE_A07-StatutVisibiliteDocument/FHIR/TRE-A07-StatutVisibiliteDocument"


def note(**more: object) -> NoteItem:
    values: dict[str, object] = {
        "note_id": "2.999.67.5^NOTE-2",
        "thread": "2.999.67.5^NOTE-1",
        "in_reply_to": "2.999.67.5^NOTE-1",
        "type": Coding(system=R234, code="OBS"),
        "subject": "Pansement",
        "text": "Odeur au pansement.\nÀ revoir.",
        "sent_at": "2026-03-06T09:12:00+01:00",
        "urgent": True,
        "visibility": (Coding(system=A07, code="MASQUE_PT"),),
        "attachments": (Attachment(media_type="image/jpeg", title="Plaie", data="/9j/4AAQ"),),
    }
    return NoteItem(
        id="n1",
        occurred_at="2026-03-06T09:12:00+01:00",
        patient=PatientIdentity(identifiers=(Identifier(system="urn:oid:2.999.1", value="IPP1", type="PI"),)),
        author=DOCTOR,
        source=Provenance(format="fhir", where="test"),
        content=LiaisonNote.model_validate(values | more),
    )


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"text": None},
        {"withdrawn": True},
        {"attachments": (), "visibility": (), "urgent": None, "in_reply_to": None, "thread": None},
    ],
)
def test_a_note_comes_back_as_it_was(change: dict[str, object]) -> None:
    fhir = format_named("fhir")
    sent = note(**change)
    written = fhir.write(sent, CONTEXT).content
    assert check_with_fhirclient(written) == ()
    reading = fhir.read(written, ReadContext())
    (item,) = [one for one in reading.items if one.kind == "note"]
    assert item.content == sent.content
    assert item.author is not None
    assert item.author.family_name == "TESTEUR"
    assert reading.unread == ()


def test_the_guide_forbids_what_documents_require() -> None:
    bundle = orjson.loads(format_named("fhir").write(note(), CONTEXT).content)
    (found,) = [one["resource"] for one in bundle["entry"] if one["resource"]["resourceType"] == "DocumentReference"]
    assert not {"docStatus", "custodian", "authenticator"} & found.keys()
    assert found["relatesTo"][0]["code"] == "appends"


@pytest.mark.shared_data
def test_the_guides_example_is_a_note(shared_data: Path) -> None:
    content = (shared_data / "dossier" / "examples" / "note-urgente-bundle.json").read_bytes()
    (item,) = format_named("fhir").read(content, ReadContext()).items
    assert (item.kind, item.content.urgent, item.content.text) == (
        "note",
        True,
        "Odeur et écoulement au pansement ce matin.",
    )
