"""The messages of the bench: prepared once a patient, so that making one costs the generator a microsecond."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from datetime import datetime

from connectors.sandbox.analyses import INFLAMMATION, NFS
from connectors.sandbox.er7 import message, msh, pid, professional, segment, stamp
from connectors.sandbox.laboratory import PARIS
from connectors.sandbox.people import PRESCRIBER, Person, population
from connectors.sandbox.reports import LABORATORY_CODE, Measure, measure

REPORT_ID = re.compile(rb"BENCH-(\d{9})")
"""Finds the number of a report in whatever carries it."""

_CONTROL_PLACE = "@CONTROL@"
_REPORT_PLACE = "@REPORT@"
_SENT_AT = datetime(2026, 3, 5, 9, 30, tzinfo=PARIS)

Frame = tuple[bytes, bytes, bytes]
"""An MLLP frame in three pieces: before the control id, between the two ids, after the report id."""


class Traffic:
    """ORU^R01 of 12 OBX, 1.2 to 1.6 kB, over `patients` registered people, the same for the same seed.

    Message `number` is about patient `number % patients`; its control id is `Bnnnnnnnnn`, its report id
    `BENCH-nnnnnnnnn`.
    """

    def __init__(self, patients: int = 1000, seed: int = 1) -> None:
        self.people = population(patients, seed)
        draw = random.Random(seed)
        self._frames = [_prepared(person, draw) for person in self.people]

    def frame(self, number: int) -> bytes:
        """Make a framed message."""
        before, between, after = self._frames[number % len(self._frames)]
        return b"%bB%09d%bBENCH-%09d%b" % (before, number, between, number, after)


def accepted(number: int) -> bytes:
    """Give what the acknowledgement of a message must contain."""
    return b"MSA|AA|B%09d" % number


def _prepared(person: Person, draw: random.Random) -> Frame:
    results = [measure(draw, analysis) for analysis in (*NFS.analyses, *INFLAMMATION.analyses)]
    content = message(_segments(person, results))
    before, _, rest = content.partition(_CONTROL_PLACE.encode())
    between, _, after = rest.partition(_REPORT_PLACE.encode())
    return b"\x0b" + before, between, after + b"\x1c\r"


def _segments(person: Person, results: Sequence[Measure]) -> list[str]:
    header = msh(
        "ORU^R01^ORU_R01",
        sender="LABO-FICTIF",
        facility=LABORATORY_CODE,
        control_id=_CONTROL_PLACE,
        at=_SENT_AT,
        version="2.5",
    )
    obr = {
        1: "1",
        3: _REPORT_PLACE,
        4: f"{NFS.loinc}^{NFS.title}^LN",
        7: stamp(_SENT_AT),
        16: professional(PRESCRIBER),
        22: stamp(_SENT_AT),
        24: NFS.section,
        25: "F",
    }
    return [header, pid(person), segment("OBR", obr), *(_obx(row, result) for row, result in enumerate(results, 1))]


def _obx(row: int, result: Measure) -> str:
    analysis = result.analysis
    bounds = f"{analysis.low}-{analysis.high}" if analysis.low else f"<{analysis.high}"
    fields = {
        1: str(row),
        2: "SN" if result.comparator else "NM",
        3: f"{analysis.loinc}^{analysis.label}^LN",
        5: f"<^{result.number}" if result.comparator else result.number,
        6: analysis.unit,
        7: bounds,
        8: result.flag,
        11: result.status,
    }
    return segment("OBX", fields)
