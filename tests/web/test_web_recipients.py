"""For whom a Delivery is, on the page of its message: reasons in words, a patient's address masked, what to do."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson
import pytest
from html_check import check
from web_journal import MINUTE, person, report

from router.journal.operations import PARCEL_DETAIL_PLACE, CommitReadings, PreparedMessage
from router.journal.tables import DeliveryState, MessageState

HER_MAILBOX = "279035121518989@patient.mssante.fr"


@pytest.fixture
def number(site: Any) -> int:
    """A message with a Delivery to a patient, one to a professional, and one that has nobody to write to."""
    journal = site.journal
    made = journal.message(site.clock[0] - MINUTE, control="RECIPIENTS")
    facts = [
        {"recipient": HER_MAILBOX, "audience": "patient", "reasons": ["patient"]},
        {"recipient": "dr@medecin.mssante.fr", "audience": "professional", "reasons": ["named", "circle"]},
        {"recipient": "rpps|99900000003", "reasons": ["practitioner"]},
    ]
    deliveries = []
    for rank, fact in enumerate(facts):
        one = replace(
            journal.delivery("medecin", DeliveryState.DELIVERED),
            identity=f"recipient-{rank}",
            recipient=str(fact["recipient"]),
            sealed_detail=journal.store.sealer.seal(orjson.dumps(fact), PARCEL_DETAIL_PLACE),
        )
        if "audience" not in fact:
            held = {"state": DeliveryState.HELD, "detail": "held: no MSSanté mailbox is known (recipients.no_mailbox)"}
            one = replace(one, size=0, sealed_content=None, **held)
        deliveries.append(one)
    item = replace(journal.item(report(person(0), "e" * 32), line="Lettre", to=()), deliveries=tuple(deliveries))
    journal.apply(
        CommitReadings([PreparedMessage(made, MessageState.PROCESSED, "hl7v2", 0, 0, None, (item,))], site.clock[0])
    )
    return int(made)


@pytest.mark.parametrize("language", ["fr", "en"])
async def test_recipients_are_shown_with_their_reasons(site: Any, number: int, language: str) -> None:
    browser = await site.signed_in()
    browser.cookies["passerelle_language"] = language
    answer = await browser.get(f"/messages/{number}/sent")
    assert check(answer.text).wrong == []
    assert "279035121518989" not in answer.text
    assert "•••@patient.mssante.fr" in answer.plain
    assert "dr@medecin.mssante.fr" in answer.plain
    assert "RPPS 99900000003" in answer.plain
    reasons = {"fr": "nommé par l’émetteur, cercle de soins", "en": "named by the sender, circle of care"}
    assert reasons[language] in answer.plain


async def test_what_was_never_written_cannot_be_sent_again(site: Any, number: int) -> None:
    browser = await site.signed_in()
    held = site.value("SELECT id FROM delivery WHERE identity = 'recipient-2'")
    answer = await browser.get(f"/messages/{number}/sent")
    assert f"/deliveries/{held}/replay" not in answer.text
    assert "rejouez le message" in answer.plain
    await browser.post(f"/deliveries/{held}/replay", csrf=browser.csrf)
    assert site.value("SELECT state FROM delivery WHERE identity = 'recipient-2'") == "held"
