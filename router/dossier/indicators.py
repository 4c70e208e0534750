"""Monthly indicators of activity, for each responsible structure: counted from the journal, without anybody's name.

A number of 1 to 4 is shown as "< 5": in a small structure it could tell of whom it is. Delays are told of five notices
or more. A month is that of the router's zone.
"""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from statistics import median
from zoneinfo import ZoneInfo

from sqlalchemy import func, select

from mappings.cda.writing.pdf_made import pdf_of
from mappings.xds.vocabulary import type_codes
from router.dossier.keeping import DossierLine, dossier_line
from router.dossier.store.drafts import LIVE
from router.engine.clock import micros
from router.faults import Fault
from router.journal import tables
from router.journal.view import View
from schemas.circle import party_keys

FEW = 5
"""The least number that is shown as it is."""

DOCUMENTS_OF = "documents_"
"""What the indicators of documents by type begin with; the code of the type follows."""

LEFT = ("sent", "delivered", "read")
_COUNTED = ("routed", "unrouted")


class NotAMonth(Fault):
    """What was given is not a month (`2026-11`)."""


@dataclass(frozen=True, slots=True)
class Month:
    """A month, with its first moment and the first one after it (microseconds)."""

    name: str
    start: int
    end: int

    @property
    def days(self) -> int:
        """How many days it has."""
        return round((self.end - self.start) / 86_400_000_000)


@dataclass(slots=True)
class Activity:
    """What happened in the dossiers of one structure. `delays` are seconds from an alert to its first leaving."""

    structure: str
    finess: str
    counts: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    delays: list[float] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Line:
    """One indicator as it is shown: of which structure, which one, and its value (`< 5` for a small number)."""

    structure: str
    finess: str
    indicator: str
    value: str


ORDER = (
    "dossiers_opened",
    "dossiers_closed",
    "dossiers_active",
    "dossiers_with_activity",
    "notes",
    "documents",
    "lab",
    "events",
    "alerts",
    "notices",
    "notices_left",
    "notices_read",
    "notices_failed",
)
"""The indicators that are always told, in their order; alerts by event and delays come after them."""


