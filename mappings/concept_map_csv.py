"""Concept maps as CSV: a header line, then one mapping a line.

| column | meaning |
|---|---|
| `sender` | the sender, as the worklist shows it |
| `kind` | `code` (the default) or `unit` |
| `system` | code system of the sender's code; `local` when empty; nothing for a unit |
| `code` | the sender's code, or its unit exactly as it writes it |
| `target` | the LOINC code, or the UCUM code of a unit |
| `target_system` | a URI; LOINC for a code, UCUM for a unit, when empty |
| `display` | label of the target |

`sender`, `code` and `target` must be there; the order of the columns is free. Commas or semicolons separate, as French
spreadsheets do; the text is UTF-8, or windows-1252 when it is not.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from typing import NamedTuple

from mappings.concept_map import LONGEST_CODE, MapEntry, Term, TermKind, target_of
from schemas.coding import LOCAL

COLUMNS = ("sender", "kind", "system", "code", "target", "target_system", "display")
NEEDED = ("sender", "code", "target")
FORMULA = ("=", "+", "-", "@")
"""A cell that begins with one of these would be taken for a formula by a spreadsheet."""

LARGEST = 8_000_000
"""Bytes of one file; a laboratory's whole catalogue takes a tenth of it."""


class MapFile(NamedTuple):
    """What a file says: its mappings, and a sentence with its line number for each line that cannot be used."""

    entries: tuple[MapEntry, ...]
    problems: tuple[str, ...]


def read_maps(content: bytes) -> MapFile:
    """Read a CSV of mappings; lines that are right are given even when others are not.

    A term that is mapped twice to different targets keeps the first one, and the other line is a problem.
    """
    if len(content) > LARGEST:
        return MapFile((), (f"line 1: the file is larger than {LARGEST // 1_000_000} MB",))
    text = _decoded(content)
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=_separator(text), strict=True)
    problems: list[str] = []
    found: dict[tuple[str, Term], MapEntry] = {}
    try:
        header = [name.strip().lower() for name in next(lines, [])]
        missing = [name for name in NEEDED if name not in header]
        if missing:
            return MapFile((), (f"line 1: the header has no column {', '.join(missing)}",))
        for cells in lines:
            if not any(cell.strip() for cell in cells):
                continue
            try:
                entry = _entry(dict(zip(header, cells, strict=False)))
            except ValueError as problem:
                problems.append(f"line {lines.line_num}: {problem}")
                continue
            first = found.setdefault((entry.sender, entry.term), entry)
            if (first.target.system, first.target.code) != (entry.target.system, entry.target.code):
                problems.append(f"line {lines.line_num}: the same code of this sender has another target above")
    except csv.Error:
        problems.append(f"line {lines.line_num}: a quotation mark is opened and not closed, or stands where none may")
    return MapFile(tuple(found.values()), tuple(problems))


def _decoded(content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("cp1252", errors="replace")


def _separator(text: str) -> str:
    header = text.partition("\n")[0]
    return max((",", ";", "\t"), key=header.count)


def _entry(cells: dict[str, str]) -> MapEntry:
    sender, code = _cell(cells, "sender"), _cell(cells, "code")
    for name, value in (("sender", sender), ("code", code)):
        if not value:
            raise ValueError(f"the column {name} is empty")
        if len(value) > LONGEST_CODE:
            raise ValueError(f"the column {name} is longer than {LONGEST_CODE} characters")
    try:
        kind = TermKind(_cell(cells, "kind").lower() or TermKind.CODE)
    except ValueError:
        raise ValueError("the column kind is neither code nor unit") from None
    system = "" if kind is TermKind.UNIT else _cell(cells, "system") or LOCAL
    if len(system) > LONGEST_CODE:
        raise ValueError(f"the column system is longer than {LONGEST_CODE} characters")
    target = target_of(kind, _cell(cells, "target"), _cell(cells, "target_system"), _cell(cells, "display"))
    return MapEntry(sender, Term(kind, system, code), target)


def _cell(cells: dict[str, str], name: str) -> str:
    value = cells.get(name, "").strip()
    return value[1:] if value.startswith("'") and value.lstrip("'").startswith(FORMULA) else value


def write_maps(entries: Iterable[MapEntry]) -> str:
    """Write mappings as CSV, in the order given; `read_maps` gives them back.

    A cell that a spreadsheet would take for a formula is written after an apostrophe.
    """
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for sender, term, target in entries:
        cells = (sender, term.kind.value, term.system, term.code, target.code, target.system, target.display)
        writer.writerow([_safe(cell or "") for cell in cells])
    return out.getvalue()


def _safe(cell: str) -> str:
    return f"'{cell}" if cell.lstrip("'").startswith(FORMULA) else cell
