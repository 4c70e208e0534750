"""What a reading left behind: every field that holds a value and plays no part in the Items.

Which fields are used is said once per kind of message, component by component, beside the code that uses them; what a
reading finds to be different for one segment it says in its `Notebook`. Set ids (PID-1, OBX-1…), the envelope (MSH-1 to
7, 9 to 12, 15 to 19, 21), the labels of PRT-4 and the order control of plain results are structure, not information:
they are not listed.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from mappings.hl7v2.er7 import Segment
from mappings.hl7v2.notebook import Notebook
from mappings.hl7v2.syntax import Syntax
from schemas.finding import Unread
from schemas.item import ItemKind

LONGEST = 1000
"""Characters of an unread text that are kept: enough to recognise it, not enough to double a 20 MB payload."""


class Part(NamedTuple):
    """How much of a field is used: these components, of the first repetition only or of all.

    `leading` counts the components from the first on that are used without a gap.
    """

    components: frozenset[int]
    leading: int
    first_only: bool = False


Use = list[Part | None]
"""How much of each field of a segment is used, by field number: None is not at all."""

_WIDTH = 64
_ALL = Part(frozenset(), 1_000_000)


def _use(*full: int, **parts: Part) -> Use:
    use: Use = [None] * _WIDTH
    for n in (0, *full):
        use[n] = _ALL
    for name, part in parts.items():
        use[int(name.removeprefix("f"))] = part
    return use


def _part(*components: int, first_only: bool = False) -> Part:
    leading = 0
    while leading + 1 in components:
        leading += 1
    return Part(frozenset(components), leading, first_only)


_CE = _part(1, 2, 3, 4, 5, 6, 9, 10, 11, 12)
_ONE_CE = _CE._replace(first_only=True)
_CX = _part(1, 4, 5)
_ONE_CX = _CX._replace(first_only=True)
_EI = _part(1, 2, 3, 4, first_only=True)
_XCN = _part(1, 2, 3, 6, 9, 10, 13)
_ONE_XCN = _XCN._replace(first_only=True)
_XON = _part(1, 3, 6, 7, 10, first_only=True)
_XAD = _part(1, 2, 3, 5, 6, 7, 9)
_XTN = _part(1, 2, 3, 4, 5, 6, 7, 12)
_FIRST = _part(1, first_only=True)
_PL = _part(1, 2, 3, 4, 5)

_ALWAYS = {
    "MSH": _use(1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 15, 16, 17, 18, 19, 21),
    "PID": _use(
        1, 2, 4, 23,
        f3=_CX, f5=_part(1, 2, 3, 5, 7), f7=_FIRST, f8=_FIRST, f11=_XAD, f13=_XTN, f14=_XTN, f16=_ONE_CE, f18=_ONE_CX,
        f26=_part(1), f29=_FIRST, f30=_FIRST, f32=_part(1),
    ),
    "PD1": _use(12),
    "ROL": _use(2, f3=_FIRST, f4=_ONE_XCN, f11=_XAD._replace(first_only=True), f12=_XTN),
    "ZFD": _use(4),
    "NTE": _use(1, 2, 3, 4),
    "PV1": _use(1, f19=_ONE_CX),
    "DSC": _use(),
}  # fmt: skip
_ORDERS = {
    "ORC": _use(1, f2=_EI, f3=_EI, f12=_ONE_XCN, f21=_XON),
    "OBR": _use(
        1, 13, 15, 20, 26, 29,
        f2=_EI, f3=_EI, f4=_CE, f7=_FIRST, f8=_FIRST, f14=_FIRST, f16=_ONE_XCN, f22=_FIRST, f24=_FIRST, f25=_FIRST,
        f28=_XCN, f32=_part(1, first_only=True),
    ),
    "OBX": _use(
        1, 2, 5, 7, 8,
        f3=_CE, f4=_FIRST, f6=_CE, f11=_FIRST, f13=_FIRST, f14=_FIRST, f15=_ONE_CE, f16=_ONE_XCN, f17=_ONE_CE,
        f19=_FIRST, f23=_XON, f24=_XAD._replace(first_only=True),
    ),
    "SPM": _use(
        1, 2, 14, f4=_ONE_CE, f7=_ONE_CE, f8=_ONE_CE, f17=_FIRST, f18=_FIRST, f24=_ONE_CE,
    ),
}  # fmt: skip

_DOCUMENTS = _ORDERS | {
    "EVN": _use(1, 2, 6),
    "TXA": _use(
        1, 3,
        f2=_FIRST, f4=_FIRST, f5=_XCN, f6=_FIRST, f9=_XCN, f10=_ONE_XCN, f12=_EI, f13=_EI, f16=_FIRST, f17=_FIRST,
        f18=_FIRST, f22=_ONE_XCN,
    ),
    "PRT": _use(2, 4, f5=_ONE_XCN, f8=_XON, f14=_XAD._replace(first_only=True), f15=_XTN),
}  # fmt: skip
_STAYS = {
    "EVN": _use(1, f2=_FIRST, f6=_FIRST),
    "NK1": _use(
        1, f2=_part(1, 2, first_only=True), f3=_ONE_CE, f4=_XAD._replace(first_only=True), f5=_XTN, f6=_XTN, f7=_ONE_CE,
        f33=_CX,
    ),
    "PV1": _use(
        1,
        f2=_FIRST, f3=_PL, f4=_FIRST, f5=_ONE_CX, f6=_PL, f7=_ONE_XCN, f8=_ONE_XCN, f14=_FIRST, f16=_FIRST,
        f17=_ONE_XCN, f19=_ONE_CX, f21=_FIRST, f36=_FIRST, f37=_FIRST, f44=_FIRST, f45=_FIRST,
    ),
    "PV2": _use(f3=_ONE_CE, f8=_FIRST, f9=_FIRST, f22=_FIRST),
    "ZBE": _use(
        f1=_part(1, 2, 3, 4), f2=_FIRST, f4=_FIRST, f5=_FIRST, f6=_FIRST, f7=_XON, f8=_XON, f9=_FIRST,
    ),
    "ZFA": _use(f9=_FIRST, f11=_FIRST),
    "ZFM": _use(1, 2),
    "MRG": _use(f1=_CX, f3=_CX),
}  # fmt: skip
_IDENTITIES = {
    "EVN": _use(1, f2=_FIRST, f6=_FIRST),
    "NK1": _STAYS["NK1"],
    "PV1": _use(1, 2),
    "MRG": _use(f1=_CX),
    "ZFD": _use(4, 5, 6),
}
_RECEIPTS = {
    "EVN": _use(1, f2=_FIRST, f6=_FIRST),
    "OBX": _use(1, 2, 4, 11, f3=_CE, f5=_XTN),
    "MSA": _use(1, 2, 3),
    "ERR": _use(7, 8, f2=_part(1, 2, 3, 4, 5, 6, first_only=True), f3=_ONE_CE, f4=_FIRST, f5=_ONE_CE),
}

_PEOPLE = {name: use for name, use in _ALWAYS.items() if name != "NTE"}

UNREADABLE: dict[str, Use] = {"MSH": _ALWAYS["MSH"]}
"""For a message that is not read at all."""

USES: dict[ItemKind, dict[str, Use]] = {
    ItemKind.LAB_REPORT: _ALWAYS | _ORDERS | {"PRT": _DOCUMENTS["PRT"]},
    ItemKind.DOCUMENT: _ALWAYS | _DOCUMENTS,
    ItemKind.STAY: _PEOPLE | _STAYS,
    ItemKind.IDENTITY: _PEOPLE | _IDENTITIES,
    ItemKind.RECEIPT: {"MSH": _ALWAYS["MSH"]} | _RECEIPTS,
}
"""By kind of message."""

UPDATES: dict[str, Use] = _PEOPLE | _STAYS | {"ZFD": _IDENTITIES["ZFD"]}
"""For an A08, which is read as both."""

_NOTHING = _use()


def unread_of(notes: Notebook, uses: dict[str, Use]) -> tuple[Unread, ...]:
    """List what a reading that uses these fields did not use."""
    component, repetition = notes.syntax.component, notes.syntax.repetition
    exceptional = {segment for segment, _ in notes.left | notes.whole} | notes.unused
    found: list[Unread] = []
    for segment in notes.message.segments:
        if segment in notes.clean:
            continue
        fields = segment.fields
        use = uses.get(segment.name, _NOTHING)
        if len(fields) > _WIDTH:
            use = use + [None] * (len(fields) - _WIDTH)
        if exceptional and segment in exceptional:
            use = _exceptions(notes, segment, use)
        for raw, part in zip(fields, use, strict=False):
            if raw and part is not _ALL and (part is None or raw.count(component) >= part.leading or repetition in raw):
                # Most segments never come here: nothing is counted or named before something is left over.
                _look_closely(found, segment, use)
                break
    return tuple(found)


def is_clean(obx: Segment) -> bool:
    """Tell an OBX of which a reading of results leaves nothing unread, whatever its value."""
    found: list[Unread] = []
    _look_closely(found, obx, _ORDERS["OBX"])
    return not found


def _look_closely(found: list[Unread], segment: Segment, use: Use) -> None:
    for n, raw in enumerate(segment.fields):
        part = use[n]
        if not raw or part is _ALL:
            continue
        if part is None:
            _add(found, segment, n, raw)
        elif raw.count(segment.syntax.component) >= part.leading or segment.syntax.repetition in raw:
            _add_rest(found, segment, n, raw, part)


def _exceptions(notes: Notebook, segment: Segment, use: Use) -> Use:
    """Apply what the reading said of one segment."""
    if segment in notes.unused:
        return [_ALL, *([None] * max(_WIDTH, len(segment.fields)))]
    changed = list(use)
    for n in range(len(segment.fields)):
        if (segment, n) in notes.left:
            changed[n] = None
        elif (segment, n) in notes.whole:
            changed[n] = _ALL
    return changed


def _add(found: list[Unread], segment: Segment, n: int, raw: str) -> None:
    if _holds_value(raw, segment.syntax):
        found.append(Unread(where=segment.where(n), text=_shown(segment.syntax, raw)))


def _add_rest(found: list[Unread], segment: Segment, n: int, raw: str, part: Part) -> None:
    """Report the components and repetitions of a field that are not used."""
    remembered = _rest if len(raw) <= LONGEST else _rest.__wrapped__
    for rank, number, text in remembered(raw, part, segment.syntax):
        place = _repetition(segment, n, rank)
        found.append(Unread(where=f"{place}.{number}" if number else place, text=text))


@lru_cache(maxsize=4096)
def _rest(raw: str, part: Part, syntax: Syntax) -> tuple[tuple[int, int, str], ...]:
    """List what a field holds beyond the part that is used: rank of the repetition, component (0: all), text."""
    used, _, first_only = part
    rest: list[tuple[int, int, str]] = []
    for rank, repetition in enumerate(raw.split(syntax.repetition), start=1):
        if first_only and rank > 1:
            if _holds_value(repetition, syntax):
                rest.append((rank, 0, _shown(syntax, repetition)))
            continue
        for number, component in enumerate(repetition.split(syntax.component), start=1):
            if component and number not in used and _holds_value(component, syntax):
                rest.append((rank, number, _shown(syntax, component)))
    return tuple(rest)


def _repetition(segment: Segment, n: int, rank: int) -> str:
    return segment.where(n) if rank == 1 else f"{segment.where(n)}[{rank}]"


def _holds_value(raw: str, syntax: Syntax) -> bool:
    return bool(raw.strip(syntax.component + syntax.repetition + syntax.subcomponent + " \r\n\t\0"))


def _shown(syntax: Syntax, raw: str) -> str:
    return syntax.text(raw) if len(raw) <= LONGEST else raw[:LONGEST] + "…"
