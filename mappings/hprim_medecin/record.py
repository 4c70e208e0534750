"""One RES line: its fields, value, bounds, flag and status (hprim 2.4 and 2.5.1-12)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from decimal import Decimal
from zoneinfo import ZoneInfo

from mappings.lab_text import Hints, number_of, reference_of, unit_of, value_of
from mappings.notes import Notes
from mappings.plain_text import squeezed, without_controls, without_entities
from schemas.coding import LOCAL, Coding
from schemas.lab import (
    CodedValue,
    Observation,
    ObservationValue,
    QuantityValue,
    Reference,
    ResultStatus,
    SecondResult,
    TextValue,
    Unit,
)
from schemas.value_sets import abnormal_flags

FIELDS = 14
LONG_COMMENT = 50
"""A text longer than that in RES-05, with a number in RES-11, is a comment on that number (hprim 2.5.12)."""

STATUSES = {"F": ResultStatus.FINAL, "R": ResultStatus.PRELIMINARY, "C": ResultStatus.CORRECTED}
_LABEL_START = re.compile(r"^[-–•\s]+(?=\w)")
_LABEL_END = re.compile(r"\s*(?:\.{3,}|…)?\s*:?\s*$")
_SO_IT_IS = re.compile(r"soit[\s.:…]*", re.IGNORECASE)
_DATE_LABEL = re.compile(r"\bdate\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Res:
    """A RES line: its rank in the file, its fields (RES-01 is `fields[1]`), padded to 14."""

    rank: int
    fields: tuple[str, ...]

    def where(self, number: int) -> str:
        """Give the address of a field (`RES[3]-05`)."""
        return f"RES[{self.rank}]-{number:02d}"


def split_res(rank: int, text: str, notes: Notes) -> Res:
    """Split a RES line; fields beyond the fourteenth are left unread."""
    cells = [cell.strip() for cell in without_controls(text).split("|")]
    for number, cell in enumerate(cells[FIELDS:], FIELDS + 1):
        notes.leave(f"RES[{rank}]-{number:02d}", cell)
    cells = cells[:FIELDS] + [""] * (FIELDS - len(cells))
    return Res(rank, ("", *cells))


def clean_label(raw: str) -> str:
    """Give a label without its dashes, leader dots, final colon and runs of blanks (hprim 2.5.13)."""
    return _LABEL_END.sub("", _LABEL_START.sub("", squeezed(without_entities(raw))))


@dataclass(slots=True)
class Draft:
    """An observation in the making: later lines may add a second result or a comment."""

    res: Res
    observation: Observation
    comment: list[str] = field(default_factory=list)

    def finished(self) -> Observation:
        """Give the observation with its comment."""
        comment = "\n".join(self.comment).strip("\n")
        return replace_comment(self.observation, comment) if comment else self.observation


def replace_comment(observation: Observation, comment: str) -> Observation:
    """Add a comment under the one that is there."""
    text = f"{observation.comment}\n{comment}" if observation.comment else comment
    return observation.model_copy(update={"comment": text})


@dataclass(frozen=True, slots=True)
class Profile:
    """What the partner's settings say of RES lines: legal time, and the status of a result sent without one."""

    zone: ZoneInfo
    empty_status: ResultStatus = ResultStatus.UNKNOWN


def is_placeholder(res: Res) -> bool:
    """Tell whether the line only announces an analysis of the panel: neither label nor value (hprim 2.5.2)."""
    return not (clean_label(res.fields[2]) or res.fields[5] or res.fields[11])


def read_res(res: Res, profile: Profile, notes: Notes) -> Draft:
    """Read a RES line as an observation."""
    fields = res.fields
    first = _result(res, 5, profile, notes)
    second = _result(res, 11, profile, notes)
    comment = None
    if isinstance(first.value, TextValue) and len(fields[5]) > LONG_COMMENT and isinstance(second.value, QuantityValue):
        first, second, comment = second, _Result(), without_entities(fields[5])
    flags = _flags(res, notes)
    on_second = bool(flags) and first.reference is None and second.reference is not None and second.value is not None
    code = fields[3]
    label = clean_label(fields[2]) or None
    return Draft(
        res,
        Observation(
            label=label,
            codes=(Coding(system=LOCAL, code=code, display=label),) if code else (),
            value=first.value,
            unit=first.unit,
            reference=first.reference,
            flags=() if on_second else flags,
            status=_status(res, profile, notes),
            second=_second(res, second, flags if on_second else (), notes),
            comment=comment,
        ),
    )


