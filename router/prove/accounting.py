"""The journal's side of the accounts: what it says of the messages that the ledger knows from outside."""

from __future__ import annotations

import time

from sqlalchemy import func, select

from router.journal import tables
from router.journal.store import JournalPlace, connect
from router.prove.ledger import Ledger, report_id
from router.prove.receiver import UnreliableReceiver
from router.prove.verdict import Kill, Verdict
from router.trial.patience import Patience

_EVERY = 0.1
_LAST_ANSWERS = 20.0
"""Seconds that the journal has to note the answers of what has arrived."""


def states(place: JournalPlace, table_name: str) -> dict[str, int]:
    """Count a table's rows by state."""
    table = tables.metadata.tables[table_name]
    engine = connect(place)
    try:
        with engine.connect() as connection:
            rows = connection.execute(select(table.c.state, func.count()).group_by(table.c.state)).all()
    finally:
        engine.dispose()
    return {str(state): int(count) for state, count in rows}


def recognised(place: JournalPlace) -> int:
    """Give how many messages the journal recognised as having come before."""
    engine = connect(place)
    try:
        with engine.connect() as connection:
            counted = connection.execute(select(func.coalesce(func.sum(tables.message.c.duplicates), 0)))
            return int(counted.scalar_one())
    finally:
        engine.dispose()


def wait_for_answers(place: JournalPlace) -> None:
    """Wait until every delivery is settled: the last answers are on their way back when all has arrived."""
    patience = Patience(_LAST_ANSWERS)
    while not patience.ended:
        counted = states(place, "delivery")
        if not any(counted.get(state.value) for state in tables.OPEN_DELIVERIES):
            return
        time.sleep(_EVERY)


def account(
    ledger: Ledger,
    receiver: UnreliableReceiver,
    place: JournalPlace,
    *,
    seed: int,
    kills: list[Kill],
    stopped: int | None,
    seconds: float,
) -> Verdict:
    """Put both sides together; `stopped` is how the router ended, `seconds` how long all of it took."""
    return Verdict(
        seed=seed,
        store="SQLite" if place.is_sqlite else "PostgreSQL",
        kills=kills,
        sent=len(ledger.attempts),
        resent=ledger.resent,
        acknowledged=len(ledger.acknowledged),
        refused=len(ledger.refused),
        delivered=len(ledger.arrivals),
        lost=[report_id(mark) for mark in ledger.lost],
        never_sent=[report_id(mark) for mark in ledger.never_sent],
        patients=len(ledger.order),
        out_of_order=ledger.out_of_order,
        duplicates=ledger.duplicates,
        unrecognisable=ledger.unrecognisable,
        answers_cut=receiver.cuts,
        answers_503=receiver.refusals,
        recognised=recognised(place),
        messages=states(place, "message"),
        deliveries=states(place, "delivery"),
        stopped_with=stopped,
        seconds=round(seconds, 1),
    )
