"""The inbox: what a Source submits becomes durable here, and only then gets its receipt."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from pathlib import Path

import orjson

from connectors.contracts import Inbound, NotAccepted, Receipt
from router.engine.clock import micros
from router.engine.outcomes import Outcomes
from router.engine.pressure import Pressure
from router.engine.worker import RawMessage
from router.journal.blobs import LARGE
from router.journal.operations import Appended, AppendMessage
from router.journal.sealing import file_control_id
from router.journal.store import JournalFault, Store
from router.journal.writer import Writer
from schemas.finding import Finding

HAND_OVER_BYTES = 8 * 1024 * 1024
"""Messages just committed, kept in memory so that the pipeline need not read them back."""

NOTHING = -1
"""Limit of a HandOver that keeps nothing: another node reads what is received here."""


class HandOver:
    """Messages just committed, by id, up to a number of bytes; what does not fit is read from the journal instead."""

    def __init__(self, limit: int = HAND_OVER_BYTES) -> None:
        self._kept: OrderedDict[int, RawMessage | None] = OrderedDict()
        self._bytes = 0
        self._limit = limit

    def put(self, number: int, raw: RawMessage | None) -> None:
        """Keep a message; None marks one that is not to be processed."""
        size = len(raw.content or b"") if raw is not None else 0
        if self._bytes + size > self._limit:
            return
        self._bytes += size
        self._kept[number] = raw

    def take(self, number: int) -> tuple[bool, RawMessage | None]:
        """Give and forget a message: whether it was kept, and the message."""
        if number not in self._kept:
            return False, None
        raw = self._kept.pop(number)
        self._bytes -= len(raw.content or b"") if raw is not None else 0
        return True, raw


class SourceInbox:
    """The inbox of one source (implements `connectors.contracts.Inbox`)."""

    def __init__(
        self,
        source: str,
        store: Store,
        writer: Writer,
        handed: HandOver,
        pressure: Pressure,
        outcomes: Outcomes,
        told: Callable[[str, int], None] | None = None,
    ) -> None:
        """`told` is told of each message that is committed, where another node may have to read it."""
        self._told = told
        self._source = source
        self._store = store
        self._writer = writer
        self._handed = handed
        self._pressure = pressure
        self._outcomes = outcomes
        self._sealer = store.sealer.clone()
        self.received = 0
        self.last_received_at: int | None = None

    def spool(self) -> Path:
        """Name a fresh spool file."""
        return self._store.blobs.spool()

    async def outcome(self, receipt: Receipt) -> Finding | None:
        """Wait until the message was read; gives the Finding for which it was rejected, None when it was not."""
        return await self._outcomes.of(receipt.message_id)

    async def held(self, receipt: Receipt) -> bool:
        """Say whether a message waits for a person."""
        return await self._outcomes.held(receipt.message_id)

    async def submit(self, inbound: Inbound) -> Receipt:
        """Commit a message. Raises NotAccepted when the journal cannot take it now: the sender should try again."""
        await self._pressure.admit()
        try:
            content, blob, digest, size = await self._content(inbound)
            appended = await self._writer.submit(self._operation(inbound, content, blob, digest, size))
        except JournalFault as fault:
            raise NotAccepted(str(fault)) from None
        except OSError as problem:
            raise NotAccepted(f"the message cannot be stored ({problem.strerror or type(problem).__name__})") from None
        return self._taken(inbound, content, blob, appended)

    def post(self, inbound: Inbound, done: Callable[[Receipt | NotAccepted], None]) -> bool:
        """Commit a short message without a task of its own; False when it must go through `submit`."""
        content = inbound.content
        if self._pressure.full or not isinstance(content, bytes) or len(content) > LARGE:
            return False
        digest = hashlib.sha256(content).digest()
        operation = self._operation(inbound, content, None, digest, len(content))
        try:
            self._writer.submit_told(operation, partial(self._posted, inbound, content, done))
        except JournalFault as fault:
            done(NotAccepted(str(fault)))
        return True

    def _posted(
        self,
        inbound: Inbound,
        content: bytes,
        done: Callable[[Receipt | NotAccepted], None],
        appended: Appended | Exception,
    ) -> None:
        if isinstance(appended, Appended):
            done(self._taken(inbound, content, None, appended))
        elif isinstance(appended, JournalFault):
            done(NotAccepted(str(appended)))
        else:
            done(NotAccepted(f"the message could not be kept ({type(appended).__name__})"))

    def _taken(self, inbound: Inbound, content: bytes | None, blob: str | None, appended: Appended) -> Receipt:
        self.received += 1
        self.last_received_at = micros(inbound.received_at)
        if not appended.duplicate:
            raw = None if inbound.refusal is not None else self._raw(appended.message_id, inbound, content, blob)
            self._handed.put(appended.message_id, raw)
            self._pressure.committed(appended.message_id)
            if self._told is not None:
                self._told(self._source, appended.message_id)
        return Receipt(appended.message_id, appended.duplicate)

    async def _content(self, inbound: Inbound) -> tuple[bytes | None, str | None, bytes, int]:
        content = inbound.content
        if isinstance(content, bytes) and len(content) <= LARGE:
            return content, None, hashlib.sha256(content).digest(), len(content)
        return await asyncio.to_thread(self._store_large, content)

    def _store_large(self, content: bytes | Path) -> tuple[None, str, bytes, int]:
        blobs = self._store.blobs
        if isinstance(content, bytes):
            return None, blobs.put(content), hashlib.sha256(content).digest(), len(content)
        with content.open("rb") as handle:
            digest = hashlib.file_digest(handle, "sha256").digest()
        size = content.stat().st_size
        return None, blobs.adopt(content), digest, size

    def _operation(
        self, inbound: Inbound, content: bytes | None, blob: str | None, digest: bytes, size: int
    ) -> AppendMessage:
        detail: dict[str, object] = {}
        if inbound.filename:
            detail["filename"] = inbound.filename
        if inbound.siblings:
            detail["siblings"] = {name: base64.b64encode(data).decode() for name, data in inbound.siblings.items()}
        refusal = inbound.refusal
        return AppendMessage(
            identity=self._sealer.digest(b"message", self._source.encode(), inbound.control_id.encode(), digest),
            received_at=micros(inbound.received_at),
            source=self._source,
            control_id=self._shown(inbound),
            message_type=inbound.message_type[:32],
            peer=inbound.peer[:128],
            size=size,
            content=content,
            blob=blob,
            detail=orjson.dumps(detail) if detail else None,
            rejected=None if refusal is None else refusal.finding.model_dump_json().encode(),
        )

    def _shown(self, inbound: Inbound) -> str:
        """Give the control id as the journal shows it; a file's name may be its patient's, and is kept sealed."""
        if inbound.filename and inbound.control_id == inbound.filename:
            return file_control_id(self._sealer, inbound.filename)
        return inbound.control_id[:256]

    def _raw(self, number: int, inbound: Inbound, content: bytes | None, blob: str | None) -> RawMessage:
        return RawMessage(
            message_id=number,
            source=self._source,
            content=content,
            blob=blob,
            control_id=self._shown(inbound),
            message_type=inbound.message_type[:32],
            received_at=inbound.received_at,
            filename=inbound.filename,
            siblings=dict(inbound.siblings),
        )
