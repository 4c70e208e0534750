"""Comparisons kept as evidence: who compared what with what, over which messages, and what differed."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import orjson
from sqlalchemy import Connection, insert, select

from router.journal import tables
from router.journal.auditing import append_audit
from router.journal.operations import Change
from router.journal.sealing import Sealer
from router.journal.unit import Unit
from router.whatif.differences import Aspect, Difference, Gathered, Report
from router.whatif.replaying import Scope

_SECRET = re.compile(
    r"^([+\- ]?\s*[\w-]*(?:password|secret|token|api_key|key)[\w-]*\s*=\s*)(?!.*\$\{).+$", re.IGNORECASE
)
DRAFT_PLACE = b"what_if.sealed_draft"
MOST = 2000
"""Differences that are kept of one comparison."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A comparison as it is kept; `at` is microseconds."""

    id: int
    at: int
    actor: str
    scope: Scope
    draft: str
    report: Report


def changes(present: str, draft: str) -> str:
    """Give the unified diff of two configurations; what looks like a secret in clear is struck out."""
    lines = difflib.unified_diff(present.splitlines(), draft.splitlines(), "present", "draft", lineterm="", n=2)
    return "\n".join(_SECRET.sub(r"\1(not shown)", line) for line in lines)


def keep(report: Report, scope: Scope, draft: str, *, actor: str, now: int, text: str = "") -> Change[int]:
    """Keep a comparison; gives its number. `draft` is what the draft changes, `text` the whole of it."""
    rows = [
        {**asdict(difference), "times": found.times, "messages": found.messages, "examples": found.examples}
        for difference, found in report.ranked()[:MOST]
    ]

    def change(unit: Unit) -> int:
        values = {
            "at": now,
            "actor": actor[:120],
            "scope": orjson.dumps(asdict(scope)).decode(),
            "draft": draft,
            "compared": report.compared,
            "changed": report.changed,
            "report": orjson.dumps(rows).decode(),
            "sealed_draft": unit.sealer.seal(text.encode(), DRAFT_PLACE) if text else None,
        }
        made = insert(tables.what_if).values(values).returning(tables.what_if.c.id)
        number: int = unit.connection.execute(made).scalar_one()
        append_audit(unit, actor=actor, action="compare configuration", target=f"what-if {number}", detail="", now=now)
        return number

    return Change(change, note="comparison kept")


def kept(connection: Connection, *, limit: int = 50) -> list[Kept]:
    """Give the comparisons, newest first."""
    column = tables.what_if.c
    rows = connection.execute(select(tables.what_if).order_by(column.id.desc()).limit(limit))
    return [_kept(row) for row in rows]


def kept_one(connection: Connection, number: int) -> Kept | None:
    """Give one comparison."""
    row = connection.execute(select(tables.what_if).where(tables.what_if.c.id == number)).one_or_none()
    return None if row is None else _kept(row)


def draft_text(connection: Connection, sealer: Sealer, number: int) -> str | None:
    """Give the whole draft of a comparison; None where it was not kept."""
    wanted = select(tables.what_if.c.sealed_draft).where(tables.what_if.c.id == number)
    sealed = connection.execute(wanted).scalar()
    return None if sealed is None else sealer.open(sealed, DRAFT_PLACE).decode()


def _kept(row: Any) -> Kept:
    scope = Scope(**orjson.loads(row.scope))
    return Kept(row.id, row.at, row.actor, scope, row.draft, report_of(row.compared, row.changed, row.report))


def report_of(compared: int, changed: int, rows: str) -> Report:
    """Read a report as it is kept."""
    found: dict[Difference, Gathered] = {}
    entries: Sequence[dict[str, Any]] = orjson.loads(rows)
    for one in entries:
        difference = Difference(Aspect(one["aspect"]), one["subject"], one["where"])
        found[difference] = Gathered(one["times"], one["messages"], one["examples"])
    return Report(compared, changed, found)
