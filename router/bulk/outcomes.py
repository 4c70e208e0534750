"""What came of a job's rows."""

from __future__ import annotations

from sqlalchemy import Connection, func, select

from router.bulk.jobs import DONE
from router.journal import tables


def left_by_reason(connection: Connection, job: int) -> dict[str, int]:
    """Count the rows that were left alone, by reason, the most frequent first."""
    row = tables.bulk_row.c
    statement = (
        select(row.outcome, func.count().label("number"))
        .where(row.job_id == job, row.outcome.is_not(None), row.outcome != DONE)
        .group_by(row.outcome)
        .order_by(func.count().desc())
    )
    return {found.outcome: found.number for found in connection.execute(statement)}