@dataclass(frozen=True, slots=True)
class _Result:
    value: ObservationValue | None = None
    unit: Unit | None = None
    reference: Reference | None = None


def _result(res: Res, start: int, profile: Profile, notes: Notes) -> _Result:
    """Read value, unit and bounds: fields 5 to 8, or 11 to 14 for the second result."""
    text, low, high = res.fields[start], *res.fields[start + 2 : start + 4]
    unit = unit_of(res.fields[start + 1])
    reference = _reference(low, high, unit.raw if unit else None)
    if not text or (text in {".", "_"} and start == 5):
        return _Result(None, unit, reference)
    kind = res.fields[4].upper()
    if kind == "C" and start == 5:
        return _Result(CodedValue(codes=(Coding(system=LOCAL, code=text),)), unit, reference)
    hints = Hints(
        numeric=kind == "N" or start == 11,
        bounded=reference is not None and (reference.low is not None or reference.high is not None),
        dated=_DATE_LABEL.search(res.fields[2]) is not None,
        zone=profile.zone,
    )
    read = value_of(text, unit, hints)
    if kind == "N" and isinstance(read.value, TextValue):
        notes.info("hprim.value.not_numeric", res.where(start), "declared a number, kept as text")
    return _Result(read.value, unit or read.unit, reference)


def _reference(low: str, high: str, unit: str | None) -> Reference | None:
    """Read two bounds in two fields, or a whole range in one of them (hprim 2.5.6); a lone `-` is none."""
    low, high = (text if text.strip("-. ") else "" for text in (low, high))
    low_end, high_end = number_of(low), number_of(high)
    if low and high:
        text = f"{low} - {high}"
        if low_end is None or high_end is None or Decimal(low_end) > Decimal(high_end):
            return Reference(text=text)
        return Reference(low=low_end, high=high_end, text=text)
    if low_end is not None:
        return Reference(low=low_end, text=f"> {low}")
    if high_end is not None:
        return Reference(high=high_end, text=f"< {high}")
    return reference_of(low or high, unit)


def _flags(res: Res, notes: Notes) -> tuple[str, ...]:
    flag = res.fields[9]
    if not flag:
        return ()
    if flag.upper() in abnormal_flags():
        return (flag.upper(),)
    notes.warning("hprim.flag.unknown", res.where(9), "the flag is not one of table 0078: not used")
    notes.leave(res.where(9), flag)
    return ()


def _status(res: Res, profile: Profile, notes: Notes) -> ResultStatus:
    status = res.fields[10]
    if not status:
        return profile.empty_status
    known = STATUSES.get(status.upper())
    if known is None:
        notes.warning("hprim.status.unknown", res.where(10), "the status is none of F, R, C: not known to be final")
        notes.leave(res.where(10), status)
    return known or ResultStatus.UNKNOWN


def _second(res: Res, second: _Result, flags: tuple[str, ...], notes: Notes) -> SecondResult | None:
    if second.value is None:
        if second.unit or second.reference:
            for number in range(12, 15):
                notes.leave(res.where(number), res.fields[number])
        return None
    return SecondResult(value=second.value, unit=second.unit, reference=second.reference, flags=flags)


def completes(res: Res, before: Draft) -> bool:
    """Tell whether a RES line is the result before it in a second unit: `soit`, or `(B)` after label or code."""
    first = before.observation
    if first.second is not None or first.value is None or not res.fields[5]:
        return False
    if res.fields[10] and before.res.fields[10] and res.fields[10] != before.res.fields[10]:
        return False
    label, code = squeezed(res.fields[2]), res.fields[3]
    if _SO_IT_IS.fullmatch(label):
        return True
    if label.endswith("(B)"):
        return clean_label(label.removesuffix("(B)")) == (first.label or "")
    twin = bool(before.res.fields[3]) and code == f"{before.res.fields[3]}B"
    return twin and clean_label(label) in {first.label, f"{first.label} B", f"{first.label}B"}


def add_second(before: Draft, res: Res, profile: Profile, notes: Notes) -> None:
    """Make a RES line the second result of the one before it."""
    draft = read_res(res, profile, notes).observation
    if draft.value is None:
        return
    second = SecondResult(value=draft.value, unit=draft.unit, reference=draft.reference, flags=draft.flags)
    status = before.observation.status
    if status is ResultStatus.UNKNOWN:
        status = draft.status
    before.observation = before.observation.model_copy(update={"second": second, "status": status})
    if res.fields[3] and res.fields[3] != before.res.fields[3]:
        notes.leave(res.where(3), res.fields[3])
    for number in range(11, 15):
        notes.leave(res.where(number), res.fields[number])
