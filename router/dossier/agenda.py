"""The agenda of a dossier as a calendar: the Appointments that a reader may see, no more.

A program subscribes with its own proof (a tool's token, a session of the dashboard): there is no secret in an address,
and what ends the access ends the calendar.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from mappings.icalendar import Entry, State, calendar
from router.dossier.api.queries import understood
from router.dossier.context import Reader
from router.dossier.door import Door
from router.dossier.store.access import Access
from router.dossier.store.away import is_marked
from router.dossier.store.drafts import LIVE, patient_id
from router.dossier.store.elements import Resource, child, children, said, span
from router.dossier.store.searching import Found, Search
from router.engine.clock import moment
from router.journal.view import View

MEDIA_TYPE = "text/calendar; charset=utf-8"
BEFORE, AFTER = timedelta(days=90), timedelta(days=400)
"""How far a calendar goes back and ahead."""

MOST = 2000
USUAL = "Rendez-vous"
AWAY_WORDS = "Patient hospitalisé"

_STATES = {
    "proposed": State.TENTATIVE,
    "pending": State.TENTATIVE,
    "waitlist": State.TENTATIVE,
    "cancelled": State.CANCELLED,
    "noshow": State.CANCELLED,
    "entered-in-error": State.CANCELLED,
}


def agenda(view: View, door: Door, reader: Reader, patient: int, *, now: int) -> list[Found]:
    """Give the appointments of a patient that a reader may see, from `BEFORE` on until `AFTER`, the first one first."""
    search = Search(Access(view, door, reader, now))
    first, last = moment(now) - BEFORE, moment(now) + AFTER
    pairs = (
        ("patient", f"Patient/{patient_id(patient)}"),
        ("date", f"ge{first:%Y-%m-%d}"),
        ("date", f"le{last:%Y-%m-%d}"),
        ("_sort", "date"),
        ("_count", "500"),
    )
    query = understood("Appointment", pairs).query
    found: list[Found] = []
    after: tuple[int, int] | None = None
    while len(found) < MOST:
        page = search.page(query, after, counted=False)
        found += [one for one in page.matches if one.state == LIVE]
        if not page.more:
            break
        after = page.matches[-1].sort, page.matches[-1].id
    return found


def written(found: list[Found], number: int, host: str, *, now: int) -> bytes:
    """Write appointments as the calendar of a dossier; its name says no more than its number."""
    return calendar(f"Dossier {number}", _entries(found, host), moment(now))


def _entries(found: list[Found], host: str) -> Iterator[Entry]:
    for one in found:
        start, end = _moment(one.resource, "start"), _moment(one.resource, "end")
        if start is None:
            continue
        yield Entry(
            uid=f"{one.logical_id}@{host}",
            sequence=one.version - 1,
            changed=moment(one.at),
            start=start,
            end=end,
            summary=f"[{AWAY_WORDS}] {_summary(one.resource)}" if is_marked(one.resource) else _summary(one.resource),
            state=_STATES.get(said(one.resource, "status"), State.CONFIRMED),
            location=_displays(one.resource, "Location"),
            description="\n".join(part for part in (said(one.resource, "comment"), _people(one.resource)) if part),
        )


def _moment(resource: Resource, name: str) -> datetime | None:
    text = said(resource, name)
    found = span(text) if text else None
    return None if found is None else datetime.fromtimestamp(found[0] / 1_000_000, UTC)


def _summary(resource: Resource) -> str:
    kinds = [child(resource, "appointmentType"), *children(resource, "serviceType")]
    named = next((text for one in kinds if (text := said(one, "text"))), "")
    shown = next((text for one in kinds for each in children(one, "coding") if (text := said(each, "display"))), "")
    return said(resource, "description") or named or shown or USUAL


def _displays(resource: Resource, kind: str) -> str:
    actors = [child(one, "actor") for one in children(resource, "participant")]
    return ", ".join(
        said(actor, "display")
        for actor in actors
        if said(actor, "display") and said(actor, "reference").startswith(f"{kind}/")
    )


def _people(resource: Resource) -> str:
    """Give who takes part, beside the person themself."""
    actors = [child(one, "actor") for one in children(resource, "participant")]
    return ", ".join(
        said(actor, "display")
        for actor in actors
        if said(actor, "display") and not said(actor, "reference").startswith(("Patient/", "Location/"))
    )
