"""What persons and tools asked for since the last look: their rows are in the journal, whichever process wrote them."""

from __future__ import annotations

from sqlalchemy import func, select

from router.bulk.undoing import UNDO_ACTION
from router.identity.flows_published import ACTION as WITHDRAW_INS
from router.journal import tables
from router.journal.pauses import Pauses, load_pauses
from router.journal.store import Store

_ACTIONS = (
    "replay delivery",
    "cancel delivery",
    "replay message",
    "identity undo",
    "undo merge",
    UNDO_ACTION,
    WITHDRAW_INS,
)


def newest_request(store: Store) -> int:
    """Give the number of the last act by which Deliveries were reopened or cancelled. Raises JournalFault."""
    column = tables.audit.c
    with store.reading() as connection:
        newest = select(func.max(column.id)).where(column.action.in_(_ACTIONS))
        return connection.execute(newest).scalar() or 0


def pauses_of(store: Store) -> Pauses:
    """Give the pauses that hold. Raises JournalFault."""
    with store.reading() as connection:
        return load_pauses(connection)
