"""The matrices that administrators brought, every one kept: who changed what, when and why. The newest holds."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from sqlalchemy import Connection, insert, select

from router.dossier.keeping import LONGEST_WHY, By
from router.dossier.matrix import (
    CellChange,
    Matrix,
    default_matrix,
    differences,
    read_matrix,
    write_matrix,
)
from router.journal import tables
from router.journal.actions import record_audit
from router.journal.operations import Change
from router.journal.ready import Ready
from router.journal.unit import Unit

_NEWEST = Ready(select(tables.habilitation_matrix.c.content).order_by(tables.habilitation_matrix.c.id.desc()).limit(1))


@dataclass(frozen=True, slots=True)
class MatrixVersion:
    """A matrix that was brought, by whom, when (microseconds) and why, and the cells that it changed."""

    id: int
    at: int
    actor: str
    why: str
    changes: tuple[CellChange, ...]


def matrix_now(connection: Connection) -> Matrix:
    """Give the matrix that holds: the newest that was brought, else the default."""
    newest = _NEWEST.first(connection)
    return default_matrix() if newest is None else _read(newest.content)


@lru_cache(maxsize=8)
def _read(content: str) -> Matrix:
    """Read a matrix that was kept: each decision asks for it."""
    return read_matrix(content)


def bring_matrix(text: str, *, by: By) -> Change[list[CellChange]]:
    """Let a matrix hold from now on; gives the cells that it changes. One that changes none is not kept.

    Raises MatrixFault, before anything is written.
    """
    matrix = read_matrix(text)

    def change(unit: Unit) -> list[CellChange]:
        changes = differences(matrix_now(unit.connection), matrix)
        if changes:
            values = {
                "at": by.now,
                "actor": by.actor[:120],
                "why": by.why[:LONGEST_WHY],
                "content": write_matrix(matrix),
            }
            unit.connection.execute(insert(tables.habilitation_matrix).values(values))
            detail = "; ".join(
                f"{one.family.value} {one.category.value} {one.before.text} to {one.after.text}" for one in changes
            )
            record_audit(by.actor, "change matrix", f"{len(changes)} cells", now=by.now, detail=detail).apply(unit)
        return changes

    return Change(change, note="matrix")


def matrix_history(connection: Connection) -> list[MatrixVersion]:
    """Give every matrix that was brought, newest first, each with what it changed."""
    before = default_matrix()
    versions = []
    for row in connection.execute(select(tables.habilitation_matrix).order_by(tables.habilitation_matrix.c.id)):
        matrix = read_matrix(row.content)
        versions.append(MatrixVersion(row.id, row.at, row.actor, row.why, tuple(differences(before, matrix))))
        before = matrix
    return versions[::-1]
