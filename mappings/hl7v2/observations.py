"""OBX and what follows it, to canonical observations."""

from __future__ import annotations

import re
from functools import lru_cache, partial
from typing import NamedTuple

from mappings.hl7v2.attachments import attachment_of
from mappings.hl7v2.datatypes import address, coded, organization, professional
from mappings.hl7v2.er7 import Segment
from mappings.hl7v2.groups import Result
from mappings.hl7v2.notebook import Notebook
from mappings.hl7v2.remarks import PREVIOUS, sorted_by_role, text_of
from mappings.hl7v2.statuses import DETAIL_ONLY, OF_RESULT
from mappings.hl7v2.syntax import NULL, Syntax
from mappings.hl7v2.unread import is_clean
from mappings.hl7v2.values import flags_of, method_of, quantity, reference, unit, value_of
from schemas.actors import Organization
from schemas.attachment import Attachment
from schemas.coding import LOCAL, Identifier
from schemas.lab import (
    DateTimeValue,
    Observation,
    ObservationValue,
    PreviousResult,
    RangeValue,
    RatioValue,
    ResultStatus,
    SecondResult,
    TextValue,
    Unit,
)
from schemas.units import ucum_of
from schemas.value_sets import abnormal_flags

SECOND = ":U2"
"""Ends the OBX-4 of the line that repeats the result before it in a second unit (written by us)."""

PREVIOUS_LINE = re.compile(r"Antériorité(?: du (?P<at>\S+))? : (?P<value>[^\u00a0]*)(?:\u00a0(?P<unit>.*))?", re.DOTALL)
"""How an earlier result is said to people and read back: the value and its unit stand around a no-break space."""

_RATIO = re.compile(r"(<=|>=|<|>)?(\S+?)([:/])(\S+)")
_RANGE = re.compile(r"([+-]?[\d.]+)-([+-]?[\d.]+)")
_FLAGS = frozenset(abnormal_flags())


class Shared(NamedTuple):
    """What the results of one order have in common with it, so that none repeats it.

    `laboratory` says that the report itself names who did every analysis. `effective_at` and `issued_at` are the
    order's own times where they differ from the report's.
    """

    specimen: str | None = None
    laboratory: bool = False
    effective_at: str | None = None
    issued_at: str | None = None


def observations_of(
    notes: Notebook, results: list[Result], shared: Shared, attachments: list[Attachment]
) -> list[Observation]:
    """Read the results of one order, in order; files (ED) go to `attachments` instead."""
    kept: list[Observation] = []
    for result in results:
        obx = result.obx
        fields = obx.fields
        if fields[2:3] == ["ED"]:
            _attach(notes, result, attachments)
            continue
        if fields[11:12] == [DETAIL_ONLY]:
            notes.info("hl7v2.obx.order_detail", obx.where(11), "a line that details the order is no result")
            notes.leave(obx)
            continue
        observation = _observation(notes, result, shared)
        sub_id = observation.sub_id
        if sub_id is not None and sub_id.endswith(SECOND) and kept and _repeats(kept[-1], observation, sub_id):
            kept[-1] = kept[-1].model_copy(update={"second": _second(observation)})
        else:
            kept.append(observation)
    return kept


def _observation(notes: Notebook, result: Result, shared: Shared) -> Observation:
    """Read one OBX: what an analysis has in common from one patient to the next, then what is this result's own."""
    obx = result.obx
    count = len(obx.fields)
    value, unit_inside = value_of(notes, obx)
    own: dict[str, object] = {"value": value}
    if unit_inside is not None:
        own["unit"] = unit_inside
    effective_at, issued_at = shared.effective_at, shared.issued_at
    if count > 14:
        effective_at = notes.time(obx, 14) or effective_at
        if count > 19:
            issued_at = notes.time(obx, 19) or issued_at
    if effective_at is not None:
        own["effective_at"] = effective_at
    if issued_at is not None:
        own["issued_at"] = issued_at
    if result.notes:
        own["comment"], own["previous"] = _remarks(notes, result.notes)
    return _analysis(notes, obx, shared).model_copy(update=own)


REMEMBERED_ANALYSES = 4096
"""Results without their own values that are remembered; a pure function's memory, bounded."""

OBX_TIME = 14
_LONGEST_KEY = 2000
"""Characters of the fields of one OBX that may be remembered."""

_ANALYSES: dict[tuple[object, ...], tuple[Observation, bool]] = {}


def _analysis(notes: Notebook, obx: Segment, shared: Shared) -> Observation:
    """Read of an OBX what is not the result itself: a laboratory's analyses are the same from message to message."""
    fields = obx.fields
    key = (
        notes.syntax,
        shared.laboratory,
        shared.specimen,
        *fields[3:5],
        *fields[6:14],
        "",
        *fields[15:19],
        *fields[20:],
    )
    known = _ANALYSES.get(key)
    if known is not None:
        observation, clean = known
        if clean:
            notes.clean.add(obx)
        return observation
    read, remarks = notes.remarked(obx, partial(_read_analysis, notes, obx, shared))
    noticed = remarks is None or remarks.findings or remarks.unused or remarks.left or remarks.whole
    if not noticed and sum(map(len, fields)) - len(obx.raw(5)) <= _LONGEST_KEY:
        if len(_ANALYSES) >= REMEMBERED_ANALYSES:
            _ANALYSES.clear()
        # The times of a result (OBX-14, OBX-19) are its own: a line that has some is looked at each time.
        _ANALYSES[key] = read, len(fields) <= OBX_TIME and is_clean(obx)
    return read


