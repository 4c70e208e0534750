"""The identity desk on pages and by the API: compared, decided, undone; who may, and what is noted of it."""

from __future__ import annotations

import re
from typing import Any

import pytest
from html_check import check
from sqlalchemy import select, update
from web_journal import HOUR, person, report

from router.journal import tables
from router.journal.tables import ItemState
from router.web.rights import Role
from schemas.coding import Identifier
from schemas.identity import PatientIdentity

KNOWN = 1
"""The patient that the filled journal has registered."""


def hold(site: Any, number: int, patient: PatientIdentity, *, reason: str = "trait_mismatch", age: int = HOUR) -> int:
    """Receive a report that is held, and give its Item's number."""
    journal = site.journal
    at = site.clock[0] - age
    message = journal.message(at, control=f"DESK{number}")
    prepared = journal.item(
        report(patient, f"{number:032x}"),
        line="CRP, 1 résultat",
        patient_id=None,
        state=ItemState.HELD,
        reason=reason,
        to=(),
    )
    journal.read(message, at + 1, [prepared])
    return int(site.value("SELECT max(id) FROM item"))


def item_of(site: Any, number: int) -> Any:
    with site.journal.store.reading() as connection:
        return connection.execute(select(tables.item).where(tables.item.c.id == number)).one()


TYPED = person(0).model_copy(
    update={
        "ins": None,
        "birth_name": "TESTROZE",
        "first_given_name": "Marie",
        "birth_date": "1930-05-03",
        "identifiers": (*person(0).identifiers, Identifier(system="urn:oid:1.2.9", value="LAB9", type="PI")),
    }
)


@pytest.fixture
def held(site: Any) -> int:
    """An Item whose identity is nearly that of the registered patient."""
    return hold(site, 1, TYPED)


async def decide(browser: Any, item: int, **fields: Any) -> Any:
    return await browser.post(f"/identities/{item}/decide", {"action": "attach", "why": "traits_compared", **fields})


# --- looking ------------------------------------------------------------------------------------------------------


async def test_two_identities_stand_side_by_side_and_the_look_is_noted(site: Any, held: int) -> None:
    browser = await site.signed_in()
    answer = await browser.get(f"/identities/{held}")
    assert "TESTRO<mark>Z</mark>E" in answer.text
    assert "TESTRO<mark>S</mark>E" in answer.text
    assert "0<mark>3</mark>/0<mark>5</mark>/1930" in answer.text
    assert "Jour et mois de naissance sont inversés." in answer.plain
    assert "même identifiant · 3 traits sur 5" in answer.plain
    assert "1 ◆" not in answer.plain
    assert site.audited("compare identities") == [("admin", f"item {held}", f"patients {KNOWN}")]
    assert not re.search(r"TESTRO", re.findall(r"<title>(.*?)</title>", answer.text)[0])


async def test_a_live_refresh_shows_counts_and_nobody(site: Any, held: int) -> None:
    browser = await site.signed_in()
    answer = await browser.live(f"/identities/{held}")
    assert "À décider 2" in answer.plain
    assert "TESTRO" not in answer.text
    assert site.audited("compare identities") == []


async def test_the_oldest_comes_first_and_an_empty_queue_says_so(site: Any, held: int) -> None:
    browser = await site.signed_in()
    first = await browser.get("/identities")
    assert "Admission" in first.plain
    assert f'href="/identities?after={site.journal.ids["HELD"]}"' in first.text
    assert "CRP, 1 résultat" in (await browser.get("/identities?reason=trait_mismatch")).plain
    assert "Plus rien n’attend pour cette raison." in (await browser.get("/identities?reason=homonyms")).plain
    assert "Rien n’est mis de côté." in (await browser.get("/identities?pile=aside")).plain
    assert (await browser.get("/held")).location == "/identities"


