"""Orders with their results (ORU) to laboratory reports.

Orders that share their filler number (OBR-3, else ORC-3, OBR-2, ORC-2) are chapters of one report; an order that names
another one as its parent (OBR-29, OBR-26: the antibiogram of a culture) joins the parent's report.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from mappings.hl7v2.datatypes import coded, entity, identifier, interpreter, organization, professional
from mappings.hl7v2.er7 import Segment
from mappings.hl7v2.groups import Order, PatientGroup
from mappings.hl7v2.notebook import Notebook
from mappings.hl7v2.observations import Shared, observations_of, performer_of
from mappings.hl7v2.remarks import CONCLUSION, REPORT_COMMENT, REPORT_TEXT, sorted_by_role, text_of
from mappings.hl7v2.specimens import Specimens, specimen_of_order
from mappings.hl7v2.statuses import OF_ORDER, overall
from mappings.hl7v2.syntax import NULL
from schemas.actors import Organization, Professional, Recipient
from schemas.attachment import Attachment
from schemas.coding import LOINC, Coding, Identifier
from schemas.lab import LabChapter, LabReport, ParentResult, ResultStatus

REPORT_TYPE = "11502-2"
"""LOINC "laboratory report": an OBR-4 that says only this names the report, not a chapter."""

CHAPTER_PATH = "chapter:"
"""Begins the OBR-20 by which we write the place of a chapter inside another (`chapter:1.2`)."""


@dataclass(slots=True)
class Draft:
    """A report under way: what its orders have in common, and what they have said so far."""

    status: ResultStatus
    collected_at: str | None
    issued_at: str | None
    laboratory: Organization | None
    chapters: list[tuple[str, LabChapter]] = field(default_factory=list)
    attachments: list[Attachment] = field(default_factory=list)
    specimens: Specimens = field(default_factory=Specimens)
    codes: tuple[Coding, ...] = ()
    title: str | None = None
    conclusion: str | None = None
    comment: str | None = None
    text: str | None = None


def by_report(notes: Notebook, orders: list[Order]) -> list[list[Order]]:
    """Part the orders of one patient into reports, in the order of their first OBR."""
    reports: dict[str, list[Order]] = {}
    home: dict[str, str] = {}
    for order in orders:
        own = report_key(order)
        key = _parent_key(notes, order, home, reports) or home.get(own, own)
        reports.setdefault(key, []).append(order)
        for number in _numbers(order):
            home.setdefault(number, key)
    return list(reports.values())


def report_key(order: Order) -> str:
    """Give what identifies the report of an order: the raw filler number, else the placer's, else nothing."""
    obr, orc = order.obr, order.orc
    for segment, n in ((obr, 3), (orc, 3), (obr, 2), (orc, 2)):
        if segment is not None and (raw := segment.first(n)) and raw != NULL:
            return raw
    return ""


def _numbers(order: Order) -> list[str]:
    return [raw for n in (3, 2) if order.obr is not None and (raw := order.obr.first(n)) and raw != NULL]


def _parent_key(notes: Notebook, order: Order, home: dict[str, str], reports: dict[str, list[Order]]) -> str | None:
    obr = order.obr
    if obr is None:
        return None
    syntax = notes.syntax
    for part in reversed(syntax.components(obr.raw(29)) if obr.raw(29) else []):
        number = part.replace(syntax.subcomponent, syntax.component)
        if number and number in home:
            return home[number]
    if obr.raw(26) and not _numbers(order):
        return next(reversed(reports), None)
    return None


def read_report(notes: Notebook, patient: PatientGroup, orders: list[Order]) -> tuple[LabReport, tuple[Recipient, ...]]:
    """Read the orders of one report."""
    first = orders[0].obr
    draft = Draft(
        status=overall(_status(notes, order.obr) for order in orders if order.obr is not None),
        collected_at=notes.time(first, 7) if first is not None else None,
        issued_at=notes.time(first, 22) if first is not None else None,
        laboratory=_laboratory(notes, orders),
    )
    for order in orders:
        _read_chapter(notes, draft, order)
        _leave_repeated(notes, order, first)
    report_id, order_id = _identities(notes, orders)
    report = LabReport(
        report_id=report_id.value if report_id else None,
        report_authority=report_id.system if report_id else None,
        order_id=order_id.value if order_id else None,
        order_authority=order_id.system if order_id else None,
        status=draft.status,
        title=draft.title,
        codes=draft.codes,
        collected_at=draft.collected_at,
        collected_until=notes.time(first, 8) if first is not None else None,
        received_at=notes.time(first, 14) if first is not None else None,
        issued_at=draft.issued_at,
        laboratory=draft.laboratory,
        prescriber=_prescriber(notes, orders),
        validated_by=_interpreter(notes, orders),
        visit=visit_of(notes, patient),
        clinical_information=_clinical_information(notes, orders),
        conclusion=draft.conclusion,
        comment=_joined(text_of(notes, patient.notes), draft.comment),
        text=draft.text,
        specimens=tuple(draft.specimens.found),
        chapters=_nested(draft.chapters),
        attachments=tuple(draft.attachments),
    )
    return report, copies_of(notes, orders)


