"""Asking INSi from the identity desk, about what was received or about a patient, and accepting its person.

An answer is kept for the session that asked, under a random word in the address; nothing of it is written down until a
person accepts it for a patient of the register. An INS never passes from a message into the register.
"""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import APIRouter
from fastapi.responses import Response

from router.desk.queue import Held, held_item
from router.identity.insi import Insi, InsiAnswer, InsiResult, UnknownPatient
from router.identity.insi_records import Accepted, accept, confirmed_identity
from router.identity.patients import ins_token, look_up
from router.journal.view import View
from router.web.access import Decided, Office
from router.web.answers import go
from router.web.comparisons import Row, rows
from router.web.desk import Desk
from router.web.faults import NotThere
from router.web.filters import Query, enum_of, query_of
from router.web.formatting import Formats
from router.web.visits import Visit
from schemas.identity import PatientIdentity

router = APIRouter()

PATH = "/identities"
WISHES = ("pile", "reason", "candidate", "search")


@dataclass(frozen=True, slots=True)
class Told:
    """What INSi said, as the page shows it.

    `rows` compare what was asked with INSi's person; `holders` are the patients of the register who have that INS;
    `patient_id` is for whom it may be accepted.
    """

    key: str
    result: InsiResult
    code: str
    detail: str
    rows: list[Row]
    holders: tuple[int, ...]
    patient_id: int | None
    missing: tuple[str, ...] = ()


def insi_of(desk: Desk) -> Insi | None:
    """Give the access to INSi, None where it is not configured: the page then says nothing of it."""
    found = desk.context.insi
    return found if found is not None and found.configured else None


def told(view: View, answer: InsiAnswer, key: str, formats: Formats) -> Told:
    """Make an answer ready to be shown."""
    compared: list[Row] = []
    holders: tuple[int, ...] = ()
    if answer.found is not None:
        person = confirmed_identity(PatientIdentity(), answer.found).model_copy(update={"status": None})
        compared = rows(answer.asked.model_copy(update={"identifiers": ()}), person, formats)
        token = ins_token(view.sealer, answer.found.current.ins.matricule)
        holders = tuple(sorted(look_up(view.connection, [token]).active.get(token, set())))
    # Its own INS may be accepted again: that confirms the traits of an identity that was only validated.
    acceptable = answer.result is InsiResult.FOUND and set(holders) <= {answer.patient_id}
    patient_id = answer.patient_id if acceptable else None
    return Told(key, answer.result, answer.code, answer.detail, compared, holders, patient_id, answer.missing)


@router.post(PATH + "/{number}/insi")
async def ask(number: int, desk: Office, visit: Decided) -> Response:
    """Ask INSi with the identity that was received, or with a patient's of the register."""
    insi = insi_of(desk)
    held = await desk.look(lambda view: held_item(view, number))
    if insi is None or held is None:
        raise NotThere
    subject = _subject(visit, held)
    about = f"patient {subject}" if isinstance(subject, int) else "as received"
    await desk.audit(visit.account, "query INSi", f"item {number}", about)
    try:
        answer = await insi.query(subject, actor=visit.account)
    except UnknownPatient:
        raise NotThere from None
    return go(_back(number, visit).with_(insi=desk.answers.keep(visit.key, answer)))


@router.post(PATH + "/{number}/insi/accept")
async def take(number: int, desk: Office, visit: Decided) -> Response:
    """Take INSi's person as the patient who was asked about: INS and traits, byte for byte."""
    answer = desk.answers.recall(visit.key, visit.posted("answer"))
    if answer is None or answer.found is None or answer.patient_id is None or answer.result is not InsiResult.FOUND:
        raise NotThere
    accepted = await desk.submit(accept(answer.patient_id, answer.found, actor=visit.account, now=desk.now()))
    desk.changed()
    return go(_back(number, visit).with_(accepted=accepted.value))


def accepted_of(text: str) -> Accepted | None:
    """Read from an address what came of accepting."""
    return enum_of(Accepted, text)


def _subject(visit: Visit, held: Held) -> int | PatientIdentity:
    text = visit.posted("patient")
    if visit.posted("about") == "dossier" and text.isascii() and text.isdigit() and len(text) < 16:
        return int(text)
    if held.item is None:
        raise NotThere
    return held.item.patient


def _back(number: int, visit: Visit) -> Query:
    path = f"{PATH}/{number}"
    return query_of(path, {name: visit.posted(name) for name in WISHES}, WISHES)