def _read_analysis(notes: Notebook, obx: Segment, shared: Shared) -> Observation:
    syntax = notes.syntax
    fields = obx.fields
    count = len(fields)
    values: dict[str, object] = {}
    if count > 3:
        named = coded(fields[3], syntax)
        values["label"], values["codes"] = named.text, named.codes
        if count > 4 and fields[4]:
            values["sub_id"] = obx.code(4) or None
    if count > 6 and (raw := fields[6]) and raw != NULL:
        values["unit"] = unit(raw, syntax)
    if count > 7 and (raw := fields[7]) and raw != NULL:
        values["reference"] = reference(syntax.text(raw))
    if count > 8 and fields[8]:
        values["flags"] = flags_of(notes, obx, _FLAGS)
    values["status"] = (OF_RESULT.get(fields[11]) if count > 11 else None) or _status(notes, obx)
    if count > 13 and fields[13]:
        values["access"] = obx.code(13) or None
    if shared.specimen is not None:
        values["specimen"] = shared.specimen
    if count > 15:
        if obx.raw(23):
            notes.leave_fields(obx, 15)
        if not shared.laboratory:
            values["performer"] = performer_of(obx, syntax)
        if obx.raw(16):
            values["validated_by"] = professional(obx.first(16), syntax)
        if obx.raw(17):
            values["method"] = method_of(obx, syntax)
    return Observation.model_validate(values)


def _status(notes: Notebook, obx: Segment) -> ResultStatus:
    code = obx.code(11)
    status = OF_RESULT.get(code)
    if status is not None:
        return status
    if code:
        notes.warn("hl7v2.status.unknown", obx.where(11), "the status is not a code of table 0085")
    else:
        notes.warn("hl7v2.status.missing", obx.where(11), "the result has no status")
    return ResultStatus.UNKNOWN


def performer_of(obx: Segment, syntax: Syntax) -> Organization | None:
    """Read who did the analysis: OBX-23 and 24 (2.5.1 on), else OBX-15."""
    raw = obx.first(23)
    if raw and raw != NULL and (found := organization(raw, syntax)) is not None:
        place = obx.first(24)
        return found if not place else found.model_copy(update={"address": address(place, syntax)})
    raw = obx.first(15)
    return _producer(raw, syntax) if raw and raw != NULL else None


@lru_cache(maxsize=2048)
def _producer(raw: str, syntax: Syntax) -> Organization | None:
    found = coded(raw, syntax)
    identifiers = tuple(
        Identifier(system=None if code.system == LOCAL else code.system, value=code.code) for code in found.codes
    )
    if not identifiers and not found.text:
        return None
    return Organization(name=found.text, identifiers=identifiers)


def _attach(notes: Notebook, result: Result, attachments: list[Attachment]) -> None:
    obx = result.obx
    named = coded(obx.raw(3), notes.syntax)
    found = attachment_of(notes, obx, named.text or (named.codes[0].code if named.codes else None))
    for nte in result.notes:
        notes.leave(nte)
    if found is None:
        notes.leave_fields(obx, 5)
    else:
        attachments.append(found[0])


def _remarks(notes: Notebook, segments: list[Segment]) -> tuple[str | None, tuple[PreviousResult, ...]]:
    if not segments:
        return None, ()
    plain, ours = sorted_by_role(segments)
    previous: list[PreviousResult] = []
    for nte in ours.get(PREVIOUS, ()):
        found = PREVIOUS_LINE.fullmatch(notes.syntax.text(nte.raw(3)))
        if found is None:
            plain.append(nte)
            continue
        kind = notes.syntax.code((*notes.syntax.components(nte.raw(4)), "", "", "", "")[3])
        at, sent = found["at"], found["unit"]
        previous.append(
            PreviousResult(
                value=_earlier_value(kind, found["value"]),
                unit=Unit(raw=sent, ucum=ucum_of(sent)) if sent else None,
                effective_at=at,
            )
        )
    return text_of(notes, plain), tuple(previous)


def _earlier_value(kind: str, text: str) -> ObservationValue:
    """Read back the value of an earlier result from the words that we wrote."""
    if kind == "SN" and (ratio := _RATIO.fullmatch(text)):
        return RatioValue(numerator=ratio[2], denominator=ratio[4], comparator=ratio[1], separator=ratio[3], text=text)
    if kind == "SN" and (bounds := _RANGE.fullmatch(text)):
        return RangeValue(low=bounds[1], high=bounds[2], text=text)
    if kind in ("NM", "SN") and (number := quantity(text)):
        return number
    if kind == "TS":
        return DateTimeValue(at=text)
    return TextValue(text=text)


def _repeats(first: Observation, second: Observation, sub_id: str) -> bool:
    same_sub_id = (first.sub_id or "") == sub_id.removesuffix(SECOND)
    return same_sub_id and first.codes == second.codes and first.second is None and second.value is not None


def _second(observation: Observation) -> SecondResult | None:
    if observation.value is None:
        return None
    return SecondResult(
        value=observation.value,
        unit=observation.unit,
        reference=observation.reference,
        flags=observation.flags,
    )
