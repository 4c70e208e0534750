"""The whole way, in a running router: a message in, a resource of the dossier out, once, over a stop as well."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest
from dossier_scene import DAC, INFORMED
from flows_rig import Rig, empty_journal, report, rose, running
from sqlalchemy import func, select

from router.config.load import Loaded
from router.config.model import DossierSection
from router.dossier.dossiers import open_dossier
from router.dossier.keeping import By
from router.journal import tables


class Served(Rig):
    """A router whose dossier API is on."""

    def loaded(self) -> Loaded:
        found = super().loaded()
        configuration = found.configuration.model_copy(update={"dossier": DossierSection(api=True)})
        return Loaded(found.path, configuration, found.sources, found.destinations)

    def count(self, kind: str) -> int:
        """Count the resources of a type."""
        column = tables.resource.c
        statement = select(func.count()).select_from(tables.resource).where(column.type == kind)
        with self.engine.store.reading() as connection:
            return int(connection.execute(statement).scalar_one())

    async def until(self, kind: str, number: int) -> None:
        """Wait until there are so many resources of a type."""
        kept = asyncio.Event()
        self.engine.dossier.follower.kept = kept.set
        async with asyncio.timeout(30):
            while True:
                kept.clear()
                if self.count(kind) == number:
                    return
                await kept.wait()


async def test_what_was_committed_before_and_after_a_stop_is_in_the_dossier_once(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = empty_journal(tmp_path)
    async with running(place, monkeypatch) as off:
        # While the API is off, nothing is followed; when it is turned on, everything that is there is looked at.
        patient = await off.know(rose("IPP1"), in_coordination=False)
        now = int(datetime.now(UTC).timestamp() * 1_000_000)
        consent = INFORMED.model_copy(update={"at": "2026-01-01"})
        await off.engine.submit(open_dossier(patient, DAC, by=By("claire", now), consent=consent))
        await off.receive(report(1, rose("IPP1")))
        assert off.rows(tables.resource_pending) == []
    async with running(place, monkeypatch, Served) as on:
        await on.until("DiagnosticReport", 1)
        await on.receive(report(2, rose("IPP1")), report(3, rose("IPP2", birth_name="INCONNUE")))
        await on.until("DiagnosticReport", 2)
    async with running(place, monkeypatch, Served) as again:
        await again.receive(report(2, rose("IPP1")))
        await again.until("DiagnosticReport", 2)
        versions = [row.version for row in again.rows(tables.resource) if row.type == "DiagnosticReport"]
        assert versions == [1, 1]
