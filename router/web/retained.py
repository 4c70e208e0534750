"""Since when messages and what came of them are kept, as the dashboard and the API ask it."""

from __future__ import annotations

from router.desk.merges import kept_since
from router.web.desk import Desk


def retained_since(desk: Desk) -> int:
    """Say since when what came of messages is kept, by the configuration that runs (microseconds)."""
    loaded = desk.context.loaded
    days = loaded().configuration.journal.retention_days if loaded is not None else None
    return kept_since(desk.now(), days)
