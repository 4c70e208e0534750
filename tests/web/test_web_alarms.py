"""Alarms on the dashboard: in words, taken up, put off, kept as history."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import insert
from web_journal import HOSTILE, HOUR

from router.journal import tables
from router.web.rights import Role


@pytest.fixture
def alarmed(site: Any) -> Any:
    now = site.clock[0]
    with site.journal.store.writing() as connection:
        for kind, subject, facts, closed in (
            ("silence", "labo-sud", f'{{"since": {now - HOUR}, "expected": 35}}', None),
            ("codes", HOSTILE, '{"count": 2, "codes": "HB2, <b>K9</b>"}', None),
            ("down", "spico", '{"detail": "HTTP 503"}', now - HOUR),
        ):
            values = {"kind": kind, "subject": subject, "facts": facts, "closed_at": closed}
            connection.execute(insert(tables.alarm).values(opened_at=now - 2 * HOUR, seen_at=now, **values))
    return site


async def test_alarms_are_told_in_words_and_names_stay_text(alarmed: Any) -> None:
    answer = await (await alarmed.signed_in()).get("/alarms")
    assert "labo-sud se tait" in answer.plain
    assert "35 messages seraient arrivés" in answer.plain
    assert "spico ne fonctionne plus" in answer.plain
    assert HOSTILE not in answer.text
    assert "<b>K9</b>" not in answer.text


async def test_the_overview_begins_with_what_is_silent(alarmed: Any) -> None:
    text = (await (await alarmed.signed_in()).get("/")).plain
    assert "labo-sud se tait" in text
    assert "spico ne fonctionne plus" not in text


async def test_one_is_taken_up_another_put_off_until_the_morning(alarmed: Any) -> None:
    browser = await alarmed.signed_in()
    assert (await browser.post("/alarms/1/acknowledge", {})).status == 303
    assert (await browser.post("/alarms/2/morning", {})).status == 303
    assert alarmed.value("SELECT acknowledged_by FROM alarm WHERE id = 1") == "admin"
    until = alarmed.value("SELECT snoozed_until FROM alarm WHERE id = 2")
    assert 0 < until - alarmed.clock[0] <= 24 * HOUR
    text = (await browser.get("/alarms")).plain
    assert "prise en charge par admin" in text
    assert "labo-sud se tait" not in (await browser.get("/")).plain
    for path in ("/alarms/3/acknowledge", "/alarms/99/hour", "/alarms/1/forget"):
        assert (await browser.post(path, {})).status == 404, path


async def test_each_alarm_leads_to_its_cause_and_the_page_says_who_is_told(alarmed: Any) -> None:
    browser = await alarmed.signed_in()
    answer = await browser.get("/alarms")
    assert 'href="/flows/sources/labo-sud/profile"' in answer.text
    assert 'href="/codes?sender=%3Cscript%3E' in answer.text
    assert "Personne n’en est prévenu" in answer.plain
    object.__setattr__(alarmed.desk.context, "alarm_ways", lambda: ("webhook", "mssante"))
    assert "Signalées par webhook, MSSanté." in (await browser.get("/alarms")).plain
    overview = (await browser.get("/")).text
    assert 'href="/alarms#alarm-1"' in overview


async def test_a_node_that_will_not_come_back_is_forgotten(alarmed: Any) -> None:
    with alarmed.journal.store.writing() as connection:
        values = {"kind": "node", "side": "router", "subject": "travail2", "facts": '{"since": 1, "roles": "work"}'}
        connection.execute(insert(tables.alarm).values(opened_at=alarmed.clock[0], seen_at=1, **values))
    browser = await alarmed.signed_in()
    answer = await browser.get("/alarms")
    assert "Le nœud travail2 (traitement) se tait" in answer.plain
    assert answer.text.count("Il ne reviendra pas") == 1
    assert (await browser.post("/alarms/4/forget", {})).status == 303
    assert alarmed.value("SELECT closed_at FROM alarm WHERE id = 4") is not None
    assert "Le nœud travail2" not in (await browser.get("/")).plain
    assert alarmed.value("SELECT target FROM audit ORDER BY id DESC LIMIT 1") == "node travail2"


async def test_an_auditor_only_looks(alarmed: Any) -> None:
    browser = await alarmed.signed_in_as(Role.AUDITOR)
    assert "Prendre en charge" not in (await browser.get("/alarms")).plain
    assert (await browser.post("/alarms/1/acknowledge", {})).status == 403
