"""Plans and evaluations as FHIR: documents that people read, which leave as CDA level 1 like any other."""

from __future__ import annotations

import base64
import re
import zlib
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from mappings.contracts import ReadContext, Reading, WriteContext
from mappings.registry import format_named
from schemas.document import DocumentOperation
from schemas.item import DocumentItem

AGGIR = "urn:oid:1.2.250.1.213.1.1.4.322"
PATIENT = {
    "resourceType": "Patient",
    "id": "p",
    "identifier": [{"system": "urn:oid:2.999.1", "value": "IPP1"}],
    "name": [{"use": "official", "family": "TESTROSE", "given": ["Mireille"]}],
    "gender": "female",
    "birthDate": "1936-04-02",
}
PLAN = {
    "resourceType": "CarePlan",
    "id": "plan1",
    "identifier": [{"system": "urn:oid:2.999.67.9", "value": "PPCS-1"}],
    "status": "active",
    "intent": "plan",
    "title": "Plan personnalisé de coordination en santé",
    "category": [{"text": "PPCS"}],
    "subject": {"reference": "Patient/p"},
    "period": {"start": "2026-03-01", "end": "2026-09-01"},
    "created": "2026-03-02T10:00:00+01:00",
    "addresses": [{"display": "Chutes à répétition"}],
    "goal": [{"display": "Rester à domicile"}],
    "activity": [
        {
            "detail": {
                "kind": "ServiceRequest",
                "status": "in-progress",
                "description": "Kinésithérapie deux fois par semaine",
                "performer": [{"display": "M. TESTKINE"}],
                "scheduledString": "mardi et vendredi",
            }
        }
    ],
    "note": [{"text": "Revoir en juin."}],
}
GRID = {
    "resourceType": "QuestionnaireResponse",
    "id": "grille1",
    "status": "completed",
    "questionnaire": "https://example.org/aggir",
    "subject": {"reference": "Patient/p"},
    "authored": "2026-03-05T10:00:00+01:00",
    "item": [
        {
            "linkId": "1",
            "text": "Transferts",
            "answer": [
                {"valueCoding": {"system": "urn:oid:1.2.250.1.213.1.1.4.322", "code": "MED-342", "display": "GIR 4"}}
            ],
            "item": [{"linkId": "1.1", "text": "Seul", "answer": [{"valueBoolean": False}]}],
        }
    ],
}


def read(resource: dict[str, Any]) -> Reading:
    bundle = {
        "resourceType": "Bundle",
        "type": "collection",
        "entry": [{"resource": one} for one in (PATIENT, resource)],
    }
    return format_named("fhir").read(orjson.dumps(bundle), ReadContext())


def document(resource: dict[str, Any]) -> DocumentItem:
    (item,) = read(resource).items
    assert isinstance(item, DocumentItem)
    return item


def shown(item: DocumentItem) -> str:
    """Give the text of the PDF."""
    content = base64.b64decode(item.content.attachments[0].data or "")
    drawn = b"".join(zlib.decompress(one) for one in re.findall(rb"stream\n(x.*?)\nendstream", content, re.DOTALL))
    return drawn.decode("cp1252").replace("\\(", "(").replace("\\)", ")")


def test_a_plan_says_what_it_holds() -> None:
    item = document(PLAN)
    assert (item.content.type and item.content.type.code, item.content.category and item.content.category.code) == (
        "18776-5",
        "44",
    )
    assert item.content.set_id == "urn:oid:2.999.67.9|PPCS-1"
    text = shown(item)
    for expected in ("PPCS", "Chutes", "Rester à domicile", "TESTKINE", "mardi et vendredi", "en cours", "juin"):
        assert expected in text
    assert read(PLAN).unread == ()


def test_an_evaluation_shows_answers_under_their_questions() -> None:
    text = shown(document(GRID))
    assert "Transferts : GIR 4 (MED-342)" in text
    assert "Seul : non" in text
    assert read(GRID).unread == ()


def test_what_a_document_does_not_show_is_told_as_unread() -> None:
    assert [one.where for one in read({**PLAN, "contributor": [{"display": "X"}]}).unread] != []


def test_versions_of_one_plan_are_documents_of_one_set_and_a_mistake_is_taken_back() -> None:
    first, second = document(PLAN), document({**PLAN, "note": [{"text": "Revu."}]})
    assert first.content.set_id == second.content.set_id
    assert first.id != second.id
    assert document({**PLAN, "status": "entered-in-error"}).content.operation is DocumentOperation.DELETE


@pytest.mark.parametrize("resource", [PLAN, GRID], ids=["plan", "grid"])
def test_they_leave_as_cda_level_1(resource: dict[str, Any]) -> None:
    item = document(resource)
    context = WriteContext(now=datetime(2026, 3, 6, tzinfo=UTC), identity="essai")
    written = format_named("cda").write(item, context)
    assert b'<text mediaType="application/pdf" representation="B64">' in written.content
    again = format_named("cda").read(written.content, ReadContext()).items[0]
    assert isinstance(again, DocumentItem)
    assert again.content.attachments[-1].data == item.content.attachments[0].data
