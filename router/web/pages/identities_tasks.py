"""Tasks about identities that the router opened by itself: what somebody has to look at, and that it is done."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import APIRouter, Request
from fastapi.responses import Response

from router.desk.queue import piles
from router.identity.patients import load_patients
from router.identity.tasks import Task, TaskKind, close_task, open_tasks
from router.journal import tables
from router.journal.queries_lines import ItemLine, PatientLine, item_lines
from router.journal.queries_message import DeliveryLine, delivery_lines
from router.journal.view import View
from router.web.access import Asked, Decided, Office, Signed
from router.web.answers import Values, go, page
from router.web.faults import NotThere
from router.web.filters import row_number
from router.web.masking import masked
from router.web.revealing import noted

router = APIRouter()

PATH = "/identities/tasks"
PAGE = 50
OF_MERGES = frozenset({TaskKind.UNMERGED.value, TaskKind.COORDINATION.value, TaskKind.CIRCLES.value})
"""Kinds of tasks that a merge, or its undoing, opened: they lead to it."""


@dataclass(frozen=True, slots=True)
class TaskLine:
    """A task with whom it is about, masked, and what made it be opened."""

    task: Task
    patient: str
    item: ItemLine | None
    delivery: DeliveryLine | None


@router.get(PATH)
async def tasks(request: Request, desk: Office, visit: Signed) -> Response:
    """Show the open tasks, the oldest first: of everybody, or of one patient."""
    after = row_number(request.query_params.get("after", "")) or 0
    patient = row_number(request.query_params.get("patient", ""))

    def ask(view: View) -> Values:
        found = open_tasks(view, patient_id=patient, after=after, limit=PAGE + 1)
        return {
            "pile": "tasks",
            "piles": piles(view),
            "rows": _lines(view, found[:PAGE]),
            "after": after,
            "patient": patient,
            "merge_kinds": OF_MERGES,
            "following": found[PAGE - 1].id if len(found) > PAGE else None,
        }

    return await page(desk, visit, "tasks.html", ask)


@router.post(PATH + "/{number}/close")
async def close(number: int, desk: Office, visit: Decided) -> Response:
    """Close a task, with what was done about it."""
    why = visit.posted("why").strip()
    if not await desk.submit(close_task(number, actor=visit.account, why=why, now=desk.now())):
        raise NotThere
    return go(PATH)


@router.post("/patients/{number}/reveal")
async def reveal(number: int, request: Request, desk: Office, visit: Asked) -> Response:
    """Show who a patient of the register is; noted in the audit first."""
    found = await desk.look(lambda view: load_patients(view.connection, view.sealer, [number]).get(number))
    if found is None:
        raise NotThere
    question = await noted(desk, visit, request, "reveal patient", f"patient {number}")
    if question is not None:
        return question
    line = PatientLine.of(found.identity)
    names = " ".join(part for part in (line.family, line.given) if part)
    html = await desk.work(lambda: desk.pages.draw(visit, "revealed.html", {"patient": line, "names": names}))
    return Response(html, media_type="text/html")


def _lines(view: View, found: list[Task]) -> list[TaskLine]:
    patients = load_patients(view.connection, view.sealer, sorted({task.patient_id for task in found}))
    items = [task.item_id for task in found if task.item_id is not None]
    told = {one.id: one for one in item_lines(view, tables.item.c.id.in_(items), replaced=True)} if items else {}
    numbers = [task.delivery_id for task in found if task.delivery_id is not None]
    sent = {one.id: one for one in delivery_lines(view, tables.delivery.c.id.in_(numbers))} if numbers else {}
    lines = []
    for task in found:
        patient = patients.get(task.patient_id)
        shown = masked(PatientLine.of(patient.identity)) if patient is not None else ""
        lines.append(TaskLine(task, shown, told.get(task.item_id or 0), sent.get(task.delivery_id or 0)))
    return lines
