"""One message side by side: the pieces of its original, the values that were understood, the pieces of what was sent.

Each column is groups of rows. Rows that are linked share numbers (those of the canonical values): the page lights what
has a number in common.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

import orjson

from mappings.contracts import FormatError, Piece, Position
from mappings.registry import format_named
from router.linking.links import Links
from router.web.previews import decoded, visible
from schemas.finding import Finding

MOST_ROWS = 3_000
"""Rows of one column; of a larger content the beginning is shown, the whole can be downloaded."""

MOST_BYTES = 5_000_000
CUT = 200
"""Characters of a value that are shown."""

NAMED = 4
"""Counterparts that a row names."""

_SEGMENT = re.compile(r"([A-Z][A-Z0-9]{0,3}\[\d+\])(?:-(.+))?")
_ENTRY = re.compile(r"((?:entry|items|contained|parameter)\[\d+\](?:\.resource)?)\.(.+)")
_SECTION = re.compile(r"(.*/section(?:\[\d+\])?)/(.+)")
_TREE = re.compile(r"([^/]+(?:/[^/@]+)?)/(.+)")
_LINE = re.compile(r"(line) (\d+.*)")
_VALUE = re.compile(
    r"items\[\d+\]\.(patient|sender|author|recipients\[\d+\]|content(?:\.(?:[\w\[\].]*\bobservations\[\d+\]"
    r"|\w+\[\d+\]))?|source)\.(.+)"
)
_RANK = re.compile(r"\[\d+\]")


@dataclass(slots=True)
class Row:
    """One piece or value. `name` is its official name, `links` the values that it shares, `found` what was noticed.

    `use` says what a piece of the original does when it gives no value: `structure`, `checked`, `silent` or nothing.
    `along` names the counterparts.
    """

    where: str
    label: str
    text: str
    name: str = ""
    links: tuple[int, ...] = ()
    use: str = ""
    found: list[Finding] = field(default_factory=list)
    along: tuple[str, ...] = ()
    away: tuple[str, ...] = ()
    drifted: bool = False


@dataclass(slots=True)
class Group:
    """Rows that belong together: a segment, a resource, a section, a result."""

    key: str
    title: str
    rows: list[Row]


@dataclass(slots=True)
class Column:
    """One column; `loose` are findings about no row in particular. `opaque`: the format names no pieces."""

    groups: list[Group] = field(default_factory=list)
    loose: list[Finding] = field(default_factory=list)
    cut: bool = False
    opaque: bool = False

    def rows(self) -> Iterator[Row]:
        """Give every row."""
        for group in self.groups:
            yield from group.rows


def wire(content: bytes, format_name: str) -> Column:
    """Lay out what came or what was sent, piece by piece."""
    try:
        found = format_named(format_name)
        positions = list(found.positions(content)) if len(content) <= MOST_BYTES else []
        names = dict(_names(found.pieces(content))) if positions else {}
    except FormatError:
        positions, names = [], {}
    if not positions:
        return Column(opaque=True)
    rows = [_row(content, one, names) for one in positions[:MOST_ROWS]]
    return Column(_grouped(rows, names), cut=len(positions) > MOST_ROWS)


def values(leaves: Mapping[str, str]) -> Column:
    """Lay out canonical values by their paths; titles and labels are keys, the page has their words."""
    rows = []
    for path, text in list(leaves.items())[:MOST_ROWS]:
        found = _VALUE.fullmatch(path)
        rows.append(Row(path, found[2] if found else path.partition(".")[2] or path, visible(text[:CUT])))
    groups = []
    for key, those in groupby(rows, lambda row: _holder(row.where)):
        together = list(those)
        labels = [row.text for row in together if row.label == "label"]
        groups.append(Group(key, labels[0] if labels else "", together))
    return Column(groups, cut=len(leaves) > MOST_ROWS)


def _holder(path: str) -> str:
    found = _VALUE.fullmatch(path)
    return found[1] if found is not None else ""


def link(links: Links | None, original: Column, canonical: Column, sent: Column) -> None:
    """Give the rows that belong together the same numbers, and name each one's counterparts."""
    if links is None:
        return
    numbers = {row.where: rank for rank, row in enumerate(canonical.rows())}
    drifted = frozenset(links.drifted)
    for column, found, side in ((original, links.back, "along"), (sent, links.forward, "away")):
        by_place: dict[str, list[str]] = {}
        for path, wheres in found.items():
            for where in wheres:
                by_place.setdefault(where, []).append(path)
        for row in column.rows():
            paths = [path for path in by_place.get(row.where, ()) if path in numbers]
            row.links = tuple(sorted(numbers[path] for path in paths))
            row.away = tuple(paths[:NAMED])
        present = {row.where for row in column.rows()}
        for row in canonical.rows():
            there = tuple(where for where in found.get(row.where, ()) if where in present)
            if there:
                row.links = (numbers[row.where],)
                setattr(row, side, there[:NAMED])
    for row in canonical.rows():
        row.drifted = row.where in drifted
    for row in original.rows():
        if not row.links:
            row.use = next((use for use in ("structure", "checked", "silent") if row.where in getattr(links, use)), "")


