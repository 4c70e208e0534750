"""Reports as HL7v2.5 ORU^R01."""

from __future__ import annotations

from connectors.sandbox.analyses import Panel
from connectors.sandbox.er7 import AUTHORITY, escaped, message, msh, pid, professional, segment, stamp
from connectors.sandbox.people import BIOLOGIST, PRESCRIBER, Person
from connectors.sandbox.reports import LABORATORY_CODE, LABORATORY_NAME, Measure, Report


def oru(
    report: Report,
    *,
    control_id: str,
    visit: str = "",
    with_ins: bool = True,
    processing: str = "T",
    charset: str = "UNICODE UTF-8",
) -> bytes:
    """Write a report as ORU^R01: one OBR a panel, one OBX a result, NTE for comments, SPM for the blood sample.

    `visit` is the hospital stay (PV1-19) when the order comes from one. Sent at `report.issued_at`.
    """
    segments = [
        msh(
            "ORU^R01^ORU_R01",
            sender="LABO-FICTIF",
            facility=LABORATORY_CODE,
            control_id=control_id,
            at=report.issued_at,
            version="2.5",
            processing=processing,
            charset=charset,
        ),
        pid(report.person, with_ins=with_ins),
    ]
    if visit:
        segments.append(segment("PV1", {1: "1", 2: "I", 19: f"{visit}^^^{AUTHORITY}^VN"}))
    for rank, (panel, measures) in enumerate(report.panels, start=1):
        segments.append(segment("ORC", {1: "RE", 2: report.order_id, 3: report.report_id}))
        segments.append(_obr(report, panel, rank))
        for row, measure in enumerate(measures, start=1):
            segments.append(obx(report, measure, row))
            if measure.comment:
                segments.append(segment("NTE", {1: "1", 2: "L", 3: escaped(measure.comment)}))
        if report.conclusion and rank == len(report.panels):
            segments.append(segment("NTE", {1: "1", 2: "L", 3: escaped(report.conclusion)}))
        segments.append(
            segment(
                "SPM",
                {1: str(rank), 2: f"^{report.report_id}-S", 4: "BLD^Sang^HL70487", 17: stamp(report.collected_at)},
            )
        )
    return message(segments, charset)


def under_used_name(message: bytes, person: Person, number: str) -> bytes:
    """Make a report say no more than some laboratories do: a number of their own, and the name of every day."""
    lines = message.decode().split("\r")
    place = next(rank for rank, line in enumerate(lines) if line.startswith("PID|"))
    fields = lines[place].split("|")
    fields[3] = f"{number}^^^LABO-SUD^PI"
    fields[5] = f"{person.daily_name}^{person.given_name}^^^{person.civility}^^D"
    fields[11] = ""
    lines[place] = "|".join(fields[:14])
    return "\r".join(lines).encode()


def _obr(report: Report, panel: Panel, rank: int) -> str:
    # OBR-32 is an NDL: its first component is the person, written with sub-components.
    fields = {
        1: str(rank),
        2: report.order_id,
        3: report.report_id,
        4: f"{panel.loinc}^{panel.title}^LN^{panel.code}^{panel.title}^L",
        7: stamp(report.collected_at),
        16: professional(PRESCRIBER),
        22: stamp(report.issued_at),
        24: panel.section,
        25: report.status,
        32: f"{BIOLOGIST.rpps}&{BIOLOGIST.family_name}&{BIOLOGIST.given_name}",
    }
    return segment("OBR", fields)


def obx(report: Report, measure: Measure, row: int) -> str:
    """Write one result: NM, or SN when it has a comparator; the range and flag as the laboratory prints them."""
    analysis = measure.analysis
    low, high = analysis.low, analysis.high
    if low is not None and high is not None:
        bounds = f"{low}-{high}"
    else:
        bounds = f"<{high}" if high is not None else f">{low}" if low is not None else ""
    fields = {
        1: str(row),
        2: "SN" if measure.comparator else "NM",
        3: f"{analysis.loinc}^{analysis.label}^LN^{analysis.code}^{analysis.label}^L",
        5: f"{measure.comparator}^{measure.number}" if measure.comparator else measure.number,
        6: escaped(analysis.unit),
        7: bounds,
        8: measure.flag,
        11: measure.status,
        14: stamp(report.collected_at),
        15: f"{LABORATORY_CODE}^{LABORATORY_NAME}^L",
    }
    return segment("OBX", fields)
