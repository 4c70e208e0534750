"""Reports as HPRIM Médecin and HPRIM Santé, as a French town laboratory exports them."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain

from connectors.sandbox.people import BIOLOGIST, INS_TEST_OID, PRESCRIBER
from connectors.sandbox.reports import LABORATORY_CODE, LABORATORY_NAME, Measure, Report

_PHYSICAL_LINE = 219
"""HPRIM Santé §B.1: 220 characters a line with its terminator."""

_FORBIDDEN = str.maketrans({"|": "/", "~": "-", "^": "-", "\\": "/", "&": "+", "\r": " ", "\n": " "})


def hprim_medecin(report: Report, *, charset: str = "cp1252") -> bytes:
    """Write a report as one HPRIM Médecin 3.0 file: 12 header lines, the readable text, the coded lines; CRLF.

    Line 1 is the patient's number at the laboratory, line 8 stays blank (a billing number is no INS), line 9 is
    the report's identity.
    """
    person = report.person
    header = (
        person.laboratory_number,
        person.daily_name,
        person.given_name,
        f"{person.address:<30}",
        "",
        f"{person.postal_code} {person.city}",
        f"{person.birth_date:%d/%m/%Y}",
        "",
        report.report_id,
        f"{report.issued_at:%d/%m/%Y}",
        f"{LABORATORY_CODE:<10} {LABORATORY_NAME}",
        f"{'DRTEST':<10} DR {PRESCRIBER.family_name} {PRESCRIBER.given_name}",
        "",
    )
    lines = (*header, *_readable(report), "****LAB****", *_coded(report), "****FIN****", "****FINFICHIER****")
    return ("\r\n".join(lines) + "\r\n").encode(charset)


def _readable(report: Report) -> Iterable[str]:
    sector = ""
    for panel, measures in report.panels:
        if panel.sector != sector:
            sector = panel.sector
            yield f"{' '.join(sector):^78}".rstrip()
        yield panel.title
        for measure in measures:
            analysis = measure.analysis
            low, high = analysis.low, analysis.high
            bounds = f"{low} à {high}" if low and high else f"inf. à {high}" if high else f"sup. à {low}" if low else ""
            star = "*" if measure.flag in {"L", "H"} else " "
            yield f" {analysis.label:<32}{measure.text:>10} {star}{analysis.unit:<14}{bounds}".rstrip()
            if measure.comment:
                yield f"   {measure.comment}"
    if report.conclusion:
        yield report.conclusion


def _coded(report: Report) -> Iterable[str]:
    sector = ""
    for panel, measures in report.panels:
        if panel.sector != sector:
            sector = panel.sector
            yield f"TEX|{' '.join(sector)}"
        yield f"TEX|{panel.title}"
        for measure in measures:
            yield _res(measure)
            if measure.comment:
                yield f"TEX|{measure.comment.translate(_FORBIDDEN)}"


def _res(measure: Measure) -> str:
    analysis = measure.analysis
    kind = "A" if measure.comparator else "N"
    text = f"{measure.text} {analysis.unit}" if measure.comparator else measure.text
    unit = "" if measure.comparator else analysis.unit
    bounds = f"{analysis.low or ''}|{analysis.high or ''}"
    return f"RES|{analysis.label}|{analysis.code}|{kind}|{text}|{unit}|{bounds}|{measure.flag}|{measure.status}"


def hprim_sante(report: Report, filename: str, *, processing: str = "T", charset: str = "latin-1") -> bytes:
    """Write a report as one HPRIM Santé H2.5 ORU: an OBR a panel, an OBX a result, C for comments; CR.

    `filename` is H.2. P.2 is the practice's number for the patient, P.3 the laboratory's, P.11 the test INS
    with its OID, P.38 the status VALI. Long segments go on in A lines.
    """
    person = report.person
    births = " ".join(person.birth_given_names)
    patient = {
        1: "1",
        2: f"CAB{person.ipp[-6:]}",
        3: person.laboratory_number,
        5: f"{person.daily_name}~{person.given_name}~~~{person.civility}",
        6: f"{person.birth_name}~{person.given_name}~{births}",
        7: f"{person.birth_date:%Y%m%d}",
        8: person.sex,
        10: f"{person.address}~~{person.city}~~{person.postal_code}~FR",
        11: f"{person.matricule}~NIR~~~~{INS_TEST_OID}",
        34: f"{person.city}~{person.birth_place}",
        38: "VALI",
    }
    header = (
        f"H|~^\\&|{filename}||{LABORATORY_CODE}~{LABORATORY_NAME}||ORU||"
        f"|DRTEST~DR {PRESCRIBER.family_name} {PRESCRIBER.given_name}||{processing}|H2.5~C"
        f"|{report.issued_at:%Y%m%d%H%M%S}"
    )
    orders = tuple(chain.from_iterable(_order(report, rank) for rank in range(len(report.panels))))
    segments = (header, _segment("P", patient), *orders)
    trailer = f"L|1||1|{len(segments) + 1}"
    physical = chain.from_iterable(_wrapped(line) for line in (*segments, trailer))
    return ("\r".join(physical) + "\r").encode(charset)


def _segment(name: str, fields: dict[int, str]) -> str:
    last = max(number for number, text in fields.items() if text)
    return "|".join((name, *(fields.get(number, "") for number in range(1, last + 1))))


def _order(report: Report, rank: int) -> Iterable[str]:
    panel, measures = report.panels[rank]
    collected = f"{report.collected_at:%Y%m%d%H%M}"
    biologist = f"{BIOLOGIST.rpps}~{BIOLOGIST.family_name}&{BIOLOGIST.given_name}~R"
    yield _segment(
        "OBR",
        {
            1: str(rank + 1),
            2: f"~{report.order_id}",
            3: f"{report.report_id}-S~{report.report_id}",
            4: f"{panel.code}~{panel.title}~L",
            7: collected,
            16: f"{PRESCRIBER.rpps}~{PRESCRIBER.family_name}&{PRESCRIBER.given_name}~R",
            22: f"{report.issued_at:%Y%m%d%H%M}",
            25: report.status,
            32: biologist,
        },
    )
    for row, measure in enumerate(measures, start=1):
        analysis = measure.analysis
        low, high = analysis.low, analysis.high
        bounds = f"{low} - {high}" if low and high else f"<{high}" if high else f">{low}" if low else ""
        yield _segment(
            "OBX",
            {
                1: str(row),
                2: "NM" if not measure.comparator else "ST",
                3: f"{analysis.code}~{analysis.label}~L~{analysis.loinc}~{analysis.label}~LN",
                5: measure.text,
                6: analysis.unit,
                7: bounds,
                8: measure.flag,
                11: measure.status,
                14: f"{report.issued_at:%Y%m%d%H%M}",
                15: f"{panel.sector}~{10 * (rank + 1)}~{panel.code}~1~{row}~P",
                16: biologist,
            },
        )
        if measure.comment:
            yield f"C|1|L|{measure.comment.translate(_FORBIDDEN)}"
    if report.conclusion and rank == len(report.panels) - 1:
        yield f"C|1|L|{report.conclusion.translate(_FORBIDDEN)}"


def _wrapped(line: str) -> Iterable[str]:
    yield line[:_PHYSICAL_LINE]
    rest = line[_PHYSICAL_LINE:]
    while rest:
        yield "A|" + rest[: _PHYSICAL_LINE - 2]
        rest = rest[_PHYSICAL_LINE - 2 :]
