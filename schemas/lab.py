"""Laboratory reports: chapters of observations, specimens, conclusion."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from schemas.actors import Organization, Professional
from schemas.attachment import Attachment
from schemas.base import DecimalText, Frozen, PartialDateTime
from schemas.coding import Coding, Identifier


class ResultStatus(StrEnum):
    """Status of a report or an observation; the words are FHIR's (observation-status, diagnostic-report-status)."""

    REGISTERED = "registered"
    PARTIAL = "partial"
    PRELIMINARY = "preliminary"
    FINAL = "final"
    CORRECTED = "corrected"
    AMENDED = "amended"
    CANCELLED = "cancelled"
    ENTERED_IN_ERROR = "entered-in-error"
    UNKNOWN = "unknown"


class QuantityValue(Frozen):
    """A number, with `text` as it was written (`12,4`, `< 0.12`). `comparator` is `<`, `<=`, `>=`, `>` or None."""

    type: Literal["quantity"] = "quantity"
    number: DecimalText
    comparator: str | None = None
    text: str | None = None


class CodedValue(Frozen):
    """A coded result (HL7 CE/CWE, HPRIM CE): all its codings, and the text."""

    type: Literal["coded"] = "coded"
    codes: tuple[Coding, ...] = ()
    text: str | None = None


class TextValue(Frozen):
    """A textual result; lines are separated by line feeds."""

    type: Literal["text"] = "text"
    text: str


class RatioValue(Frozen):
    """A titre or ratio (`1:128`); `separator` is as sent (`:` or `/`)."""

    type: Literal["ratio"] = "ratio"
    numerator: DecimalText
    denominator: DecimalText
    comparator: str | None = None
    separator: str = ":"
    text: str | None = None


class RangeValue(Frozen):
    """A result that is an interval (`3-5`)."""

    type: Literal["range"] = "range"
    low: DecimalText | None = None
    high: DecimalText | None = None
    text: str | None = None


class DateTimeValue(Frozen):
    """A result that is a date or a time: `at` is an ISO 8601 date-time, or a time `HH:MM[:SS]`."""

    type: Literal["datetime"] = "datetime"
    at: str
    text: str | None = None


ObservationValue = Annotated[
    QuantityValue | CodedValue | TextValue | RatioValue | RangeValue | DateTimeValue,
    Field(discriminator="type"),
]


class Unit(Frozen):
    """A unit as sent (`raw`) and its UCUM code, when `schemas.units` knows it for certain."""

    raw: str
    ucum: str | None = None


class Reference(Frozen):
    """A reference range: parsed bounds where they are certain, and the text as sent."""

    low: DecimalText | None = None
    high: DecimalText | None = None
    text: str | None = None


class SecondResult(Frozen):
    """The same result in a second unit, as the sender gave it with its own bounds; never a conversion of ours."""

    value: ObservationValue
    unit: Unit | None = None
    reference: Reference | None = None
    flags: tuple[str, ...] = ()


class PreviousResult(Frozen):
    """An earlier result of the same analysis that the sender printed beside the new one."""

    value: ObservationValue
    unit: Unit | None = None
    effective_at: PartialDateTime | None = None


class Observation(Frozen):
    """One result line.

    `flags` are codes of HL7 table 0078 as sent, about the first value (those of `second` are there).
    `value` None with a status (cancelled, registered) is a result that will not or not yet come.
    `specimen` is the `id` of one of the report's specimens.
    """

    label: str | None = None
    codes: tuple[Coding, ...] = ()
    sub_id: str | None = None
    value: ObservationValue | None = None
    unit: Unit | None = None
    reference: Reference | None = None
    flags: tuple[str, ...] = ()
    status: ResultStatus = ResultStatus.UNKNOWN
    effective_at: PartialDateTime | None = None
    issued_at: PartialDateTime | None = None
    method: Coding | None = None
    specimen: str | None = None
    second: SecondResult | None = None
    previous: tuple[PreviousResult, ...] = ()
    comment: str | None = None
    performer: Organization | None = None
    validated_by: Professional | None = None
    access: str | None = None


class ParentResult(Frozen):
    """The result that a chapter details (an antibiogram's organism): its code, sub-id and text (HL7v2 OBR-26).

    `translations` are the same organism in other code systems (CDA).
    """

    code: Coding | None = None
    sub_id: str | None = None
    text: str | None = None
    translations: tuple[Coding, ...] = ()


class LabChapter(Frozen):
    """A chapter or panel: its title, codes, status, comment, results and sub-chapters, in the sender's order."""

    title: str | None = None
    codes: tuple[Coding, ...] = ()
    section: str | None = None
    status: ResultStatus | None = None
    comment: str | None = None
    parent: ParentResult | None = None
    observations: tuple[Observation, ...] = ()
    chapters: tuple[LabChapter, ...] = ()


class Specimen(Frozen):
    """A specimen: `id` is unique within the report; `type` is the material, `site` the body site."""

    id: str
    identifiers: tuple[Identifier, ...] = ()
    type: Coding | None = None
    site: Coding | None = None
    method: Coding | None = None
    text: str | None = None
    collected_at: PartialDateTime | None = None
    received_at: PartialDateTime | None = None
    condition: str | None = None


class LabReport(Frozen):
    """A laboratory report.

    `report_id` with the Item's sender is the report's identity across corrections (HL7v2 OBR-3, HPRIM Santé OBR.3.2,
    HPRIM Médecin line 9). `text` is the human-readable report when the sender gives one beside the coded results.
    `visit` is the hospital stay (VN, else AN) that the order belongs to. `document_id`, `replaces_document_id` and
    `version` are those of the document that the report is, when it is one (CDA).
    """

    report_id: str | None = None
    report_authority: str | None = None
    document_id: str | None = None
    replaces_document_id: str | None = None
    version: int | None = None
    order_id: str | None = None
    order_authority: str | None = None
    status: ResultStatus = ResultStatus.UNKNOWN
    title: str | None = None
    codes: tuple[Coding, ...] = ()
    collected_at: PartialDateTime | None = None
    collected_until: PartialDateTime | None = None
    received_at: PartialDateTime | None = None
    issued_at: PartialDateTime | None = None
    laboratory: Organization | None = None
    prescriber: Professional | None = None
    validated_by: Professional | None = None
    visit: Identifier | None = None
    clinical_information: str | None = None
    conclusion: str | None = None
    comment: str | None = None
    text: str | None = None
    specimens: tuple[Specimen, ...] = ()
    chapters: tuple[LabChapter, ...] = ()
    attachments: tuple[Attachment, ...] = ()
