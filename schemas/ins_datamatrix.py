"""The INS datamatrix (ANS format 2.2): its payload read and written.

A header of 26 characters, then blocks of a two-character identifier and a value; a value of variable length ends with
GS unless it has its greatest length or is the last. The payload is read block by block: a name may hold what looks like
an identifier. Scanners render GS in several ways, and blocks come in any order.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from schemas.traits import NameKind, TraitFault, checked_name

HEADER = "IS01" + "0" * 22
GS = "\x1d"

_LENGTHS = {"S1": (15, 15), "S2": (19, 20), "S3": (1, 100), "S4": (1, 100), "S5": (1, 1), "S6": (10, 10), "S7": (5, 5)}
_RENDERED = re.compile(r"<GS>|\\x1d|\\u001d|\^\]|␝", re.IGNORECASE)
_OID = re.compile(r"1\.2\.250\.1\.213\.1\.4\.\d{1,2}")
_DAY = re.compile(r"(\d{2})-(\d{2})-(\d{4})", re.ASCII)


class DatamatrixFault(Exception):
    """The text is no INS datamatrix, or the identity cannot be put into one; the sentence quotes nothing of it."""


@dataclass(frozen=True, slots=True)
class InsDatamatrix:
    """What an INS datamatrix says: `born` is `YYYY-MM-DD`, `given_names` one text, `place` a COG code or None."""

    matricule: str
    oid: str
    given_names: str
    birth_name: str
    sex: str
    born: str
    place: str | None = None


def read_datamatrix(text: str) -> InsDatamatrix:
    """Read a scanned payload; raises DatamatrixFault."""
    payload = _RENDERED.sub(GS, text.strip("\r\n"))
    if payload[:4] != "IS01" or len(payload) < len(HEADER):
        raise DatamatrixFault("this is not an INS datamatrix of version 01")
    values = _blocks(payload[len(HEADER) :])
    missing = [name for name in ("S1", "S2", "S3", "S4", "S5", "S6") if name not in values]
    if missing:
        raise DatamatrixFault(f"the datamatrix lacks {', '.join(missing)}")
    day = _DAY.fullmatch(values["S6"])
    if day is None:
        raise DatamatrixFault("the birth date (S6) is not DD-MM-YYYY")
    return InsDatamatrix(
        matricule=values["S1"],
        oid=values["S2"],
        given_names=values["S3"],
        birth_name=values["S4"],
        sex=values["S5"],
        born=f"{day[3]}-{day[2]}-{day[1]}",
        place=values.get("S7"),
    )


def _blocks(body: str) -> dict[str, str]:
    values: dict[str, str] = {}
    at = 0
    while at < len(body):
        if body[at] in (GS, " "):
            at += 1
            continue
        name = body[at : at + 2]
        bounds = _LENGTHS.get(name)
        if bounds is None or name in values:
            raise DatamatrixFault(f"an unknown or repeated block stands at character {len(HEADER) + at + 1}")
        value, at = _value(body, at + 2, name, bounds)
        values[name] = value
    return values


def _value(body: str, start: int, name: str, bounds: tuple[int, int]) -> tuple[str, int]:
    least, most = bounds
    if name == "S2":
        # An OID of 19 characters needs its GS, which some scanners swallow: its own shape says where it ends.
        found = _OID.match(body, start)
        if found is None:
            raise DatamatrixFault("the authority (S2) is not an INS OID")
        value = found[0]
    elif least == most:
        value = body[start : start + most]
    else:
        end = body.find(GS, start)
        value = body[start : len(body) if end < 0 else end][:most]
    if not least <= len(value) <= most:
        raise DatamatrixFault(f"the block {name} is cut short")
    return value, start + len(value)


def write_datamatrix(given: InsDatamatrix) -> str:
    """Write the payload, names normalised; raises DatamatrixFault when a trait cannot be written."""
    names = []
    for text, kind in ((given.given_names, NameKind.GIVEN), (given.birth_name, NameKind.FAMILY)):
        name = checked_name(text, kind)
        if isinstance(name, TraitFault):
            raise DatamatrixFault(f"the {kind.value} name cannot be written ({name.value})")
        names.append(name)
    year, month, day = given.born.split("-")
    blocks = [("S1", given.matricule), ("S2", given.oid), ("S3", names[0]), ("S4", names[1]), ("S5", given.sex)]
    blocks.append(("S6", f"{day}-{month}-{year}"))
    if given.place:
        blocks.append(("S7", given.place))
    out = [HEADER]
    for rank, (name, value) in enumerate(blocks, start=1):
        least, most = _LENGTHS[name]
        ended = least == most or len(value) == most or rank == len(blocks)
        out.append(f"{name}{value}{'' if ended else GS}")
    return "".join(out)