def place(findings: Iterable[Finding], *columns: Column) -> None:
    """Put each finding on the row that it is about, in the first column that has one, else beside the last column."""
    for finding in findings:
        row = next((row for column in columns if (row := _about(finding.where, column)) is not None), None)
        if row is not None:
            row.found.append(finding)
        elif columns:
            columns[0].loose.append(finding)


def _about(where: str, column: Column) -> Row | None:
    if not where:
        return None
    within = None
    for row in column.rows():
        names = (row.where, _RANK.sub("", row.where), row.where.partition(".")[2])
        if where in names:
            return row
        if within is None and any(_is_below(name, where) for name in names):
            within = row
    return within


def _is_below(name: str, where: str) -> bool:
    return name.startswith(where) and name[len(where) : len(where) + 1] in {"-", ".", "[", "/"}


def _row(content: bytes, position: Position, names: Mapping[str, str]) -> Row:
    piece = content[position.start : position.end]
    text = _text(piece[: CUT * 4], json=content[:1] in b"{[", xml=content[:1] in b"<\xef")
    long = len(piece) > CUT * 4 or len(text) > CUT
    return Row(
        position.where, position.where, visible(text[:CUT]) + ("…" if long else ""), _name(position.where, names)
    )


def _text(piece: bytes, *, json: bool, xml: bool) -> str:
    text = decoded(piece)
    if text is None:
        return "…"
    if json and "\\" in text:
        try:
            return str(orjson.loads(f'"{text}"'))
        except orjson.JSONDecodeError:
            return text
    return html.unescape(text) if xml else text


def _names(pieces: Sequence[Piece]) -> Iterator[tuple[str, str]]:
    for piece in pieces:
        yield piece.where, piece.name
        yield from _names(piece.children)


def _name(where: str, names: Mapping[str, str]) -> str:
    """Give the official name of a piece: its own, else that of the field that it is a part of."""
    plain = _RANK.sub("", where)
    for candidate in (where, plain, where.rpartition(".")[0], plain.rpartition(".")[0]):
        if candidate in names and not candidate.startswith(("entry", "items")):
            name = names[candidate]
            return "" if re.fullmatch(r"\.?\d+\.?", name) else name
    return ""


def _split(where: str) -> tuple[str, str]:
    for pattern in (_SEGMENT, _LINE, _ENTRY, _SECTION, _TREE):
        if found := pattern.fullmatch(where):
            return found[1], found[2] or ""
    return "", where


def _grouped(rows: Sequence[Row], names: Mapping[str, str]) -> list[Group]:
    groups = []
    for key, those in groupby(rows, lambda row: _split(row.where)[0]):
        together = list(those)
        title = names.get(key, "") or names.get(_RANK.sub("", key), "")
        for row in together:
            row.label = (_split(row.where)[1] or row.where).replace("[1]", "")
            if row.label in {"resourceType", "title"} or (not title and row.label == "code/@displayName"):
                title = row.text
        groups.append(Group(key, title, together))
    return groups
