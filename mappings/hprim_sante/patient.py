"""The segment P (and AP): a patient's identity, exactly as received (hprim 3.5 P, 6.3)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from mappings.contracts import Environment
from mappings.hprim_sante.exchange import Exchange
from mappings.hprim_sante.parties import address, telecoms
from mappings.hprim_sante.syntax import Segment
from mappings.hprim_sante.tree import Patient
from schemas.actors import Telecom
from schemas.coding import LOCAL, Coding, Identifier
from schemas.identifiers import (
    INS_C_OID,
    InsEnvironment,
    MatriculeVerdict,
    check_matricule,
    ins_authority,
    ins_is_at_home,
)
from schemas.identity import IdentityAttribute, IdentityStatus, Ins, PatientIdentity, Sex

STATUSES = {
    "PROV": IdentityStatus.PROVISIONAL,
    "VIDE": IdentityStatus.PROVISIONAL,
    "RECUP": IdentityStatus.RETRIEVED,
    "VALI": IdentityStatus.VALIDATED,
    "QUAL": IdentityStatus.QUALIFIED,
}
ATTRIBUTES = {
    "HOMO": IdentityAttribute.HOMONYM,
    "HOMD": IdentityAttribute.HOMONYM,
    "HOMA": IdentityAttribute.HOMONYM,
    "DOUT": IdentityAttribute.DOUBTFUL,
    "FICT": IdentityAttribute.FICTITIOUS,
}
FORBIDDEN = (9, 27)
"""P.9 and P.27 must be empty: what they hold is neither read nor kept."""
SINCE_2_5 = (34, 35, 36, 37, 38, 39, 40, 41)

_COG = re.compile(r"\d[0-9AB]\d{3}")


@dataclass(frozen=True, slots=True)
class Person:
    """A patient, and the stay that the message is about."""

    identity: PatientIdentity
    visit: Identifier | None


def read_patient(patient: Patient, exchange: Exchange) -> Person:
    """Read a patient; without a segment P nobody is known."""
    if patient.p is None:
        return Person(PatientIdentity(), None)
    return _Reader(patient.p, patient.insurances, exchange).read()


class _Reader:
    def __init__(self, p: Segment, insurances: list[Segment], exchange: Exchange) -> None:
        self.p = p
        self.insurances = insurances
        self.exchange = exchange
        self.notes = exchange.notes

    def read(self) -> Person:
        p = self.p
        name, given, second, alias, civility, degree = p.components(5, 6)
        for text in (second, alias, degree):
            self.notes.leave(p.where(5), text)
        birth_name, first_given, all_given = p.components(6, 3)
        if not name and not birth_name:
            self.notes.warning("hprim.patient.name_missing", p.where(5), "the patient's name is missing")
        self._forbidden()
        visit, misplaced = self._visit()
        ins, claimed = self._ins()
        died = self.exchange.stamp(p, 33)
        place, place_name = self._birth_place()
        home = address(p, 10)
        identity = PatientIdentity(
            ins=ins,
            status=self._status(),
            attributes=self._attributes(),
            identifiers=(*self._identifiers(), *claimed, *misplaced, *self._insured_numbers()),
            birth_name=birth_name or None,
            birth_given_names=tuple(all_given.split()),
            first_given_name=first_given or None,
            used_name=name or None,
            used_given_name=given or None,
            civility=civility or None,
            birth_date=self._birth_date(),
            birth_date_corrected=self._corrected(),
            sex=self._sex(),
            birth_place=place,
            birth_place_name=place_name,
            addresses=(home,) if home else (),
            telecoms=(*telecoms(p, 12), *self._mail()),
            marital_status=Coding(system=LOCAL, code=status) if (status := p.text_of(28)) else None,
            deceased=True if died else None,
            deceased_at=died,
        )
        return Person(identity, visit)

    def _forbidden(self) -> None:
        for number in FORBIDDEN:
            if self.p.raw(number):
                message = "this field must be empty: its content is not kept"
                self.notes.warning("hprim.patient.forbidden_field", self.p.where(number), message)

    def _identifiers(self) -> list[Identifier]:
        exchange = self.exchange
        own, other = self.p.components(2, 1)[0], self.p.text_of(3)
        found = []
        if own:
            found.append(exchange.assigned(own, "PI", exchange.requester))
        if other:
            found.append(exchange.assigned(other, "PI", exchange.laboratory))
        return found

    def _visit(self) -> tuple[Identifier | None, tuple[Identifier, ...]]:
        """P.4 is the stay; some senders put an insured person's number there, that its key gives away."""
        value, newborn = self.p.components(4, 2)
        self.notes.leave(self.p.where(4), newborn)
        if not value:
            return None, ()
        if len(value) == 15 and check_matricule(value).verdict is MatriculeVerdict.OK:
            message = "a social security number stands in place of the stay"
            self.notes.warning("hprim.patient.number_as_stay", self.p.where(4), message)
            return None, (Identifier(value=value, type="SB"),)
        return self.exchange.assigned(value, "VN", self.exchange.requester), ()

    def _insured_numbers(self) -> list[Identifier]:
        """AP.5 is the insured person's number: the patient's or a parent's, never an INS."""
        values = [segment.text_of(5) for segment in self.insurances if segment.name == "AP"]
        return [Identifier(value=value, type="SB") for value in dict.fromkeys(values) if value]

    def _birth_date(self) -> str | None:
        moment = self.exchange.stamp(self.p, 7)
        return moment[:10] if moment else None

    def _sex(self) -> Sex | None:
        letter = self.p.text_of(8).upper()
        if letter in {"M", "F", "U"}:
            return Sex(letter)
        if letter:
            self.notes.warning("hprim.patient.sex", self.p.where(8), "the sex is none of M, F, U")
            self.notes.leave(self.p.where(8), letter)
        return None

    def _before_2_5(self) -> bool:
        return self.exchange.minor is not None and self.exchange.minor < 5

    def _status(self) -> IdentityStatus | None:
        code = self.p.text_of(38).upper()
        known = STATUSES.get(code)
        if code and known is None:
            self.notes.warning(
                "hprim.patient.identity_status", self.p.where(38), "the status of the identity is not known"
            )
            self.notes.leave(self.p.where(38), code)
        return known

    def _attributes(self) -> tuple[IdentityAttribute, ...]:
        code = self.p.text_of(39).upper()
        known = ATTRIBUTES.get(code[:4])
        if code and known is None:
            message = "the attribute of the identity is not known: it may mean a doubtful identity"
            self.notes.warning("hprim.patient.identity_attribute", self.p.where(39), message)
            self.notes.leave(self.p.where(39), code)
        return (known,) if known else ()

    def _corrected(self) -> bool | None:
        code = self.p.text_of(37).upper()
        known = {"O": True, "OUI": True, "Y": True, "1": True, "N": False, "NON": False, "0": False}.get(code)
        if code and known is None:
            self.notes.leave(self.p.where(37), code)
        return known

    def _birth_place(self) -> tuple[str | None, str | None]:
        town, cog, country, postal_code = self.p.components(34, 4)
        if _COG.fullmatch(cog):
            self.notes.leave(self.p.where(34), " ".join(part for part in (country, postal_code) if part))
            return cog, town or None
        self.notes.leave(self.p.where(34), " ".join(part for part in (cog, country, postal_code) if part))
        return None, town or None

    def _mail(self) -> tuple[Telecom, ...]:
        mail = self.p.text_of(41)
        return (Telecom(kind="email", value=mail),) if mail else ()

    def _ins(self) -> tuple[Ins | None, tuple[Identifier, ...]]:
        """P.11 is an INS in 2.5 only, with its OID and a key that verifies; anything else is only kept."""
        ins: Ins | None = None
        kept: list[Identifier] = []
        where = self.p.where(11)
        for repetition in self.p.repetitions(11):
            value, kind, *dates, oid = self.p.parts(repetition, 6)
            self.notes.leave(where, " ".join(date for date in dates if date))
            checked = check_matricule(value)
            authority = ins_authority(oid)
            if self._before_2_5() or authority is None or checked.verdict is not MatriculeVerdict.OK:
                self.notes.warning("hprim.ins.unusable", where, "not an INS that this version may assert: only kept")
                obsolete = kind.upper().startswith("INS-") or oid == INS_C_OID
                system = f"urn:oid:{oid}" if oid and obsolete else None
                kept.append(Identifier(system=system, value=value, type="INS-C" if obsolete else None))
                continue
            if self.exchange.context.environment is Environment.PRODUCTION and not ins_is_at_home(
                oid, InsEnvironment.PRODUCTION
            ):
                self.notes.error("hprim.ins.test_oid", where, "a test INS on a production platform")
            if ins is None:
                ins = Ins(matricule=checked.value, oid=authority.oid)
                self.notes.info("hprim.ins.as_received", where, "the INS is as received: INSi has yet to verify it")
            else:
                self.notes.warning("hprim.ins.several", where, "more than one INS: the first is used")
                self.notes.leave(where, value)
        return ins, tuple(kept)
