"""Exports of a search: a table (CSV, NDJSON) or the original bytes (ZIP), piece by piece, however many there are.

A person is masked in a table as in a list, unless it was asked, and noted, that names be shown. A ZIP holds names that
we made: what a sender called a file is only its end, without any folder.
"""

from __future__ import annotations

import csv
import hashlib
import io
import zipfile
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from datetime import UTC, datetime
from enum import StrEnum

import orjson
from sqlalchemy import select

from router.journal import tables
from router.journal.queries import MessageFilters, MessagePage, find_messages
from router.journal.queries_lines import ItemLine, MessageLine, message_lines
from router.journal.queries_message import message_content
from router.journal.view import View
from router.web.answers import safe_name
from router.web.desk import Desk
from router.web.masking import masked, unmasked

STEP = 500
"""Messages of one look at the journal."""

SECONDS = 1.0
"""How long one look may walk before what it found is written."""

LARGEST = 1024 * 1024 * 1024
"""Bytes of originals that one ZIP holds; the others are listed in it as left out."""

_NAMES = {"hl7v2": "hl7", "hprim-medecin": "hpr", "hprim-sante": "hpr", "cda": "xml", "fhir": "json", "mail": "eml"}
_COLUMNS = (
    "id",
    "received_at",
    "source",
    "state",
    "message_type",
    "format",
    "control_id",
    "findings",
    "kind",
    "patient",
    "birth",
    "what",
    "deliveries",
)
_GRAVITY = ("", "info", "warning", "error")


class Shape(StrEnum):
    """What an export is."""

    CSV = "csv"
    NDJSON = "ndjson"
    ZIP = "zip"

    @property
    def media_type(self) -> str:
        """Its media type."""
        return {"csv": "text/csv; charset=utf-8", "ndjson": "application/x-ndjson", "zip": "application/zip"}[self]


async def table(
    desk: Desk, shape: Shape, filters: Callable[[View], MessageFilters], ids: Sequence[int], *, revealed: bool
) -> AsyncIterator[bytes]:
    """Give a table of the messages with these numbers, or without any of all that match, newest first."""
    if shape is Shape.CSV:
        yield _rows([_COLUMNS]).encode("utf-8-sig")
    before: int | None = None
    left = sorted(ids, reverse=True)
    while True:
        if ids:
            part, left = left[:STEP], left[STEP:]
            lines: Sequence[MessageLine] = await desk.look(lambda view, part=part: _these(view, part))  # type: ignore[misc]
            before = 1 if left else None
        else:
            page = await desk.look(lambda view, before=before: _walk(view, filters(view), before))  # type: ignore[misc]
            lines, before = page.rows, page.before
        if lines:
            yield _written(shape, lines, revealed=revealed)
        if before is None:
            return


def _walk(view: View, filters: MessageFilters, before: int | None) -> MessagePage:
    return find_messages(view, filters, before=before, limit=STEP, budget=SECONDS)


def _these(view: View, ids: Sequence[int]) -> list[MessageLine]:
    column = tables.message.c
    rows = view.connection.execute(select(tables.message).where(column.id.in_(ids)).order_by(column.id.desc())).all()
    return list(message_lines(view, rows))


def _written(shape: Shape, lines: Iterable[MessageLine], *, revealed: bool) -> bytes:
    if shape is Shape.CSV:
        return _rows(row for line in lines for row in _csv(line, revealed=revealed)).encode()
    return b"".join(orjson.dumps(_object(line, revealed=revealed)) + b"\n" for line in lines)


def _rows(rows: Iterable[Sequence[object]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, delimiter=";", lineterminator="\r\n")
    for row in rows:
        writer.writerow([plain(value) if isinstance(value, str) else value for value in row])
    return out.getvalue()


def plain(text: str) -> str:
    """Keep a text from being taken for a formula by a spreadsheet."""
    return f"'{text}" if text[:1] in "=+-@\t\r\n" and text else text


def _csv(line: MessageLine, *, revealed: bool) -> Iterable[Sequence[object]]:
    sent = " ".join(f"{state.value}:{count}" for state, count in line.deliveries.items())
    head = (
        line.id,
        _moment(line.received_at),
        line.source,
        line.state.value,
        line.message_type,
        line.format,
        line.control_id,
        _GRAVITY[line.worst],
    )
    if not line.items:
        yield (*head, "", "", "", "", sent)
    for item in line.items:
        birth = item.patient.birth_date if revealed else item.patient.birth_date[:4]
        yield (*head, item.kind, _name(item, revealed=revealed), birth, item.line, sent)


def _object(line: MessageLine, *, revealed: bool) -> dict[str, object]:
    return {
        "id": line.id,
        "received_at": _moment(line.received_at),
        "source": line.source,
        "state": line.state.value,
        "message_type": line.message_type,
        "format": line.format,
        "control_id": line.control_id,
        "findings": _GRAVITY[line.worst] or None,
        "items": [
            {
                "kind": item.kind,
                "state": item.state.value,
                "patient": _name(item, revealed=revealed),
                "birth": item.patient.birth_date if revealed else item.patient.birth_date[:4],
                "what": item.line,
            }
            for item in line.items
        ],
        "deliveries": {state.value: count for state, count in line.deliveries.items()},
    }


def _name(item: ItemLine, *, revealed: bool) -> str:
    return unmasked(item.patient) if revealed else masked(item.patient).partition(",")[0]


def _moment(micros: int) -> str:
    return datetime.fromtimestamp(micros / 1_000_000, UTC).isoformat(timespec="milliseconds")


class _Pipe(io.RawIOBase):
    """What a ZIP is written to: its bytes are taken away as they come."""

    def __init__(self) -> None:
        super().__init__()
        self._pieces: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: bytes | bytearray | memoryview) -> int:  # type: ignore[override]
        self._pieces.append(bytes(data))
        return len(data)

    def taken(self) -> bytes:
        """Give what was written since the last time."""
        whole = b"".join(self._pieces)
        self._pieces.clear()
        return whole


async def originals(desk: Desk, ids: Sequence[int]) -> AsyncIterator[bytes]:
    """Give the bytes of these messages as they came, as a ZIP, with a list of what is in it and its digests."""
    pipe = _Pipe()
    listed: list[Sequence[object]] = [("id", "file", "bytes", "sha256")]
    total = 0
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in ids:
            for name, content in await desk.look(lambda view, number=number: _files(view, number)):  # type: ignore[misc]
                total += len(content)
                if total > LARGEST:
                    listed.append((number, f"{name} (left out: the export is full)", len(content), ""))
                    continue
                await desk.work(lambda name=name, content=content: archive.writestr(name, content))  # type: ignore[misc]
                listed.append((number, name, len(content), hashlib.sha256(content).hexdigest()))
                yield pipe.taken()
        archive.writestr("list.csv", _rows(listed).encode("utf-8-sig"))
    yield pipe.taken()


def _files(view: View, number: int) -> list[tuple[str, bytes]]:
    found = message_content(view, number)
    if found is None:
        return []
    column = tables.message.c
    kind = view.connection.execute(select(column.format).where(column.id == number)).scalar() or ""
    files = [(f"message-{number}.{_NAMES.get(kind, 'bin')}", found.content)]
    beside = enumerate(found.beside.items(), start=1)
    files += [(f"message-{number}/{rank}-{safe_name(name)}", content) for rank, (name, content) in beside]
    return files
