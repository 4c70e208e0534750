"""Which reader a person chose for one message, when it was replayed: another format or charset than its source's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import select, update

from router.journal import tables
from router.journal.operations import DETAIL_PLACE
from router.journal.unit import Unit


@dataclass(frozen=True, slots=True)
class ReaderChoice:
    """A format and a charset (a Python codec); empty is as the source is configured."""

    format: str = ""
    charset: str = ""

    @property
    def words(self) -> str:
        """Say it in a line, for the audit: `hl7v2, cp1252`."""
        return ", ".join(part for part in (self.format, self.charset) if part)

    @classmethod
    def of(cls, detail: Mapping[str, Any]) -> ReaderChoice:
        """Read it from what is kept beside a message's content."""
        kept = detail.get("reader")
        return cls(str(kept.get("format", "")), str(kept.get("charset", ""))) if isinstance(kept, dict) else cls()


AS_CONFIGURED = ReaderChoice()


def choose_reader(unit: Unit, message_id: int, choice: ReaderChoice) -> None:
    """Keep the reader of one message; whoever reads it again takes that."""
    column = tables.message_content.c
    sealed = unit.connection.execute(select(column.sealed_detail).where(column.message_id == message_id)).scalar()
    detail: dict[str, Any] = {} if sealed is None else orjson.loads(unit.sealer.open(sealed, DETAIL_PLACE))
    detail.pop("reader", None)
    if choice != AS_CONFIGURED:
        detail["reader"] = {"format": choice.format, "charset": choice.charset}
    kept = unit.sealer.seal(orjson.dumps(detail), DETAIL_PLACE) if detail else None
    unit.connection.execute(
        update(tables.message_content).where(column.message_id == message_id).values(sealed_detail=kept)
    )