def _read_chapter(notes: Notebook, draft: Draft, order: Order) -> None:
    obr = order.obr
    specimen = specimen_of_order(notes, order, draft.specimens)
    collected = issued = None
    if obr is not None:
        collected, issued = notes.time(obr, 7), notes.time(obr, 22)
    shared = Shared(
        specimen=specimen,
        laboratory=draft.laboratory is not None,
        effective_at=collected if collected != draft.collected_at else None,
        issued_at=issued if issued != draft.issued_at else None,
    )
    observations = tuple(observations_of(notes, order.results, shared, draft.attachments))
    about_specimens = tuple(
        LabChapter(observations=tuple(found))
        for group in order.specimens
        if group.results and (found := observations_of(notes, group.results, shared, draft.attachments))
    )
    plain, ours = sorted_by_role(order.notes)
    if ours:
        draft.conclusion = _joined(draft.conclusion, text_of(notes, ours.get(CONCLUSION, [])))
        draft.comment = _joined(draft.comment, text_of(notes, ours.get(REPORT_COMMENT, [])))
        draft.text = _joined(draft.text, text_of(notes, ours.get(REPORT_TEXT, [])))
    comment = text_of(notes, plain)
    if obr is None:
        draft.chapters.append(("", LabChapter(comment=comment, observations=observations, chapters=about_specimens)))
        return
    named = coded(obr.raw(4), notes.syntax)
    title, codes = named.text, named.codes
    if codes and all(code.code == REPORT_TYPE and code.system == LOINC for code in codes):
        draft.codes, draft.title = draft.codes or codes, draft.title or title
        title, codes = None, ()
    path = obr.code(20)
    if path and not path.startswith(CHAPTER_PATH):
        notes.leave_fields(obr, 20)
        path = ""
    status = _status(notes, obr)
    parent = _parent(notes, obr)
    if title or codes or comment or observations or about_specimens or path or parent:
        chapter = LabChapter(
            title=title,
            codes=codes,
            section=obr.code(24) or None,
            status=status if status != draft.status else None,
            comment=comment,
            parent=parent,
            observations=observations,
            chapters=about_specimens,
        )
        draft.chapters.append((path.removeprefix(CHAPTER_PATH), chapter))
    else:
        notes.leave_fields(obr, 24)


def _leave_repeated(notes: Notebook, order: Order, first: Segment | None) -> None:
    """Report as unread what contradicts a field that was taken from elsewhere: only one of them can be kept."""
    obr, orc = order.obr, order.orc
    if obr is not None and first is not None and obr is not first:
        for n in (2, 8, 14, 16, 32):
            if obr.raw(n) and obr.raw(n) != first.raw(n):
                notes.leave_fields(obr, n)
    if orc is not None:
        for n, same in ((2, 2), (3, 3), (12, 16)):
            if obr is not None and obr.raw(same) and obr.raw(same) != orc.raw(n):
                notes.leave_fields(orc, n)
        if orc.code(1) not in _PLAIN_CONTROLS:
            notes.leave_fields(orc, 1)
    for participants in (order.participants, *(result.participants for result in order.results)):
        for prt in participants:
            notes.leave(prt)
    for group in order.specimens:
        for result in group.results:
            for prt in result.participants:
                notes.leave(prt)


_PLAIN_CONTROLS = frozenset({"", "RE", "NW", "SC", "OK", "XO"})
"""ORC-1 that say no more than "here are results"."""


def _status(notes: Notebook, obr: Segment) -> ResultStatus | None:
    code = obr.code(25)
    status = OF_ORDER.get(code)
    if code and status is None:
        notes.warn("hl7v2.status.unknown", obr.where(25), "the status is not a code of table 0123")
    elif code in ("Y", "Z"):
        notes.error("hl7v2.status.no_record", obr.where(25), "the laboratory has no record of this order or patient")
    return status


