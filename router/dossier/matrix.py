"""The habilitation matrix: what each role family may do with each category of data, as a CSV that people can read.

One line a category, one column a family; a cell is a level (`-`, `E`, `R`, `A`), with a condition behind it at need:

`preference`   only for members who asked to be told of events
`non-health`   but for things of medical content

MatrixFault      a matrix cannot be used: one sentence for each thing to mend
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import TypeVar

from router.faults import Fault
from schemas.circle import RoleFamily
from schemas.habilitation import DataCategory, Level

K = TypeVar("K", bound=StrEnum)

LARGEST = 20_000
"""Characters of a matrix that is brought."""


class MatrixFault(Fault):
    """The matrix cannot be used; `problems` has one sentence for each thing to mend."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("the matrix cannot be used:\n" + "\n".join(f"  {one}" for one in self.problems))


class Condition(StrEnum):
    """What a cell asks beside its level."""

    PREFERENCE = "preference"
    NON_HEALTH = "non-health"


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of the matrix."""

    level: Level = Level.NONE
    condition: Condition | None = None

    @property
    def text(self) -> str:
        """The cell as it is written."""
        return self.level.value + (f" {self.condition.value}" if self.condition is not None else "")


@dataclass(frozen=True, slots=True)
class Matrix:
    """A matrix that is complete: there is a cell for each family and category."""

    cells: Mapping[tuple[RoleFamily, DataCategory], Cell]

    def cell(self, family: RoleFamily, category: DataCategory) -> Cell:
        """Give the cell of a family and a category."""
        return self.cells[family, category]


def read_matrix(text: str) -> Matrix:
    """Read a matrix. Raises MatrixFault with all that is wrong: nothing that is left out is guessed."""
    if len(text) > LARGEST:
        raise MatrixFault([f"it is longer than {LARGEST} characters"])
    try:
        rows = list(csv.reader(io.StringIO(text.lstrip("\ufeff"), newline="")))
    except csv.Error as problem:
        raise MatrixFault([f"it is no CSV ({problem})"]) from None
    rows = [[cell.strip() for cell in row] for row in rows if any(cell.strip() for cell in row)]
    if not rows or rows[0][:1] != ["category"]:
        raise MatrixFault(["line 1: the header must be category, then the families"])
    problems: list[str] = []
    columns = _named(rows[0][1:], RoleFamily, "family", 1, problems)
    cells: dict[tuple[RoleFamily, DataCategory], Cell] = {}
    for number, row in enumerate(rows[1:], start=2):
        category = _named(row[:1], DataCategory, "category", number, problems)[0]
        if len(row) != len(rows[0]):
            problems.append(f"line {number}: it has {len(row)} columns where the header has {len(rows[0])}")
            continue
        for family, cell in zip(columns, row[1:], strict=True):
            if family is None or category is None:
                continue
            if (family, category) in cells:
                problems.append(f"line {number}: {category.value} stands for {family.value} a second time")
                continue
            read = _cell(cell)
            if read is None:
                problems.append(f"line {number}: {family.value} has a cell that is neither -, E, R nor A")
            else:
                cells[family, category] = read
    problems += [
        f"there is no cell for {family.value} and {category.value}"
        for category in DataCategory
        for family in RoleFamily
        if (family, category) not in cells and not problems
    ]
    if problems:
        raise MatrixFault(problems)
    return Matrix(cells)


def _named(texts: Sequence[str], kind: type[K], word: str, number: int, problems: list[str]) -> list[K | None]:
    found: list[K | None] = []
    for text in texts:
        try:
            found.append(kind(text))
        except ValueError:
            problems.append(f"line {number}: there is no such {word} as {text[:40]!r}")
            found.append(None)
    return found


def _cell(text: str) -> Cell | None:
    level, _, condition = text.partition(" ")
    try:
        return Cell(Level(level), Condition(condition.strip()) if condition.strip() else None)
    except ValueError:
        return None


def write_matrix(matrix: Matrix) -> str:
    """Write a matrix as `read_matrix` reads it."""
    lines = ["category," + ",".join(RoleFamily)]
    lines += [
        ",".join([category.value, *(matrix.cell(family, category).text for family in RoleFamily)])
        for category in DataCategory
    ]
    return "\n".join(lines) + "\n"


@dataclass(frozen=True, slots=True)
class CellChange:
    """A cell that differs between two matrices."""

    family: RoleFamily
    category: DataCategory
    before: Cell
    after: Cell

    @property
    def opens(self) -> bool:
        """Whether more is allowed than before."""
        loosened = self.before.condition is not None and self.after.condition is None
        return self.after.level.rank > self.before.level.rank or (loosened and self.after.level is not Level.NONE)


def differences(before: Matrix, after: Matrix) -> list[CellChange]:
    """Give the cells that differ, in the matrix's order."""
    return [
        CellChange(family, category, before.cell(family, category), after.cell(family, category))
        for category in DataCategory
        for family in RoleFamily
        if before.cell(family, category) != after.cell(family, category)
    ]


@cache
def default_matrix() -> Matrix:
    """Give the matrix that holds as long as nobody has brought another."""
    return read_matrix(default_text())


@cache
def default_text() -> str:
    """Give the default matrix as it is written."""
    return files("router.dossier").joinpath("default_matrix.csv").read_text(encoding="utf-8")
