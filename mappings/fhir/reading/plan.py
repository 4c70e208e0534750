"""Plans (CarePlan) and evaluations (QuestionnaireResponse) as documents that people read: a PDF of what they say.

They have no national structured form (PPCS, PPS, PSI): what travels is the document, of type 18776-5 (plan), BIL_AUTO
(evaluation of the loss of autonomy, AGGIR) or 34842-5 (any other grid). All versions of one plan have one `set_id`; one
that says which version it is (`meta.versionId`) is a document of its own that replaces the one before. What is not in
the document is told as unread.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from uuid import NAMESPACE_URL, uuid5

from mappings.cda.writing.pdf_made import pdf_of
from mappings.fhir.reading.actors import read_professional, read_sender
from mappings.fhir.reading.datatypes import read_concept, read_identifier
from mappings.fhir.reading.patient import read_patient
from mappings.fhir.reading.source import Entry, Source
from mappings.fhir.reading.taking import (
    Node,
    child,
    children,
    forget,
    said,
    take_flag,
    take_moment,
    take_number,
    take_text,
)
from mappings.xds.vocabulary import class_of_type, coding_of
from schemas.attachment import Attachment
from schemas.coding import Coding
from schemas.document import Document, DocumentOperation
from schemas.item import DocumentItem, Provenance

LOINC = "urn:oid:2.16.840.1.113883.6.1"
PLAN = Coding(system=LOINC, code="18776-5", display="Plan personnalisé de soins")
GRID = Coding(system=LOINC, code="34842-5", display="Grille d'évaluation médico-sociale")

AUTONOMY = Coding(
    system="urn:oid:1.2.250.1.213.1.1.4.12",
    code="BIL_AUTO",
    display="CR de bilan d'évaluation de la perte d'autonomie",
)
_AGGIR = ("1.2.250.1.213.1.1.5.322", "1.2.250.1.213.1.1.4.322", "AGGIR")
"""What a grid of AGGIR names: its value set (JDV_EvaluationAGGIRPA), its codes, or itself."""

_STATUSES = {
    "draft": "projet",
    "active": "en cours",
    "on-hold": "suspendu",
    "revoked": "arrêté",
    "completed": "terminé",
    "in-progress": "en cours",
    "not-started": "à faire",
    "scheduled": "prévu",
    "cancelled": "annulé",
    "stopped": "arrêté",
    "amended": "modifié",
    "entered-in-error": "saisi par erreur",
}
_WITHDRAWN = "entered-in-error"
_NO_DATE = "1970-01-01"
DEEPEST = 12
"""Levels of a questionnaire that are read; deeper ones are told as unread."""


def read_plan(entry: Entry, source: Source) -> DocumentItem:
    """Read a CarePlan."""
    node = entry.resource
    entry.read = True
    status = said(node, "status")
    title = take_text(node, "title") or PLAN.display or ""
    period = child(node, "period") or {}
    start, end = take_moment(period, "start"), take_moment(period, "end")
    lines = list(_plan_lines(node, source, start, end))
    forget(node, "status", "intent")
    created = take_moment(node, "created")
    author = read_professional(next(iter(children(node, "author")), None), node, source)
    document = _document(node, PLAN, title, status, created or start, lines)
    document = document.model_copy(update={"period_start": start, "period_end": end, "author": author})
    return _item(entry, source, document)


def read_answers(entry: Entry, source: Source) -> DocumentItem:
    """Read a QuestionnaireResponse."""
    node = entry.resource
    entry.read = True
    status = said(node, "status")
    is_aggir = _names_aggir(node)
    asked = take_text(node, "questionnaire")
    authored = take_moment(node, "authored")
    lines = [f"Questionnaire : {asked}"] if asked else []
    lines += [line for one in children(node, "item") for line in _answered(one, source, 0)]
    forget(node, "status")
    author = read_professional(child(node, "author"), node, source)
    kind = AUTONOMY if is_aggir else GRID
    document = _document(node, kind, kind.display or "", status, authored, lines)
    return _item(entry, source, document.model_copy(update={"author": author}))


def _names_aggir(node: Node) -> bool:
    """Say whether a grid is AGGIR's: by its questionnaire, else by the system of an answer."""
    asked = said(node, "questionnaire")
    if any(name in asked.upper() for name in _AGGIR):
        return True
    answers = (one for item in children(node, "item") for one in children(item, "answer"))
    return any(name in said(child(one, "valueCoding") or {}, "system") for one in answers for name in _AGGIR)


def _version(node: Node, set_id: str | None) -> dict[str, object]:
    """Give the identity of this version and of the one that it replaces, where it says which one it is."""
    said_as = said(child(node, "meta") or {}, "versionId")
    if set_id is None or not (said_as.isascii() and said_as.isdigit()) or len(said_as) > 6:
        return {}
    number = int(said_as)
    found: dict[str, object] = {"document_id": _numbered(set_id, number), "version": number}
    if number > 1:
        found |= {"replaces_id": _numbered(set_id, number - 1), "operation": DocumentOperation.REPLACE}
    return found


def _numbered(set_id: str, version: int) -> str:
    """Name a version of a plan: an OID made of its name, the same whoever reads it."""
    return f"2.25.{uuid5(NAMESPACE_URL, f'https://passerelle.example/plan/{set_id}/{version}').int}"


