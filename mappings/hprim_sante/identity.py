"""A patient to write: the segment P (hprim 3.5 P, 6.3)."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from mappings.french_time import write_stamp
from mappings.hprim_sante.patient import ATTRIBUTES, STATUSES
from mappings.hprim_sante.pen import Pen
from mappings.hprim_sante.strokes import written_place
from schemas.coding import Identifier
from schemas.identifiers import ins_authority
from schemas.identity import PatientIdentity
from schemas.identity_status import ins_usable
from schemas.item import LabReportItem

_STATUS_CODES = {status: code for code, status in STATUSES.items() if code != "VIDE"}
_ATTRIBUTE_CODES = {attribute: code for code, attribute in reversed(ATTRIBUTES.items())}
_PHONES = frozenset({"phone", "mobile"})


def patient_fields(
    item: LabReportItem, pen: Pen, minor: int, zone: ZoneInfo, own_authority: str | None
) -> dict[int, str]:
    """Write the fields of P by number; `own_authority` is the sender's, whose number is P.3 and not P.2.

    The INS goes out in version 2.5 alone, and of a qualified identity alone (ins-identity A4); fields that 2.5 brought
    are left out before it. What is left out is noted.
    """
    writer = _Writer(item, pen, minor, zone)
    return writer.fields(own_authority)


class _Writer:
    def __init__(self, item: LabReportItem, pen: Pen, minor: int, zone: ZoneInfo) -> None:
        self.patient: PatientIdentity = item.patient
        self.visit = item.content.visit
        self.pen = pen
        self.notes = pen.notes
        self.minor = minor
        self.zone = zone

    def fields(self, own_authority: str | None) -> dict[int, str]:
        patient, pen = self.patient, self.pen
        requester, laboratory = self._numbers(own_authority)
        place = next(iter(patient.addresses), None)
        given = (patient.used_given_name, patient.given_name, patient.first_given_name, *patient.birth_given_names)
        name = patient.used_name or patient.family_name or patient.birth_name
        first = next((one for one in given if one), None)
        fields = {
            2: pen.text(requester, "P.2"),
            3: pen.text(laboratory, "P.3"),
            4: pen.text(self.visit.value if self.visit else None, "P.4"),
            5: pen.components((name, first, None, None, patient.civility), "P.5"),
            6: pen.text(patient.birth_name, "P.6"),
            7: write_stamp(patient.birth_date, self.zone) if patient.birth_date else "",
            8: patient.sex or "",
            10: written_place(pen, place, "P.10") if place else "",
            12: pen.repeated(pen.text(one.value, "P.12") for one in patient.telecoms if one.kind in _PHONES),
            28: pen.text(patient.marital_status.code if patient.marital_status else None, "P.28"),
            33: write_stamp(patient.deceased_at, self.zone) if patient.deceased_at else "",
        }
        return fields | (self._since_2_5() if self.minor >= 5 else self._before_2_5())

    def _numbers(self, own_authority: str | None) -> tuple[str | None, str | None]:
        local = [one for one in self.patient.identifiers if one.type in {None, "PI", "MR"}]
        own: Identifier | None = next((one for one in local if one.system and one.system == own_authority), None)
        others = [one for one in local if one is not own]
        beyond = len(others) > 1 or any(one not in local for one in self.patient.identifiers)
        if beyond:
            message = "HPRIM Santé carries one number of the requester and one of the laboratory"
            self.notes.info("hprim.write.not_carried", "patient.identifiers", message)
        return (others[0].value if others else None), (own.value if own else None)

    def _before_2_5(self) -> dict[int, str]:
        patient = self.patient
        self._lost("patient.ins", patient.ins, "an INS needs version 2.5")
        self._lost("patient.birth_given_names", patient.birth_given_names[1:], "further given names need version 2.5")
        self._lost(
            "patient.birth_place", patient.birth_place or patient.birth_place_name, "a birth place needs version 2.5"
        )
        self._lost("patient.status", patient.status or patient.attributes, "an identity status needs version 2.5")
        mails = [one for one in patient.telecoms if one.kind not in _PHONES]
        self._lost("patient.telecoms", mails, "an e-mail address needs version 2.5")
        return {}

    def _since_2_5(self) -> dict[int, str]:
        patient, pen = self.patient, self.pen
        corrected = {True: "O", False: "N", None: ""}[patient.birth_date_corrected]
        mail = next((one.value for one in patient.telecoms if one.kind == "email"), None)
        attribute = next(iter(patient.attributes), None)
        given = (patient.birth_name, patient.first_given_name, " ".join(patient.birth_given_names))
        return {
            6: pen.components(given, "P.6"),
            11: self._ins(),
            34: pen.components((patient.birth_place_name, patient.birth_place), "P.34"),
            37: corrected,
            38: _STATUS_CODES[patient.status] if patient.status else "",
            39: _ATTRIBUTE_CODES[attribute] if attribute else "",
            41: pen.text(mail, "P.41"),
        }

    def _ins(self) -> str:
        ins = self.patient.ins
        if ins is None:
            return ""
        if not ins_usable(self.patient.status, self.patient.attributes):
            self._lost("patient.ins", ins, "only a qualified identity, neither doubtful nor fictitious, sends its INS")
            return ""
        authority = ins_authority(ins.oid)
        return self.pen.components((ins.matricule, authority.kind if authority else "", "", "", "", ins.oid), "P.11")

    def _lost(self, kind: str, value: object, message: str) -> None:
        if value:
            self.notes.warning("hprim.write.not_carried", kind, message)
