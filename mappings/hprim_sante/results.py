"""Results to write: OBX and the comments below them (hprim 3.5 OBX, 6.2)."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from mappings.french_time import write_stamp
from mappings.hprim_sante.pen import Pen
from mappings.hprim_sante.report import CHAPTER_COMMENT
from mappings.hprim_sante.sections import Printed
from mappings.hprim_sante.strokes import written_code, written_person
from mappings.lab_text import plain_decimal, range_text, value_text
from schemas.coding import LOCAL, LOINC, Coding
from schemas.lab import (
    CodedValue,
    DateTimeValue,
    Observation,
    ObservationValue,
    QuantityValue,
    Reference,
    ResultStatus,
    SecondResult,
    TextValue,
)

STATUSES = {
    ResultStatus.FINAL: "F",
    ResultStatus.CORRECTED: "C",
    ResultStatus.AMENDED: "C",
    ResultStatus.PRELIMINARY: "P",
    ResultStatus.PARTIAL: "P",
    ResultStatus.REGISTERED: "I",
    ResultStatus.CANCELLED: "X",
    ResultStatus.ENTERED_IN_ERROR: "D",
}
LONGEST_STRING = 200
"""A longer text is written as TX."""


class Results:
    """Writes the OBX of a message, ranked within each OBR."""

    def __init__(self, pen: Pen, zone: ZoneInfo) -> None:
        self.pen = pen
        self.notes = pen.notes
        self.zone = zone
        self.rank = 0

    def begin(self) -> None:
        """Begin the results of an OBR."""
        self.rank = 0

    def add(self, printed: Printed) -> None:
        """Write a result with its second result and comment, or the comment of a chapter."""
        place = self._place(printed)
        observation = printed.observation
        if observation is None:
            self.add_text(CHAPTER_COMMENT, "Commentaire", printed.comment, place)
            return
        self._write(observation, observation.sub_id, place)
        if observation.second is not None:
            self._second(observation, observation.second, place)
        if observation.comment:
            self.pen.segment("C", {1: "1", 2: "L", 3: self.pen.lines(observation.comment, "C.3")})

    def add_text(self, code: str, label: str, text: str | None, place: str = "") -> None:
        """Write a text that is no result under a code of ours."""
        if text:
            fields = {2: "TX", 3: self._labelled(code, label), 5: self.pen.lines(text, "OBX.5"), 11: "F", 15: place}
            self._obx(fields)

    def add_file(self, title: str | None, reference: tuple[str | None, str, str]) -> None:
        """Write a reference to a file beside the message: emitter ~ name ~ type."""
        where = "OBX.5"
        fields = {
            2: "FIC",
            3: self._labelled("FIC", title or "Fichier joint"),
            5: self.pen.components(reference, where),
            11: "F",
        }
        self._obx(fields)

    def _labelled(self, code: str, label: str) -> str:
        return self.pen.components((code, label, "L"), "OBX.3")

    def _obx(self, fields: dict[int, str]) -> None:
        self.rank += 1
        self.pen.segment("OBX", {1: str(self.rank), **fields})

    def _place(self, printed: Printed) -> str:
        if printed.sector is None and printed.panel is None:
            return ""
        panel = printed.panel.code if printed.panel else ""
        ranks = (str(printed.sector_rank), panel, str(printed.panel_rank), str(printed.rank))
        return self.pen.components((printed.sector, *ranks), "OBX.15")

    def _write(self, observation: Observation, sub_id: str | None, place: str) -> None:
        pen = self.pen
        flags = observation.flags
        kind, value = self._value(observation.value, flags)
        status = STATUSES.get(observation.status, "")
        if observation.status in {ResultStatus.AMENDED, ResultStatus.PARTIAL}:
            self.notes.info("hprim.write.status", "OBX.11", f"status {observation.status} is written as its nearest")
        validator = observation.validated_by
        self._obx(
            {
                2: kind,
                3: self._codes(observation),
                4: pen.text(sub_id, "OBX.4"),
                5: value,
                6: pen.text(observation.unit.raw if observation.unit else None, "OBX.6"),
                7: self._range(observation.reference),
                8: pen.repeated(pen.text(flag, "OBX.8") for flag in flags),
                11: status,
                13: pen.text(observation.access, "OBX.13"),
                14: write_stamp(observation.issued_at, self.zone) if observation.issued_at else "",
                15: place,
                16: written_person(pen, validator, "OBX.16", flat=True) if validator else "",
            }
        )

    def _second(self, first: Observation, second: SecondResult, place: str) -> None:
        """Write the second result as a line of its own: same analysis, sub-identifier `2`, the other unit."""
        update = {"value": second.value, "unit": second.unit, "reference": second.reference, "flags": second.flags}
        sub_id = f"{first.sub_id}.2" if first.sub_id and first.sub_id != "1" else "2"
        self._write(first.model_copy(update=update), sub_id, place)

    def _codes(self, observation: Observation) -> str:
        """Write OBX.3: the sender's own code first, then LOINC or another; two are all it holds."""
        codes = sorted(observation.codes, key=lambda one: (one.system not in {LOCAL, None}, one.system != LOINC))
        if len(codes) > 2:
            self.notes.warning("hprim.write.not_carried", "observation.codes", "OBX.3 holds two codes of an analysis")
        if not codes:
            self.notes.warning("hprim.write.missing", "OBX.3", "a result has no code: only its label is written")
            return self.pen.components(("", observation.label), "OBX.3")
        code, label, system = written_code(codes[0])
        cells = [code, observation.label or label, system]
        return self.pen.components((*cells, *(written_code(codes[1]) if len(codes) > 1 else ())), "OBX.3")

    def _range(self, reference: Reference | None) -> str:
        return self.pen.lines(range_text(reference), "OBX.7") if reference else ""

    def _value(self, value: ObservationValue | None, flags: tuple[str, ...]) -> tuple[str, str]:
        """Write OBX.2 and OBX.5. A comparator that is a flag too is that flag; any other makes the number a text."""
        pen = self.pen
        match value:
            case None:
                return "ST", ""
            case QuantityValue() if value.comparator is None or value.comparator in flags:
                return "NM", plain_decimal(value.number)
            case QuantityValue():
                return "ST", pen.text(f"{value.comparator}{plain_decimal(value.number)}", "OBX.5")
            case CodedValue():
                return "CE", self._coded(value)
            case DateTimeValue() if len(value.at) >= 10 and value.at[4] == "-":
                return "DT", write_stamp(value.at, self.zone)
            case TextValue() if "\n" in value.text or len(value.text) > LONGEST_STRING:
                return "TX", pen.lines(value.text, "OBX.5")
        return "ST", pen.text(value_text(value, self.zone), "OBX.5")

    def _coded(self, value: CodedValue) -> str:
        codes = value.codes or (Coding(code=""),)
        pairs = [codes[at : at + 2] for at in range(0, len(codes), 2)]
        written = []
        for number, pair in enumerate(pairs):
            cells = [cell for code in pair for cell in written_code(code)]
            if number == 0 and value.text:
                cells[1] = value.text
            if not value.codes:
                cells[2] = ""
            written.append(self.pen.components(cells, "OBX.5"))
        return self.pen.repeated(written)