def _document(node: Node, kind: Coding, title: str, status: str, at: str | None, lines: list[str]) -> Document:
    numbers = [number for one in children(node, "identifier") if (number := read_identifier(one)) is not None]
    own, category = said(node, "id"), class_of_type(kind.code)
    set_id = f"{numbers[0].system or ''}|{numbers[0].value}" if numbers else own or None
    head = [title, ""]
    head += [f"État : {_STATUSES.get(status, status)}"] if status else []
    head += [f"Date : {at}"] if at else []
    content = pdf_of(title, [*head, "", *lines], at or _NO_DATE)
    pdf = Attachment(
        media_type="application/pdf", title=title, size=len(content), data=base64.b64encode(content).decode()
    )
    version: dict[str, object] = {"operation": DocumentOperation.CREATE, **_version(node, set_id)}
    if status == _WITHDRAWN:
        version["operation"] = DocumentOperation.DELETE
    return Document(
        set_id=set_id,
        type=kind,
        category=coding_of(category) if category is not None else None,
        title=title,
        language="fr-FR",
        created_at=at,
        attachments=(pdf,),
    ).model_copy(update=version)


def _item(entry: Entry, source: Source, document: Document) -> DocumentItem:
    node = entry.resource
    return DocumentItem(
        id="",
        occurred_at=document.created_at,
        patient=read_patient(child(node, "subject"), node, source, entry.where),
        sender=read_sender(node, None, source),
        author=document.author,
        content=document,
        source=Provenance(format="fhir", where=entry.where),
    )


def _plan_lines(node: Node, source: Source, start: str | None, end: str | None) -> Iterator[str]:
    kinds = [kind for one in children(node, "category") if (kind := _concept(one, source))]
    if kinds:
        yield f"Nature : {', '.join(kinds)}"
    if start or end:
        yield f"Période : {start or '...'} - {end or '...'}"
    description = take_text(node, "description")
    if description:
        yield from ("", *description.splitlines())
    yield from _section("Problèmes", [take_text(one, "display") or "" for one in children(node, "addresses")])
    yield from _section("Objectifs", [_goal(one, node, source) for one in children(node, "goal")])
    yield from _section("Actions", [_activity(one, source) for one in children(node, "activity")])
    yield from _section("Remarques", [take_text(one, "text") or "" for one in children(node, "note")])


def _section(title: str, lines: list[str]) -> Iterator[str]:
    said_lines = [line for line in lines if line]
    if said_lines:
        yield from ("", title)
        yield from (f"  - {line}" for line in said_lines)


def _goal(reference: Node, container: Node, source: Source) -> str:
    found = source.resolve(reference, container)
    if found is not None and found.kind == "Goal":
        found.read = True
        described = _concept(child(found.resource, "description"), source)
        if described:
            return described
    return take_text(reference, "display") or ""


def _activity(activity: Node, source: Source) -> str:
    detail = child(activity, "detail")
    if detail is None:
        return take_text(child(activity, "reference") or {}, "display") or ""
    what = take_text(detail, "description") or _concept(child(detail, "code"), source)
    who = [text for one in children(detail, "performer") if (text := take_text(one, "display"))]
    when = take_text(detail, "scheduledString") or ""
    period = child(detail, "scheduledPeriod") or {}
    when = when or " - ".join(part for name in ("start", "end") if (part := take_moment(period, name)))
    status = said(detail, "status")
    forget(detail, "status", "kind")
    parts = [what, ", ".join(who), when, _STATUSES.get(status, status)]
    return " ; ".join(part for part in parts if part)


def _answered(item: Node, source: Source, depth: int) -> Iterator[str]:
    if depth > DEEPEST:
        return
    label = take_text(item, "text") or said(item, "linkId")
    forget(item, "linkId", "definition")
    answers = children(item, "answer")
    values = [text for one in answers if (text := _value(one, source))]
    indent = "  " * depth
    yield f"{indent}{label} : {', '.join(values)}" if values else f"{indent}{label}"
    for inner in [*children(item, "item"), *(each for one in answers for each in children(one, "item"))]:
        yield from _answered(inner, source, depth + 1)


def _value(answer: Node, source: Source) -> str:
    flag = take_flag(answer, "valueBoolean")
    if flag is not None:
        return "oui" if flag else "non"
    for name in ("valueInteger", "valueDecimal"):
        number = take_number(answer, name)
        if number is not None:
            return number
    for name in ("valueString", "valueDate", "valueDateTime", "valueTime", "valueUri"):
        text = take_text(answer, name)
        if text:
            return text
    coding = child(answer, "valueCoding")
    if coding is not None:
        code = said(coding, "code")
        shown = take_text(coding, "display") or ""
        forget(coding, "system", "code")
        return f"{shown} ({code})" if shown and code else shown or code
    quantity = child(answer, "valueQuantity")
    if quantity is not None:
        number, unit = take_number(quantity, "value") or "", take_text(quantity, "unit") or ""
        return f"{number} {unit}".strip()
    return ""


def _concept(node: Node | None, source: Source) -> str:
    codes, text = read_concept(node, source)
    return text or next((one.display or one.code for one in codes), "")
