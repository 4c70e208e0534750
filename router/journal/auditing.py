"""The audit: who did or saw what, each row chained to the one before by a keyed digest.

A row that is changed, taken out or put in between breaks the chain, and only who holds the journal's key could mend it.
Rows cut from the end leave a chain that is whole but shorter: note its head elsewhere (`passerelle audit verify` prints
it), and give it back with `--known` to have that seen as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select

from router.journal import tables
from router.journal.ready import Ready
from router.journal.sealing import Sealer
from router.journal.unit import Unit

GROUP = 1000
"""Rows read at once while a chain is verified."""

ERASED = "erase audit"
"""The action of the row that says where the chain was cut at its beginning."""

_LAST = Ready(select(tables.audit.c.id, tables.audit.c.chain).order_by(tables.audit.c.id.desc()).limit(1))
_APPEND = insert(tables.audit)


@dataclass(frozen=True, slots=True)
class Chain:
    """What verifying came to.

    `rows` are in the chain, `before` were written before there was one. `broken` is the first row that does not follow
    from the one before it, None when all do; `head` names the last row and its digest (`1042:9f…`). `known` is None
    when no earlier head was given, else whether the chain still passes through it.
    """

    rows: int
    before: int
    broken: int | None
    head: str
    known: bool | None = None

    @property
    def whole(self) -> bool:
        """Whether nothing was changed, taken out or put in."""
        return self.broken is None and self.known is not False


def append_audit(unit: Unit, *, actor: str, action: str, target: str, detail: str, now: int) -> None:
    """Note who did or saw what; `target` names a row (`message 12`), never a person's data. `now` is microseconds."""
    last = _LAST.first(unit.connection)
    # Whoever writes holds the journal's one write lock: nobody numbers a row in between.
    number = 1 if last is None else last.id + 1
    row = {
        "id": number,
        "at": now,
        "actor": actor[:120],
        "action": action[:60],
        "target": target[:120],
        "detail": detail[:400],
    }
    before = b"" if last is None or last.chain is None else bytes(last.chain)
    unit.connection.execute(_APPEND, {**row, "chain": _link(unit.sealer, before, row)})


def verify_audit(
    connection: Connection, sealer: Sealer, known: str = "", *, told: Callable[[int], None] = lambda _rows: None
) -> Chain:
    """Follow the chain from its first row to its last.

    `known` is a head that was noted earlier; `told` counts the rows that are done.
    """
    before = rows = 0
    broken: int | None = None
    previous: Any = None
    head, passed = "", False
    for row in _rows(connection):
        if row.chain is None and not rows and previous is None:
            before += 1
            continue
        values = {name: getattr(row, name) for name in ("id", "at", "actor", "action", "target", "detail")}
        link = _erased(connection, row.id) if previous is None else bytes(previous.chain or b"")
        follows = previous is None or row.id == previous.id + 1
        fits = row.chain is not None and bytes(row.chain) == _link(sealer, link, values)
        if broken is None and not (follows and fits):
            broken = row.id
        rows += 1
        if rows % GROUP == 0:
            told(rows)
        previous = row
        head = f"{row.id}:{bytes(row.chain or b'').hex()}"
        passed = passed or head == known
    return Chain(rows, before, broken, head, passed if known else None)


def erase_audit(unit: Unit, limit: int, size: int, *, now: int) -> int:
    """Erase up to `size` of the oldest rows, older than `limit` (microseconds); gives how many.

    The chain goes on from where it is cut: a row of its own says where, and with which digest the last one ended. The
    newest row always stays.
    """
    column = tables.audit.c
    newest = unit.connection.execute(select(func.max(column.id))).scalar() or 0
    wanted = select(column.id, column.at, column.chain).where(column.id < newest).order_by(column.id).limit(size)
    gone = []
    for row in unit.connection.execute(wanted):
        if row.at >= limit:
            break
        gone.append(row)
    if not gone:
        return 0
    last = gone[-1]
    detail = bytes(last.chain or b"").hex()
    append_audit(unit, actor="retention", action=ERASED, target=f"audit {last.id}", detail=detail, now=now)
    unit.connection.execute(delete(tables.audit).where(column.id <= last.id))
    return len(gone)


def _erased(connection: Connection, first: int) -> bytes:
    """Give the digest that the chain's first row follows: of the last row that was erased, if any was."""
    column = tables.audit.c
    cut = (column.action == ERASED, column.target == f"audit {first - 1}")
    found = connection.execute(select(column.detail).where(*cut)).scalar()
    return bytes.fromhex(found) if found else b""


def _rows(connection: Connection) -> Iterator[Any]:
    column, after = tables.audit.c, 0
    while True:
        wanted = select(tables.audit).where(column.id > after).order_by(column.id).limit(GROUP)
        found = connection.execute(wanted).all()
        yield from found
        if len(found) < GROUP:
            return
        after = found[-1].id


def _link(sealer: Sealer, before: bytes, row: dict[str, Any]) -> bytes:
    return sealer.digest(
        b"audit",
        before,
        str(row["id"]).encode(),
        str(row["at"]).encode(),
        row["actor"].encode(),
        row["action"].encode(),
        row["target"].encode(),
        row["detail"].encode(),
    )