def _parent(notes: Notebook, obr: Segment) -> ParentResult | None:
    """Read OBR-26 (PRL): the parent result's code in subcomponents, its sub-id, its text."""
    raw = obr.raw(26)
    if not raw or raw == NULL:
        return None
    syntax = notes.syntax
    parts = syntax.components(raw)
    parts += [""] * (3 - len(parts))
    named = coded(parts[0].replace(syntax.subcomponent, syntax.component), syntax)
    code = named.codes[0] if named.codes else Coding(code=named.text, display=named.text) if named.text else None
    sub_id, text = syntax.code(parts[1]) or None, syntax.text(parts[2]) or None
    if code is None and sub_id is None and text is None:
        return None
    return ParentResult(code=code, sub_id=sub_id, text=text)


def _nested(chapters: list[tuple[str, LabChapter]]) -> tuple[LabChapter, ...]:
    """Put chapters that we wrote with a path back into the chapter that holds them."""
    top: list[LabChapter] = []
    for path, chapter in chapters:
        depth = path.count(".")
        if depth and top:
            top[-1] = _placed(top[-1], chapter, depth)
        else:
            top.append(chapter)
    return tuple(top)


def _placed(parent: LabChapter, chapter: LabChapter, depth: int) -> LabChapter:
    if depth > 1 and parent.chapters:
        *before, last = parent.chapters
        return parent.model_copy(update={"chapters": (*before, _placed(last, chapter, depth - 1))})
    return parent.model_copy(update={"chapters": (*parent.chapters, chapter)})


def _laboratory(notes: Notebook, orders: list[Order]) -> Organization | None:
    """When one laboratory did every analysis, it is said once, of the report."""
    names: set[tuple[str, ...]] = set()
    for order in orders:
        for results in (order.results, *(group.results for group in order.specimens)):
            for result in results:
                fields = result.obx.fields
                if fields[2:3] != ["ED"]:
                    names.add((*fields[15:16], *fields[23:25]))
    if len(names) != 1 or not any(names.pop()):
        return None
    for order in orders:
        for result in order.results:
            if result.obx.raw(2) != "ED":
                return performer_of(result.obx, notes.syntax)
    return None


def _identities(notes: Notebook, orders: list[Order]) -> tuple[Identifier | None, Identifier | None]:
    """Read the filler's number (the report's) and the placer's (the order's) of the first order that has them."""
    filler = placer = None
    syntax = notes.syntax
    for order in orders:
        for segment in (order.obr, order.orc):
            if segment is None:
                continue
            filler = filler or entity(syntax.components(segment.first(3)), syntax)
            placer = placer or entity(syntax.components(segment.first(2)), syntax)
    return filler, placer


def _prescriber(notes: Notebook, orders: list[Order]) -> Professional | None:
    for order in orders:
        for segment, n in ((order.obr, 16), (order.orc, 12)):
            raw = segment.first(n) if segment is not None else ""
            if raw and raw != NULL and (person := professional(raw, notes.syntax)) is not None:
                place = organization(order.orc.first(21), notes.syntax) if order.orc is not None else None
                return person if place is None else person.model_copy(update={"organization": place})
    return None


def _interpreter(notes: Notebook, orders: list[Order]) -> Professional | None:
    for order in orders:
        raw = order.obr.first(32) if order.obr is not None else ""
        if raw and raw != NULL and (person := interpreter(raw, notes.syntax)) is not None:
            return person
    return None


def _clinical_information(notes: Notebook, orders: list[Order]) -> str | None:
    texts: dict[str, None] = {}
    for order in orders:
        raw = order.obr.raw(13) if order.obr is not None else ""
        if raw and raw != NULL:
            texts["\n".join(notes.syntax.text(one) for one in notes.syntax.repetitions(raw))] = None
    return "\n".join(texts) or None


def copies_of(notes: Notebook, orders: list[Order]) -> tuple[Recipient, ...]:
    """Read OBR-28: who should get a copy."""
    people: dict[Professional, None] = {}
    for order in orders:
        for raw in order.obr.repetitions(28) if order.obr is not None else []:
            person = professional(raw, notes.syntax)
            if person is not None:
                people[person] = None
    return tuple(Recipient(professional=person, role="RCT") for person in people)


def visit_of(notes: Notebook, patient: PatientGroup) -> Identifier | None:
    """Read the hospital stay that the order belongs to: PV1-19, else PID-18."""
    if patient.pv1 is not None and (raw := patient.pv1.first(19)):
        found = identifier(raw, notes.syntax, "VN")
        if found is not None:
            if patient.pid is not None:
                notes.leave_fields(patient.pid, 18)
            return found
    raw = patient.pid.first(18) if patient.pid is not None else ""
    return identifier(raw, notes.syntax, "AN") if raw else None


def _joined(*texts: str | None) -> str | None:
    return "\n".join(text for text in texts if text) or None
