"""A destination beside the DMP written by hand, and the documents that its tests submit."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dmp_peer import (
    DmpPeer,
    direct,
    settings,
)
from xdm_archives import cda

from connectors.contracts import Parcel
from connectors.dmp.destination import DmpDestination
from connectors.dmp.settings import DmpDestinationSettings
from connectors.http.simulator import WebReceiver
from connectors.testing import PlainServices
from mappings.cda import FORMAT as CDA
from mappings.contracts import Environment, ReadContext, WriteContext
from mappings.xds.format import FORMAT
from schemas.identity import IdentityStatus
from schemas.item import DocumentItem

NOW = datetime(2026, 3, 5, 9, 0, tzinfo=UTC)
UNIQUE_ID = "1.2.250.1.999.67.1"


def document(
    content: bytes | None = None, status: IdentityStatus = IdentityStatus.QUALIFIED, **changes: Any
) -> DocumentItem:
    (item,) = CDA.read(content or cda(), ReadContext()).items
    assert isinstance(item, DocumentItem)
    patient = item.patient.model_copy(update={"status": status})
    return item.model_copy(update={"patient": patient, "content": item.content.model_copy(update=changes)})


def parcel(item: DocumentItem | None = None, number: int = 1, **more: Any) -> Parcel:
    context = WriteContext(now=NOW, identity=f"D{number:06d}", environment=Environment.TEST)
    written = FORMAT.write(item or document(), context)
    values = {
        "delivery_id": number,
        "identity": f"D{number:06d}",
        "content": written.content,
        "media_type": written.media_type,
        "filename": written.filename,
        "attempt": 1,
        "attachments": written.attachments,
    }
    return Parcel(**{**values, **more})


class Rig:
    """A destination and its peer; `make` gives another one with other settings, as after a restart."""

    def __init__(self, folder: Path, peer: DmpPeer, services: PlainServices) -> None:
        self.folder = folder
        self.peer = peer
        self.services = services
        self.opened: list[DmpDestination] = []
        self.destination = self.make()

    def make(self, *, doctor: bool = False, **more: Any) -> DmpDestination:
        make = direct if doctor else settings
        values = make(self.folder, self.peer.receiver.url, **more)
        made = DmpDestination("dmp", DmpDestinationSettings(**values), self.services)
        self.opened.append(made)
        return made


@asynccontextmanager
async def opened(folder: Path, services: PlainServices) -> AsyncIterator[Rig]:
    """Open a destination and its peer; everything that was made on it is closed at the end."""
    async with WebReceiver() as receiver:
        made = Rig(folder, DmpPeer(folder, receiver), services)
        yield made
        for one in made.opened:
            await one.close()
