"""The identity desk: the next Item to decide with two identities side by side, the queue, and what was decided.

Opening an Item shows whose it may be: that is noted in the audit before, with the patients it was compared with.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from fastapi import APIRouter, Request
from fastapi.responses import Response

from router.desk.deciding import Decide, Refusal
from router.desk.dossiers import Dossier, dossiers
from router.desk.history import DecisionLine, decision, decisions, last_of
from router.desk.queue import Held, Pile, held_item, next_held, piles, same_identity, waiting
from router.desk.reasons import CHOICES, Why, reason_of
from router.desk.undoing import Undo
from router.identity.decisions import rule_of
from router.journal.decisions import DeskAction
from router.journal.view import View
from router.web.access import Asked, Decided, Office, Signed
from router.web.answers import Values, go, page
from router.web.boards import HOUR
from router.web.comparisons import hints, rows
from router.web.desk import Desk
from router.web.faults import NotThere
from router.web.filters import Query, enum_of, query_of, row_number
from router.web.formatting import Formats
from router.web.pages.identities_insi import Told, accepted_of, insi_of, told
from router.web.visits import Visit

router = APIRouter()

PATH = "/identities"
WISHES = ("pile", "reason")
ACTIONS = (DeskAction.ATTACH, DeskAction.TASK, DeskAction.DOUBTFUL, DeskAction.REFUSE)
QUEUE = 20
"""Items of the queue listed below the comparison."""

PAGE = 50
LATELY = HOUR
"""Microseconds for which a person's last decision is offered to be undone on the page."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What the page compares: the Item, whom it may be about, and the one of them that is beside it (`chosen`)."""

    held: Held | None = None
    dossiers: list[Dossier] = field(default_factory=list)
    chosen: int = 0
    alike: list[int] = field(default_factory=list)
    told: Told | None = None

    @property
    def dossier(self) -> Dossier | None:
        """The patient that stands beside."""
        return self.dossiers[self.chosen] if self.dossiers else None


@router.get(PATH)
async def next_one(request: Request, desk: Office, visit: Signed) -> Response:
    """Show the next Item to decide: after the one just decided, or the oldest."""
    query = query_of(PATH, request.query_params, WISHES)
    after = row_number(request.query_params.get("after", "")) or 0
    pile = _pile(query)

    def find(view: View) -> int | None:
        return next_held(view, pile, reason=query.get("reason"), after=after)

    return await _show(request, desk, visit, query, await desk.look(find))


@router.get(PATH + "/decisions")
async def history(request: Request, desk: Office, visit: Signed) -> Response:
    """Show what was decided, newest first."""
    query = query_of(PATH + "/decisions", request.query_params, ("actor",))
    before = row_number(request.query_params.get("before", ""))

    def ask(view: View) -> Values:
        found = decisions(view, actor=query.get("actor") or None, before=before, limit=PAGE + 1)
        return {
            "query": query,
            "piles": piles(view),
            "pile": "decisions",
            "rows": found[:PAGE],
            "before": before,
            "following": found[PAGE - 1].id if len(found) > PAGE else None,
            "refused": enum_of(Refusal, request.query_params.get("refused", "")),
        }

    return await page(desk, visit, "decisions.html", ask)


@router.post(PATH + "/decisions/{number}/undo")
async def undo(number: int, desk: Office, visit: Decided) -> Response:
    """Take a decision back, and show its Item again."""
    found = await desk.look(lambda view: decision(view, number))
    if found is None:
        raise NotThere
    why = reason_of(DeskAction.UNDO, visit.posted("why")) or Why.MISTAKE
    undone = await desk.submit(Undo(number, visit.account, why, desk.now(), visit.posted("note").strip()))
    if undone.refusal is not None:
        return go(f"{PATH}/decisions?refused={undone.refusal.value}")
    desk.changed()
    return go(f"{PATH}/{found.item_id}?undone={undone.cancelled}-{undone.left}")


@router.get(PATH + "/{number}")
async def one(number: int, request: Request, desk: Office, visit: Signed) -> Response:
    """Show one Item."""
    return await _show(request, desk, visit, query_of(PATH, request.query_params, WISHES), number)


@router.post(PATH + "/{number}/search")
async def search(number: int, desk: Office, visit: Asked) -> Response:
    """Look for a patient to compare with: the address holds a random word in the text's place."""
    query = query_of(f"{PATH}/{number}", {name: visit.posted(name) for name in WISHES}, WISHES)
    text = " ".join(visit.posted("text").split())[:200]
    if not text:
        return go(query.with_())
    await desk.audit(visit.account, "search patients", f"item {number}")
    return go(query.with_(search=desk.searches.keep(visit.key, text)))


