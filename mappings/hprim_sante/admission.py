"""Admission data (context ADM) into identities, merges and stays (hprim 3.3, 3.5 P)."""

from __future__ import annotations

from collections.abc import Iterator

from mappings.hprim_sante.exchange import Exchange
from mappings.hprim_sante.parties import professionals
from mappings.hprim_sante.patient import Person, read_patient
from mappings.hprim_sante.report import DOCTOR, NAME, RECEIVER
from mappings.hprim_sante.tree import Patient, Tree
from schemas.actors import Recipient
from schemas.identity_event import IdentityEvent
from schemas.item import IdentityItem, Item, Provenance, StayItem
from schemas.stay import Location, Stay, StayStatus

TRIGGER = "ADM"
MODIFICATION, PRE_ADMISSION = "MP", "PA"
ADMISSIONS = frozenset({"OP", "IP", "IO", "ER"})


def read_admissions(tree: Tree, exchange: Exchange) -> Iterator[Item]:
    """Read each patient of an ADM: a merge, else a stay when P.4, P.23, P.24 or P.25 speak of one, else an identity.

    A modification of the patient (P.24 = MP) is an identity, and a stay as well when dates or a place are given. Item
    identities are left empty, as in `read_reports`.
    """
    for patient in tree.patients:
        if patient.p is None:
            continue
        yield from _Admission(patient, exchange).items()


class _Admission:
    def __init__(self, patient: Patient, exchange: Exchange) -> None:
        assert patient.p is not None  # noqa: S101  # the caller passed over groups without P
        self.patient = patient
        self.p = patient.p
        self.exchange = exchange
        self.notes = exchange.notes

    def items(self) -> Iterator[Item]:
        person = read_patient(self.patient, self.exchange)
        _, eliminated, action = self.p.components(2, 3)
        if action.upper() == "FU" and eliminated:
            yield self._identity(person, "patient.merged", eliminated)
            return
        if eliminated or action:
            self.notes.warning(
                "hprim.patient.merge_unclear", self.p.where(2), "a second number without the word FU: no merge"
            )
            self.notes.leave(self.p.where(2), f"{eliminated} {action}")
        status = self.p.text_of(24).upper()
        if status and status not in ADMISSIONS | {MODIFICATION, PRE_ADMISSION}:
            self.notes.warning("hprim.admission.status", self.p.where(24), "the admission status is not known")
        times = [self.exchange.stamp(self.p, 23, self.p.delimiters.plain(one)) for one in self._movements()]
        place = self._location()
        told = any(times) or place is not None
        stays = told if status == MODIFICATION else told or bool(status) or person.visit is not None
        if status == MODIFICATION or not stays:
            yield self._identity(person, "patient.updated" if status == MODIFICATION else "patient.created")
        if stays:
            yield self._stay(person, status, times, place)

    def _movements(self) -> list[str]:
        """Give admission and discharge; an empty first repetition is an unknown admission."""
        raw = self.p.raw(23)
        return self.p.delimiters.split(raw, self.p.delimiters.repeat)[:2] if raw else []

    def _location(self) -> Location | None:
        bed, room, unit = self.p.components(25, 3)
        if not (bed or room or unit):
            return None
        return Location(unit=unit or None, room=room or None, bed=bed or None)

    def _identity(self, person: Person, event: str, eliminated: str = "") -> IdentityItem:
        absorbed = (self.exchange.assigned(eliminated, "PI", self.exchange.requester),) if eliminated else ()
        return IdentityItem(
            id="",
            occurred_at=self.exchange.sent_at,
            patient=person.identity,
            sender=self.exchange.sender,
            recipients=self._recipients(),
            content=IdentityEvent(
                event=event,
                trigger=TRIGGER,
                absorbed=absorbed,
                obtained_by=self.p.text_of(35) or None,
            ),
            source=Provenance(format=NAME, where=self.p.address),
        )

    def _stay(self, person: Person, status: str, times: list[str | None], place: Location | None) -> StayItem:
        admitted, discharged = (*times, None, None)[:2]
        now = self.exchange.sent_at
        planned = status == PRE_ADMISSION
        gone = discharged is not None and now is not None and discharged <= now and not planned
        event = "stay.planned" if planned else "stay.ended" if gone else "stay.started"
        if status == MODIFICATION and not gone:
            event = "stay.updated"
        state = StayStatus.PLANNED if planned else StayStatus.FINISHED if gone else StayStatus.IN_PROGRESS
        if not status or status == MODIFICATION:
            state = StayStatus.FINISHED if gone else StayStatus.UNKNOWN
        return StayItem(
            id="",
            occurred_at=(discharged if gone else admitted) or now,
            patient=person.identity,
            sender=self.exchange.sender,
            recipients=self._recipients(),
            content=Stay(
                event=event,
                trigger=TRIGGER,
                status=state,
                visit=person.visit,
                patient_class=status or None,
                location=place,
                admitted_at=None if planned else admitted,
                discharged_at=discharged if gone else None,
                expected_admission_at=admitted if planned else None,
                expected_discharge_at=None if gone else discharged,
                hospital=self.exchange.sender,
            ),
            source=Provenance(format=NAME, where=self.p.address),
        )

    def _recipients(self) -> tuple[Recipient, ...]:
        receiver = self.exchange.receiver
        found = [Recipient(organization=receiver, role=RECEIVER)] if receiver else []
        found += [Recipient(professional=one, role=DOCTOR) for one in professionals(self.p, 13, self.notes)]
        return tuple(found)
