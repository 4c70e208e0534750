"""A delivery that was checked and held: said on the overview, shown with its findings, sent or set aside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from router.journal import tables
from router.journal.attempts import RecordAttempt
from router.journal.tables import DeliveryState
from schemas.finding import Finding, Severity

DETAIL = "held: the document does not conform (schematron.min: element hl7:legalAuthenticator is required)"
SAID = "document non conforme : element hl7:legalAuthenticator is required [schematron.min]"
WHERE = "/ClinicalDocument/component[1]"


@dataclass
class Held:
    number: int
    message: int


def _row(site: Any, number: int) -> Any:
    with site.journal.store.reading() as connection:
        return connection.execute(select(tables.delivery).where(tables.delivery.c.id == number)).one()


def _hold(site: Any) -> Held:
    number = site.value("SELECT id FROM delivery WHERE state = 'pending' ORDER BY id")
    row = _row(site, number)
    at, finding = row.created_at, Finding(severity=Severity.ERROR, code="schematron.min", where=WHERE, message="rule")
    record = RecordAttempt(number, 1, at, at + 9_000, "held", DETAIL, b"", DeliveryState.HELD, findings=(finding,))
    site.journal.apply(record)
    return Held(number, row.message_id)


async def test_the_overview_says_that_a_decision_is_waited_for(site: Any) -> None:
    _hold(site)
    browser = await site.signed_in()
    answer = await browser.get("/")
    assert "1 livraison est retenue" in answer.plain
    assert SAID in answer.plain
    assert 'href="/deliveries?state=held"' in answer.text
    browser.cookies["passerelle_language"] = "en"
    assert "1 delivery has been held" in (await browser.get("/")).plain


async def test_its_findings_and_its_check_are_shown(site: Any) -> None:
    held = _hold(site)
    browser = await site.signed_in()
    sent = (await browser.get(f"/messages/{held.message}/sent")).plain
    assert SAID in sent
    assert f"{WHERE} rule schematron.min" in sent
    assert "retenu" in sent
    assert "Vérifié et retenu avant" in (await browser.get(f"/messages/{held.message}")).plain


async def test_it_is_sent_all_the_same(site: Any) -> None:
    held = _hold(site)
    browser = await site.signed_in()
    await browser.post(f"/deliveries/{held.number}/replay", {})
    row = _row(site, held.number)
    assert (row.state, row.attempts_before) == ("pending", 1)


async def test_it_is_set_aside(site: Any) -> None:
    held = _hold(site)
    browser = await site.signed_in()
    await browser.post(f"/deliveries/{held.number}/cancel", {})
    assert _row(site, held.number).state == "cancelled"
