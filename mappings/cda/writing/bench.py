"""What the entries of one report share, and who made and validated its results (cda-fr §5.2)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from mappings.cda.writing.case import Case
from mappings.cda.writing.codes import ii, value_set
from mappings.cda.writing.header import EXECUTANT
from mappings.cda.writing.markup import NULL, element, templates
from mappings.cda.writing.parties import (
    addr,
    finess_of,
    national_person_id,
    organization,
    person_ids,
    person_name,
    telecoms,
)
from mappings.cda.writing.times import stamp
from schemas.actors import Organization, Professional
from schemas.lab import LabReport


class Validation(NamedTuple):
    """Who validated a result, and when it was obtained."""

    who: Professional | None = None
    at: str | None = None


class Around(NamedTuple):
    """What the block around a result says for all of its results.

    `collected` are the ids of the specimens that it names; `validation` is who validated its results, and when.
    """

    collected: tuple[str, ...] = ()
    validation: Validation = Validation()


@dataclass(slots=True)
class Bench:
    """What the entries of one report share: the case, the report, the specimens by id as they were written."""

    case: Case
    report: LabReport
    specimens: dict[str, str] = field(default_factory=dict)

    def lost(self, where: str, what: str) -> None:
        """Say that something of the report has no place in a CR-BIO."""
        self.case.notes.warning("cda.write.not_carried", where, f"a CR-BIO cannot carry {what}")


def performer(bench: Bench, place: Organization | None) -> str:
    """Write the laboratory that did it, where it is not that of the report."""
    case = bench.case
    if place is None or place == bench.report.laboratory:
        return ""
    setting = case.option("practice_setting") or value_set("setting")["AMBULATOIRE"]
    written = organization("representedOrganization", place, case.notes, "observation.performer", setting)
    if "<id " not in written:
        written = written.replace("<representedOrganization>", f"<representedOrganization><id{NULL}/>", 1)
    if "<name>" not in written:
        written = written.replace("<telecom", f"<name{NULL}/><telecom", 1)
    return (
        f'<performer typeCode="PRF">{templates(*EXECUTANT)}<time{NULL}/>'
        f"<assignedEntity><id{NULL}/>{written}</assignedEntity></performer>"
    )


def validator(bench: Bench, who: Professional | None, at: str | None) -> str:
    """Write the validating biologist (participant AUTHEN): the report's own where a result has a time and no name."""
    if who is None and at is not None:
        who = bench.report.validated_by
        if who is None:
            bench.lost("observation.issued_at", "when a result was obtained, unless somebody validated it")
    if who is None:
        return ""
    case = bench.case
    where = "participant AUTHEN"
    identifier = national_person_id(who, finess_of(who.organization) or case.finess)
    number = ii("id", identifier) if identifier is not None else person_ids(who, None) or f"<id{NULL}/>"
    moment = stamp(at, case.zone) if at else None
    time = f'<time><high value="{moment}"/></time>' if moment else f"<time{NULL}/>"
    name = person_name(who, case.notes, where)
    conformance = templates("1.3.6.1.4.1.19376.1.3.3.1.5", "1.2.250.1.213.1.1.3.109")
    return (
        f'<participant typeCode="AUTHEN">{conformance}{time}<participantRole>{number}{addr(who.address)}'
        f"{telecoms(who.telecoms, case.notes, where)}{element('playingEntity', name)}</participantRole></participant>"
    )
