"""The page that compares before a replay."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from mappings.contracts import PARIS
from router.engine.plan import Plan
from router.engine.worker import Worker
from router.journal.prepared import PreparedMessage
from router.journal.readers import ReaderChoice
from router.web.accounts import Role
from router.whatif.replaying import load_raws


@pytest.fixture
def again(site: Any) -> Any:
    store = site.journal.store
    plan = Plan(store.place, store.sealer.master, {}, {}, (), None, PARIS)

    async def read(number: int, reader: ReaderChoice) -> PreparedMessage | None:
        raws = load_raws(store, store.sealer.clone(), [number])
        if not raws:
            return None
        return Worker(plan, store).process([replace(raws[0], reader=reader)], datetime(2026, 11, 22, tzinfo=UTC))[0]

    site.desk.context = replace(site.desk.context, read_again=read)
    return site


async def test_what_a_replay_would_change_is_shown_before_it_is_done(again: Any) -> None:
    browser = await again.signed_in()
    said = (await browser.get("/messages/1/replay")).plain
    assert "ne partirait plus spico" in said
    assert "Gardé Serait" in said
    assert again.audited("compare reading") == [("admin", "message 1", "")]
    other = (await browser.get("/messages/1/replay?format=fhir&charset=utf-8")).text
    assert '<input type="hidden" name="format" value="fhir">' in other
    assert (await browser.get("/messages/999/replay")).status == 404
    done = await browser.post("/messages/1/replay", {"format": "fhir", "charset": ""})
    assert done.status == 303
    assert again.audited("replay message") == [("admin", "message 1", "fhir")]


async def test_only_who_may_replay_may_compare(again: Any) -> None:
    browser = await again.signed_in_as(Role.AUDITOR)
    assert (await browser.get("/messages/1/replay")).status == 403