@router.post(PATH + "/{number}/decide")
async def decide(number: int, desk: Office, visit: Decided) -> Response:
    """Keep a decision, and go on with the next Item."""
    query = query_of(PATH, {name: visit.posted(name) for name in WISHES}, WISHES)
    action = enum_of(DeskAction, visit.posted("action"))
    if action is None or action not in ACTIONS:
        raise NotThere
    why = reason_of(action, visit.posted("why"))
    note = visit.posted("note").strip()
    patient = row_number(visit.posted("patient"))
    if why is None or (why is Why.OTHER and not note) or (action is DeskAction.ATTACH and patient is None):
        return go(Query(f"{PATH}/{number}", query.values).with_(refused="incomplete"))
    items = [number]
    if visit.posted("together"):
        items += [other for text in visit.form.get("also", ()) if (other := row_number(text)) is not None]
    about_patient = action is DeskAction.ATTACH or (action is DeskAction.DOUBTFUL and visit.posted("patient_too"))
    if not about_patient:
        patient = None
    decided = await desk.submit(Decide(action, items, visit.account, why, desk.now(), patient, note))
    if decided.refusal is not None:
        return go(query.with_(after=str(number), refused=decided.refusal.value))
    desk.changed()
    return go(query.with_(after=str(number)))


async def _show(request: Request, desk: Desk, visit: Visit, query: Query, number: int | None) -> Response:
    text = desk.searches.recall(visit.key, request.query_params.get("search", ""))
    answer = desk.answers.recall(visit.key, request.query_params.get("insi", ""))
    wanted = row_number(request.query_params.get("candidate", "")) or 1

    def find(view: View) -> Shown:
        held = held_item(view, number) if number is not None else None
        if held is None or visit.partial:
            return Shown(held)
        found = dossiers(view, held, text=text or "")
        alike = same_identity(view, held) if held.to_decide else []
        formats = Formats(visit.texts, visit.zone, visit.now)
        said = told(view, answer, request.query_params.get("insi", ""), formats) if answer is not None else None
        place = min(max(wanted, 1), len(found) or 1) - 1
        if said is not None and said.holders:
            # Whoever has the INS that INSi gave stands beside: that is the question that was asked.
            place = next((rank for rank, one in enumerate(found) if one.patient.id in said.holders), place)
        return Shown(held, found, place, alike, said)

    shown = await desk.look(find)
    if number is not None and shown.held is None:
        raise NotThere
    if shown.held is not None and not visit.partial:
        numbers = ", ".join(str(one.patient.id) for one in shown.dossiers)
        detail = f"patients {numbers}" if numbers else ""
        await desk.audit(visit.account, "compare identities", f"item {shown.held.line.id}", detail)
    pile = _pile(query)

    def ask(view: View) -> Values:
        values: dict[str, object] = {
            "query": query,
            "pile": pile.value,
            "piles": piles(view, pile),
            "alert_at": visit.now - desk.context.identity_alert_hours * HOUR,
            "shown": shown,
            "refresh": Query(f"{PATH}/{number}" if number is not None else PATH, query.values).with_(),
        }
        if not visit.partial:
            values |= _comparison(view, visit, shown, query, text)
            search_key = request.query_params.get("search", "") if text else ""
            values["here"] = Query(f"{PATH}/{number}", {**query.values, "search": search_key})
            values["link"] = lambda other: Query(f"{PATH}/{other}", query.values).with_()
            values["insi"] = shown.told
            values["asks_insi"] = insi_of(desk) is not None
            values["accepted"] = accepted_of(request.query_params.get("accepted", ""))
            values["refused"] = _refused(request)
            values["undone"] = _undone(request)
        return values

    return await page(desk, visit, "identities.html", ask)


def _comparison(view: View, visit: Visit, shown: Shown, query: Query, text: str | None) -> dict[str, object]:
    formats = Formats(visit.texts, visit.zone, visit.now)
    held, beside = shown.held, shown.dossier
    item = held.item if held is not None else None
    known = beside.patient.identity if beside is not None else None
    last: DecisionLine | None = last_of(view, visit.account, since=visit.now - LATELY)
    rule = rule_of(held.rule) if held is not None and held.rule else None
    return {
        "rows": rows(item.patient, known, formats) if item is not None else [],
        "hints": hints(item.patient, known) if item is not None and known is not None else [],
        "rule": rule,
        "rule_said": (rule.french if formats.french else rule.english) if rule is not None else "",
        "choices": {action.value: [why.value for why in CHOICES[action]] for action in ACTIONS},
        "text": text or "",
        "taken": decisions(view, item=held.line.id, limit=10) if held is not None else [],
        "last": last,
        "queue": waiting(view, _pile(query), reason=query.get("reason"), limit=QUEUE),
    }


def _pile(query: Query) -> Pile:
    return enum_of(Pile, query.get("pile")) or Pile.TODO


def _refused(request: Request) -> str:
    found = request.query_params.get("refused", "")
    return found if found == "incomplete" or enum_of(Refusal, found) is not None else ""


def _undone(request: Request) -> tuple[int, int] | None:
    """Read how many Deliveries an undoing cancelled, and how many had left."""
    cancelled, _, left = request.query_params.get("undone", "").partition("-")
    one, other = row_number(cancelled), row_number(left)
    return (one, other) if one is not None and other is not None else None