async def test_names_in_the_queue_stay_hidden(site: Any) -> None:
    hold(site, 1, person(4), reason="no_match")
    hold(site, 2, person(5), reason="no_match", age=HOUR // 2)
    browser = await site.signed_in()
    text = (await browser.get("/identities")).text
    assert person(4).birth_name not in text
    assert "P••• M•••" not in text or "•••" in text
    assert "TEST" not in (await browser.get("/identities/decisions")).text


async def test_the_row_of_the_table_says_why(site: Any, held: int) -> None:
    with site.journal.store.writing() as connection:
        connection.execute(update(tables.item).where(tables.item.c.id == held).values(decision="16"))
    browser = await site.signed_in()
    answer = await browser.get(f"/identities/{held}")
    assert "L’identifiant est connu et un trait strict diffère. ligne 16 de la table" in answer.plain
    browser.cookies["passerelle_language"] = "en"
    assert (
        "The identifier is known and a strict trait differs. row 16" in (await browser.get(f"/identities/{held}")).plain
    )


async def test_a_patient_is_looked_for_without_a_name_in_the_address(site: Any) -> None:
    item = hold(site, 1, person(7, "INCONNUTEST"), reason="no_match")
    browser = await site.signed_in()
    assert "Personne de connu ne lui ressemble." in (await browser.get(f"/identities/{item}")).plain
    answer = await browser.post(f"/identities/{item}/search", {"text": "testrose marie", "reason": "no_match"})
    assert re.fullmatch(rf"/identities/{item}\?reason=no_match&search=[\w-]+", answer.location)
    found = await browser.get(answer.location)
    assert "TESTROSE MARIE recherché" in found.plain
    assert "Rattacher à ce patient" in found.plain
    assert site.audited("search patients") == [("admin", f"item {item}", "")]
    nobody = await browser.post(f"/identities/{item}/search", {"text": "qqqq"})
    assert "Aucun patient ne répond à cette recherche." in (await browser.get(nobody.location)).plain
    assert (await browser.post(f"/identities/{item}/search", {"text": " "})).location == f"/identities/{item}"


# --- deciding -----------------------------------------------------------------------------------------------------


async def test_an_attachment_is_kept_told_and_undone(site: Any, held: int) -> None:
    browser = await site.signed_in()
    answer = await decide(browser, held, patient=str(KNOWN), reason="trait_mismatch", note="vu avec le labo")
    assert answer.location == f"/identities?reason=trait_mismatch&after={held}"
    assert site.woken, "the engine is told"
    row = "SELECT actor || action || patient_id || why || reason FROM identity_decision"
    assert site.value(row) == f"adminattach{KNOWN}traits_comparedtrait_mismatch"
    after = await browser.get(answer.location)
    assert "Rattaché par admin, à l’instant : traits comparés, même personne « vu avec le labo »" in after.plain
    assert "Plus rien n’attend pour cette raison." in after.plain
    again = await decide(browser, held, patient=str(KNOWN))
    assert "refused=decided" in again.location
    assert "Quelqu’un venait d’en décider" in (await browser.get(again.location)).plain
    shown = await browser.get(f"/identities/{held}")
    assert "Rattaché par admin" in shown.plain
    assert "Rattacher à ce patient" not in shown.plain
    number = site.value("SELECT id FROM identity_decision")
    undone = await browser.post(f"/identities/decisions/{number}/undo")
    assert undone.location == f"/identities/{held}?undone=0-0"
    assert "Rattacher à ce patient" in (await browser.get(undone.location)).plain
    listed = (await browser.get("/identities/decisions")).plain
    assert listed.index("Annulé") < listed.index("Rattaché")


async def test_items_of_one_identity_are_decided_together_unless_unticked(site: Any, held: int) -> None:
    others = [hold(site, rank, TYPED) for rank in (2, 3)]
    browser = await site.signed_in()
    page = await browser.get(f"/identities/{held}")
    assert "et 2 autres éléments qui disent exactement la même identité" in page.plain
    also = [str(number) for number in others]
    await decide(browser, held, patient=str(KNOWN), also=also)
    assert site.value("SELECT count(*) FROM identity_decision") == 1
    await decide(browser, others[0], patient=str(KNOWN), also=also, together="1")
    assert site.value("SELECT count(*) FROM identity_decision") == 3
    assert "(2 éléments)" in (await browser.get("/identities")).plain


@pytest.mark.parametrize(
    ("action", "why", "state", "pile"),
    [
        ("task", "ask_sender", "held", "Mis de côté 1"),
        ("doubtful", "impersonation", "held", "Mis de côté 1"),
        ("refuse", "test_message", "refused", "Mis de côté 0"),
    ],
)
async def test_other_decisions(site: Any, held: int, action: str, why: str, state: str, pile: str) -> None:
    browser = await site.signed_in()
    await decide(browser, held, action=action, why=why, patient=str(KNOWN))
    assert item_of(site, held).state == state
    assert site.value("SELECT patient_id FROM identity_decision") is None, "the patient was not meant"
    page = await browser.get("/identities")
    assert f"À décider 1 {pile}" in page.plain
    if state == "refused":
        message = item_of(site, held).message_id
        assert "refusé par une personne." in (await browser.get(f"/messages/{message}")).plain
    else:
        aside = (await browser.get("/identities?pile=aside")).plain
        assert "CRP, 1 résultat" in aside


async def test_a_patient_is_declared_doubtful_too_only_when_asked(site: Any, held: int) -> None:
    browser = await site.signed_in()
    await decide(browser, held, action="doubtful", why="number_of_another", patient=str(KNOWN), patient_too="1")
    assert site.value("SELECT patient_id FROM identity_decision") == KNOWN
    assert "douteuse" in (await browser.get(f"/identities/{held}")).plain


@pytest.mark.parametrize(
    "fields",
    [
        {"why": "test_message", "patient": "1"},
        {"why": "other", "patient": "1"},
        {"why": "traits_compared"},
        {"why": "", "patient": "1"},
    ],
)
async def test_a_decision_without_its_reason_is_none(site: Any, held: int, fields: Any) -> None:
    browser = await site.signed_in()
    answer = await decide(browser, held, **fields)
    assert answer.location == f"/identities/{held}?refused=incomplete"
    assert "Choisissez un motif" in (await browser.get(answer.location)).plain
    assert site.value("SELECT count(*) FROM identity_decision") == 0


async def test_odd_requests(site: Any, held: int) -> None:
    browser = await site.signed_in()
    assert (await decide(browser, held, action="undo")).status == 404
    assert (await decide(browser, held, action="x")).status == 404
    assert "refused=no_item" in (await decide(browser, 999, patient="1")).location
    assert "refused=no_patient" in (await decide(browser, held, patient="77")).location
    assert (await browser.post("/identities/decisions/9/undo")).status == 404
    assert (await browser.post(f"/identities/{held}/decide", {"action": "refuse"}, csrf="x")).status == 403


async def test_every_refusal_has_its_sentence(site: Any, held: int) -> None:
    from router.desk.deciding import Refusal

    browser = await site.signed_in()
    for refusal in (*Refusal, "incomplete"):
        answer = await browser.get(f"/identities/{held}?refused={refusal}")
        assert 'role="alert"' in answer.text
        assert check(answer.text).wrong == []
    assert 'role="alert"' not in (await browser.get(f"/identities/{held}?refused=%3Cb%3E")).text


# --- who may ------------------------------------------------------------------------------------------------------


async def test_an_identity_officer_decides(site: Any, held: int) -> None:
    browser = await site.signed_in_as(Role.IDENTITY_OFFICER)
    assert "Rattacher" in (await browser.get(f"/identities/{held}")).plain
    assert (await decide(browser, held, patient=str(KNOWN))).status == 303
    assert site.value("SELECT actor FROM identity_decision") == "quelqu.un"


async def test_an_auditor_only_looks(site: Any, held: int) -> None:
    browser = await site.signed_in_as(Role.AUDITOR)
    page = await browser.get(f"/identities/{held}")
    assert "TESTRO" in page.text
    assert "/decide" not in page.text
    assert site.audited("compare identities")[0][0] == "quelqu.un"
    assert (await decide(browser, held, patient=str(KNOWN))).status == 403
    assert (await browser.post("/identities/decisions/1/undo")).status == 403
    assert site.value("SELECT count(*) FROM identity_decision") == 0


# --- the overview -------------------------------------------------------------------------------------------------


async def test_the_overview_alerts_when_the_oldest_waits_too_long(site: Any, held: int) -> None:
    browser = await site.signed_in()
    text = (await browser.get("/")).plain
    assert "2 éléments attendent une identité, le plus ancien depuis 08:30" in text
    assert "plus de 24 h" not in text
    site.clock[0] += 23 * HOUR
    site.desk.boards.forget()
    browser = await site.signed_in()
    page = await browser.get("/")
    assert "attendent une identité depuis plus de 24 h" in page.plain
    assert re.search(r'class="red">.*?plus de 24 h', page.text.replace("\n", ""))
    assert '<a href="/identities">Décider</a>' in page.text
    assert "un trait d’identité diffère" in page.plain


async def test_a_held_message_leads_to_the_desk(site: Any, held: int) -> None:
    browser = await site.signed_in()
    message = item_of(site, held).message_id
    assert f'href="/identities/{held}"' in (await browser.get(f"/messages/{message}")).text
    assert f'href="/identities/{held}"' in (await browser.get(f"/messages/{message}/why")).text
    assert "/identities/" not in (await browser.get("/messages/1/why")).text
