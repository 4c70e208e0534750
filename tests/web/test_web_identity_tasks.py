"""Tasks that the router opened about identities: listed masked, shown on request, closed with what was done."""

from __future__ import annotations

from typing import Any

import pytest

from router.identity.tasks import TaskKind, open_task
from router.journal.operations import Change
from router.web.rights import Role


@pytest.fixture
def opened(site: Any) -> Any:
    """A task about the registered patient, for a Delivery that had left."""
    change = Change(
        lambda unit: open_task(unit, 1, TaskKind.PUBLISHED, now=site.clock[0], item_id=1, delivery_id=1), note="task"
    )
    site.journal.apply(change)
    return site


async def test_a_task_is_listed_masked_and_closed(opened: Any) -> None:
    browser = await opened.signed_in()
    page = await browser.get("/identities/tasks")
    assert "Tâches 1" in page.plain
    assert (
        "Parti sous une INS qui n’est pas, ou plus, celle du patient : prévenir le destinataire. M••• T•••, 1930"
        in page.plain
    )
    assert "TESTROSE" not in page.text
    assert 'href="/messages/1/sent#delivery-1"' in page.text
    assert "TESTROSE MARIE" in (await browser.post("/patients/1/reveal")).text
    assert opened.audited("reveal patient") == [("admin", "patient 1", "")]
    answer = await browser.post("/identities/tasks/1/close", {"why": "destinataire prévenu"})
    assert answer.location == "/identities/tasks"
    assert "Aucune tâche n’est ouverte." in (await browser.get(answer.location)).plain
    assert opened.audited("close identity task") == [("admin", "task 1", "")]
    assert (await browser.post("/identities/tasks/1/close")).status == 404
    assert (await browser.post("/patients/99/reveal")).status == 404


async def test_an_auditor_sees_tasks_and_closes_none(opened: Any) -> None:
    browser = await opened.signed_in_as(Role.AUDITOR)
    page = await browser.get("/identities/tasks")
    assert "Tâches 1" in page.plain
    assert "/close" not in page.text
    assert (await browser.post("/identities/tasks/1/close")).status == 403
