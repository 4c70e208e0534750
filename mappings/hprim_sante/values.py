"""OBX into an observation or an attachment (hprim 3.5 OBX, 6.2)."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass

from mappings.french_time import read_stamp
from mappings.hprim_sante.exchange import Exchange
from mappings.hprim_sante.parties import codings, person_identifiers
from mappings.hprim_sante.syntax import Segment
from mappings.hprim_sante.tree import Result
from mappings.lab_text import Hints, reference_of, unit_of, value_of
from schemas.actors import Professional
from schemas.attachment import Attachment
from schemas.coding import Coding
from schemas.lab import (
    CodedValue,
    DateTimeValue,
    Observation,
    ObservationValue,
    QuantityValue,
    Reference,
    ResultStatus,
    TextValue,
    Unit,
)
from schemas.value_sets import abnormal_flags

STATUSES = {
    "F": ResultStatus.FINAL,
    "U": ResultStatus.FINAL,
    "C": ResultStatus.CORRECTED,
    "R": ResultStatus.PRELIMINARY,
    "P": ResultStatus.PRELIMINARY,
    "I": ResultStatus.REGISTERED,
    "D": ResultStatus.ENTERED_IN_ERROR,
    "X": ResultStatus.CANCELLED,
}
FILES = frozenset({"FIC", "PDF", "TIF"})
MEDIA_TYPES = {
    "PDF": "application/pdf",
    "TXT": "text/plain",
    "TIF": "image/tiff",
    "TIFF": "image/tiff",
    "JPG": "image/jpeg",
    "JPEG": "image/jpeg",
    "PNG": "image/png",
    "RTF": "application/rtf",
    "HTM": "text/html",
    "HTML": "text/html",
    "XML": "application/xml",
    "DOC": "application/msword",
}
_LEADERS = re.compile(r"\s*(?:\.{3,}|…)?\s*:?\s*$")
_DATE_LABEL = re.compile(r"\bdate\b", re.IGNORECASE)
_KNOWN_TYPES = frozenset({"NM", "ST", "TX", "CE", "CNA", "PN", "AD", "TN", "DT", "TS", "CK", "GC", "GB", "GN", "RT"})


@dataclass(frozen=True, slots=True)
class Place:
    """OBX.15: where the result is printed. Ranks are None when they are not numbers (hprim 3.6)."""

    sector: str
    sector_rank: int | None
    panel: str
    panel_rank: int | None
    rank: int | None


def is_file(obx: Segment) -> bool:
    """Tell whether an OBX refers to a file instead of holding a result."""
    return obx.text_of(2).upper() in FILES


def is_withdrawn(obx: Segment, exchange: Exchange) -> bool:
    """Tell whether the status deletes or cancels a file: it is then not taken, and said."""
    if obx.text_of(11).upper() not in {"D", "X"}:
        return False
    exchange.notes.warning("hprim.attachment.withdrawn", obx.where(11), "the attached file is withdrawn by its sender")
    exchange.notes.leave(obx.where(5), obx.text_of(5))
    return True


def read_comment(comments: list[Segment]) -> str | None:
    """Join comments: a segment C each, its repetitions are lines."""
    lines: list[str] = []
    for segment in comments:
        segment.raw(2)
        lines += [segment.delimiters.plain(one).rstrip() for one in segment.lines(3)]
    return "\n".join(lines).strip("\n") or None


def read_observation(result: Result, exchange: Exchange, specimen: str | None) -> Observation:
    """Read a result with its comments."""
    obx = result.obx
    whole = next(iter(obx.repetitions(3)), "")
    _, label, _, _, other_label, _ = obx.parts(whole, 6)
    label = _LEADERS.sub("", label) or _LEADERS.sub("", other_label)
    codes = codings(obx, whole)
    if not codes:
        exchange.notes.warning("hprim.result.code_missing", obx.where(3), "the result has no code")
    unit = unit_of(next((part for part in obx.components(6, 2) if part), None))
    flags = _flags(obx, exchange)
    value, own_unit = _value(obx, unit, flags, label, exchange)
    unit = unit or own_unit
    return Observation(
        label=label or None,
        codes=codes,
        sub_id=obx.text_of(4) or None,
        value=value,
        unit=unit,
        reference=_reference(obx, unit),
        flags=flags,
        status=_status(obx, exchange),
        issued_at=exchange.stamp(obx, 14),
        specimen=specimen,
        comment=read_comment(result.comments),
        validated_by=_validator(obx, exchange),
        access=obx.text_of(13) or None,
    )


def _status(obx: Segment, exchange: Exchange) -> ResultStatus:
    letter = obx.text_of(11).upper()
    known = STATUSES.get(letter)
    if letter and known is None:
        exchange.notes.warning("hprim.status.unknown", obx.where(11), "the status is none of the recommendation")
        exchange.notes.leave(obx.where(11), letter)
    return known or ResultStatus.UNKNOWN


def _flags(obx: Segment, exchange: Exchange) -> tuple[str, ...]:
    known: list[str] = []
    for raw in obx.repetitions(8):
        flag = obx.delimiters.plain(raw).strip()
        if flag.upper() in abnormal_flags():
            known.append(flag.upper())
            continue
        if flag.upper() != "NULL":
            exchange.notes.warning("hprim.flag.unknown", obx.where(8), "the flag is not one of table 0078: not used")
        exchange.notes.leave(obx.where(8), flag)
    return tuple(known)


def _reference(obx: Segment, unit: Unit | None) -> Reference | None:
    texts = [obx.delimiters.plain(one).strip() for one in obx.repetitions(7)]
    if len(texts) > 1:
        return Reference(text="\n".join(texts))
    return reference_of(texts[0], unit.raw if unit else None) if texts else None


def _validator(obx: Segment, exchange: Exchange) -> Professional | None:
    code, name, kind = obx.components(16, 3)
    identifiers = person_identifiers(code, kind, obx.where(16), exchange.notes)
    return Professional(identifiers=identifiers, name=name or None) if identifiers or name else None


def _value(
    obx: Segment, unit: Unit | None, flags: tuple[str, ...], label: str, exchange: Exchange
) -> tuple[ObservationValue | None, Unit | None]:
    kind = obx.text_of(2).upper()
    repetitions = obx.repetitions(5)
    if not repetitions:
        return None, None
    if kind == "CE":
        return _coded(obx, repetitions), None
    lines = _lines(obx, kind, obx.lines(5) if kind in {"TX", "RT"} else repetitions)
    text = "\n".join(lines).strip("\n")
    if text.strip() in {"", ".", "_"}:
        return None, None
    if kind in {"DT", "TS"}:
        moment = read_stamp(text, exchange.context.timezone)
        if moment is not None:
            return DateTimeValue(at=moment, text=text.strip()), None
        exchange.notes.warning("hprim.value.not_a_date", obx.where(5), "declared a date, kept as text")
        return TextValue(text=text), None
    if kind not in _KNOWN_TYPES:
        exchange.notes.warning("hprim.value.type", obx.where(2), "the type of the value is not known: read by content")
    if len(lines) == 1 and kind not in {"CNA", "PN", "AD", "TN", "CK", "GC", "GB", "GN"}:
        return _single(obx, text, kind, unit, flags, label, exchange)
    return TextValue(text=text), None


def _lines(obx: Segment, kind: str, repetitions: list[str]) -> list[str]:
    """Cut a text into lines: repetitions, and in old files the sub-fields of TX (hprim 3.5)."""
    delimiters = obx.delimiters
    if kind in {"TX", "RT"}:
        parts = [part for one in repetitions for part in delimiters.split(one, delimiters.component)]
        return [delimiters.plain(part).rstrip() for part in parts]
    if kind in {"NM", "ST", "DT", "TS"}:
        return [delimiters.plain(one).strip() for one in repetitions]
    cut = (
        [delimiters.plain(part).strip() for part in delimiters.split(one, delimiters.component)] for one in repetitions
    )
    return [" ".join(part.replace(delimiters.sub, " ") for part in parts if part) for parts in cut]


def _single(
    obx: Segment, text: str, kind: str, unit: Unit | None, flags: tuple[str, ...], label: str, exchange: Exchange
) -> tuple[ObservationValue | None, Unit | None]:
    """Read one line: a number when it was declared one, or when comparator, unit or bounds say so."""
    bounds = _reference(obx, unit)
    hints = Hints(
        numeric=kind == "NM",
        bounded=bounds is not None and (bounds.low is not None or bounds.high is not None),
        dated=_DATE_LABEL.search(label) is not None,
        zone=exchange.context.timezone,
    )
    read = value_of(text, unit, hints)
    value = read.value
    if isinstance(value, QuantityValue) and value.comparator is None:
        comparator = next((flag for flag in flags if flag in {"<", ">"}), None)
        value = value.model_copy(update={"comparator": comparator}) if comparator else value
    if kind == "NM" and isinstance(value, TextValue):
        exchange.notes.warning("hprim.value.not_numeric", obx.where(5), "declared a number, kept as text")
    if isinstance(value, TextValue):
        value = TextValue(text=text if kind in {"TX", "RT"} else text.strip())
    return value, read.unit


def _coded(obx: Segment, repetitions: list[str]) -> ObservationValue | None:
    """Read CE: the codes of all repetitions, and the text of the first."""
    codes: list[Coding] = []
    texts: list[str] = []
    for one in repetitions:
        found = codings(obx, one)
        codes += found
        text = obx.parts(one, 2)[1]
        if text and not texts:
            texts.append(text)
    if not (codes or texts):
        return None
    return CodedValue(codes=tuple(codes), text=next(iter(texts), None))


def read_place(obx: Segment) -> Place | None:
    """Read OBX.15; sector and its rank may be swapped: the one that is not a number is the sector."""
    sector, sector_rank, panel, panel_rank, rank, _ = obx.components(15, 6)
    if _number(sector) is not None and sector_rank and _number(sector_rank) is None:
        sector, sector_rank = sector_rank, sector
    if not (sector or panel):
        return None
    return Place(sector, _number(sector_rank), panel, _number(panel_rank), _number(rank))


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


def read_file(obx: Segment, exchange: Exchange) -> Attachment:
    """Read a reference to a file that travels beside the message: emitter ~ file name ~ type (hprim 3.5, FIC)."""
    whole = next(iter(obx.repetitions(5)), "")
    _, name, kind = obx.parts(whole, 3)
    label = obx.components(3, 2)[1]
    extension = name.rpartition(".")[2].upper() if "." in name else ""
    fallback = "" if obx.text_of(2).upper() == "FIC" else obx.text_of(2).upper()
    types = (MEDIA_TYPES.get(one.upper()) for one in (kind, extension, fallback))
    media_type = next((one for one in types if one), "application/octet-stream")
    content = _beside(name, exchange)
    obx.raw(11)
    if not name:
        exchange.notes.warning("hprim.attachment.unnamed", obx.where(5), "the attached file has no name")
    elif content is None:
        exchange.notes.warning("hprim.attachment.missing", obx.where(5), "the attached file is not beside the message")
    return Attachment(
        media_type=media_type,
        title=label or None,
        filename=name or None,
        size=len(content) if content is not None else None,
        data=base64.b64encode(content).decode() if content is not None else None,
    )


def _beside(name: str, exchange: Exchange) -> bytes | None:
    """Find a file by its exact name, else by the only name that differs in case alone."""
    siblings = exchange.context.siblings
    if not name or name in siblings:
        return siblings.get(name) if name else None
    alike = [one for one in siblings if one.casefold() == name.casefold()]
    return siblings[alike[0]] if len(alike) == 1 else None