def month_of(name: str, zone: ZoneInfo) -> Month:
    """Read `2026-11`. Raises NotAMonth."""
    try:
        first = datetime.strptime(name, "%Y-%m").replace(tzinfo=zone)
    except ValueError:
        raise NotAMonth(f"{name[:20]!r} is not a month: write it as 2026-11") from None
    following = first.replace(year=first.year + first.month // 12, month=first.month % 12 + 1)
    return Month(f"{first:%Y-%m}", micros(first), micros(following))


def activities(view: View, month: Month) -> list[Activity]:
    """Count what happened in a month, by responsible structure."""
    dossiers = [dossier_line(row, view.sealer) for row in view.connection.execute(select(tables.dossier))]
    found: dict[str, Activity] = {}
    of_dossier: dict[int, Activity] = {}
    of_patient: dict[int, Activity] = {}
    for line in dossiers:
        activity = of_dossier[line.id] = found.setdefault(line.body.owner.name or "", _activity(line))
        if line.opened_at < month.end and (line.closed_at is None or line.closed_at >= month.start):
            of_patient[line.patient_id] = activity
        activity.counts["dossiers_opened"] += month.start <= line.opened_at < month.end
        activity.counts["dossiers_closed"] += line.closed_at is not None and month.start <= line.closed_at < month.end
        stands = line.opened_at < month.end and (line.closed_at is None or line.closed_at >= month.end)
        activity.counts["dossiers_active"] += stands
    _entries(view, month, of_patient)
    _documents(view, month, of_patient)
    _alerts(view, month, of_dossier)
    return sorted(found.values(), key=lambda one: (one.structure, one.finess))


def _activity(line: DossierLine) -> Activity:
    keys = sorted(party_keys(line.body.owner.identifiers))
    finess = next((key.partition("|")[2] for key in keys if key.startswith("finess|")), "")
    return Activity(line.body.owner.name or "", finess)


def _entries(view: View, month: Month, of_patient: Mapping[int, Activity]) -> None:
    item, entry, message = tables.item.c, tables.dossier_entry.c, tables.message.c
    statement = (
        select(item.patient_id, entry.category, func.count(entry.thing.distinct()).label("things"))
        .join(tables.message, message.id == item.message_id)
        .join(tables.dossier_entry, entry.item_id == item.id)
        .where(message.received_at >= month.start, message.received_at < month.end, item.state.in_(_COUNTED))
        .group_by(item.patient_id, entry.category)
    )
    active: set[int] = set()
    for row in view.connection.execute(statement):
        activity = of_patient.get(row.patient_id)
        if activity is None:
            continue
        activity.counts[row.category] += row.things
        if row.patient_id not in active:
            active.add(row.patient_id)
            activity.counts["dossiers_with_activity"] += 1


def _documents(view: View, month: Month, of_patient: Mapping[int, Activity]) -> None:
    """Count documents by type (JDV_J07), as the dossier's store has them: by their blind tokens, unopened."""
    tokens = {view.sealer.token("fhir", "DocumentReference", "type", "c", code): code for code in type_codes()}
    resource, body, token = tables.resource.c, tables.resource_body.c, tables.resource_token.c
    statement = (
        select(resource.patient_id, token.token, func.count().label("documents"))
        .join(tables.resource_token, token.resource_id == resource.id)
        .join(tables.resource_body, body.resource_id == resource.id)
        .where(resource.type == "DocumentReference", resource.state == LIVE, token.token.in_(tokens))
        .where(body.version == 1, body.at >= month.start, body.at < month.end)
        .group_by(resource.patient_id, token.token)
    )
    for row in view.connection.execute(statement):
        activity = of_patient.get(row.patient_id)
        if activity is not None:
            activity.counts[f"{DOCUMENTS_OF}{tokens[row.token]}"] += row.documents


def _alerts(view: View, month: Month, of_dossier: Mapping[int, Activity]) -> None:
    alert, notice = tables.alert.c, tables.alert_notice.c
    within = (alert.at >= month.start, alert.at < month.end)
    counted = select(alert.dossier_id, alert.event, func.count().label("alerts")).where(*within)
    for row in view.connection.execute(counted.group_by(alert.dossier_id, alert.event)):
        counts = of_dossier[row.dossier_id].counts
        counts["alerts"] += row.alerts
        counts[f"alerts_{row.event}"] += row.alerts
    told = (
        select(alert.dossier_id, alert.at, notice.state, notice.left_at)
        .join(tables.alert_notice, notice.alert_id == alert.id)
        .where(*within)
    )
    for row in view.connection.execute(told):
        activity = of_dossier[row.dossier_id]
        activity.counts["notices"] += 1
        activity.counts["notices_left"] += row.state in LEFT
        activity.counts["notices_read"] += row.state == "read"
        activity.counts["notices_failed"] += row.state == "failed"
        if row.left_at is not None:
            activity.delays.append((row.left_at - row.at) / 1_000_000)


def lines(found: Sequence[Activity], month: Month) -> list[Line]:
    """Give the indicators as they are shown; means are over the days of the whole month."""
    return [Line(one.structure, one.finess, name, value) for one in found for name, value in _values(one, month.days)]


def _values(one: Activity, days: float) -> Iterator[tuple[str, str]]:
    more = sorted(name for name in one.counts if name not in ORDER)
    for name in (*ORDER, *more):
        yield name, shown(one.counts.get(name, 0))
    notes = one.counts.get("notes", 0)
    if notes >= FEW:
        yield "notes_per_day", f"{notes / days:.1f}"
    if len(one.delays) >= FEW:
        ordered = sorted(one.delays)
        yield "delay_median_seconds", f"{median(ordered):.1f}"
        yield "delay_p95_seconds", f"{ordered[int(0.95 * (len(ordered) - 1))]:.1f}"


def shown(number: int) -> str:
    """Give a number as it may be shown."""
    return f"< {FEW}" if 0 < number < FEW else str(number)


def as_csv(month: Month, found: Sequence[Line]) -> bytes:
    """Write indicators as CSV (UTF-8, `;`), one a line."""
    out = io.StringIO()
    writer = csv.writer(out, delimiter=";", lineterminator="\r\n")
    writer.writerow(("month", "structure", "finess", "indicator", "value"))
    for one in found:
        writer.writerow((month.name, _plain(one.structure), one.finess, one.indicator, one.value))
    return out.getvalue().encode("utf-8-sig")


def _plain(text: str) -> str:
    """Keep a name from being taken for a formula by a spreadsheet."""
    return f"'{text}" if text[:1] in "=+-@\t\r" else text


def as_pdf(month: Month, found: Sequence[Line], words: Mapping[str, str], title: str, made_at: str) -> bytes:
    """Write indicators as a PDF, one structure after another; `words` names indicators in a language."""
    text: list[str] = [title, ""]
    structure = None
    for one in found:
        if (one.structure, one.finess) != structure:
            structure = one.structure, one.finess
            text += ["", f"{one.structure or '-'} {one.finess}".rstrip(), ""]
        text.append(f"  {words.get(one.indicator, one.indicator):<56}{one.value:>12}")
    return pdf_of(title, text, made_at)
