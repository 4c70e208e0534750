"""What the reading functions share: the context, the Findings, the narrative that entries point to."""

from __future__ import annotations

from mappings.cda.reading.narrative import Narrative
from mappings.contracts import ReadContext
from mappings.notes import Notes


class Scribe:
    """One reading of one document."""

    __slots__ = ("context", "narrative", "notes")

    def __init__(self, context: ReadContext, notes: Notes, narrative: Narrative) -> None:
        self.context = context
        self.notes = notes
        self.narrative = narrative
