"""`GET Patient/[id]/$agenda`: the appointments of a person as a calendar, as far as who asks may see them."""

from __future__ import annotations

from urllib.parse import urlsplit

from router.dossier.accesses import Access as Decided
from router.dossier.agenda import MEDIA_TYPE, agenda, written
from router.dossier.api.calls import Answer, Call
from router.dossier.api.having import fetched_by
from router.dossier.api.outcomes import not_found
from router.dossier.api.reading import decided_of, refused_of
from router.dossier.api.service import Service
from router.dossier.context import Thing
from router.dossier.keeping import dossier_of
from router.dossier.store.searching import Found, Search
from router.journal.view import View
from schemas.habilitation import Action, DataCategory


async def give_agenda(service: Service, call: Call, logical_id: str) -> Answer:
    """Answer the calendar of a patient whom the reader may see."""
    call.require("read", "Appointment")

    def find(view: View) -> tuple[bytes | None, list[Decided], list[tuple[int, int]]]:
        access = service.access(view, call)
        runner = Search(access)
        patient = runner.one("Patient", logical_id)
        if patient is None or patient.patient is None:
            return None, refused_of(access, runner, "Patient", logical_id), []
        number = patient.patient
        line = dossier_of(view.connection, view.sealer, number)
        thing = Thing(DataCategory.AGENDA)
        decided = access.decisions(Action.READ, [number], thing)
        if line is None or not all(one.verdict.allowed for one in decided):
            return None, decided, []
        found: list[Found] = agenda(view, service.door, call.may.reader, number, now=call.now)
        host = urlsplit(call.base).hostname or "passerelle.invalid"
        decided = decided_of(access, found, Action.READ) or decided
        return written(found, line.id, host, now=call.now), decided, fetched_by(access, found)

    content, decided, fetched = await service.journal.look(find)
    await service.noted(call, f"Patient/{logical_id}/$agenda", decided, fetched)
    if content is None:
        raise not_found("Patient")
    return Answer(
        content=content, media_type=MEDIA_TYPE, headers={"Content-Disposition": 'inline; filename="agenda.ics"'}
    )
