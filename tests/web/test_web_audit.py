"""The audit's page: who saw whom, when and why; the chain's state; a patient's copy; reasons where a role owes them."""

from __future__ import annotations

import csv
import io
from typing import Any

from sqlalchemy import text

from router.journal.actions import record_audit
from router.web.accounts import Role
from router.web.auditing import as_csv, detail_words, target_words, told_of_audit
from router.web.formatting import Formats
from router.web.texts import Texts


def noted(site: Any, actor: str, action: str, target: str, at: int, detail: str = "") -> None:
    site.journal.apply(record_audit(actor, action, target, now=at, detail=detail))


async def test_it_is_filtered_by_person_patient_and_day(site: Any) -> None:
    day = 86_400_000_000
    noted(site, "marie", "read message", "message 1", site.clock[0] - 3 * day, "understood")
    noted(site, "paul", "reveal patient", "patient 1", site.clock[0], "control")
    noted(site, "paul", "replay message", "message 999", site.clock[0])
    browser = await site.signed_in()
    everything = (await browser.get("/audit")).plain
    assert "marie a lu message 1 Compris" in everything
    assert "paul a montré l’identité patient 1 contrôle des accès" in everything
    of_marie = (await browser.get("/audit?actor=marie")).plain
    assert "Seulement marie." in of_marie
    assert "message 999" not in of_marie
    about = (await browser.get("/audit?patient=1")).plain
    assert "message 1" in about
    assert "message 999" not in about, "a message of somebody else"
    assert "TESTROSE" not in about
    late = (await browser.get("/audit?patient=1&from=2026-11-22")).plain
    assert "marie a lu" not in late
    looks = (await browser.get("/audit?kind=looks")).plain
    assert "a rejoué" not in looks
    assert (await browser.get("/audit?from=nonsense&patient=x")).status == 200
    assert "paul" not in (await browser.get("/audit?patient=424242")).plain.partition("Pourquoi")[2]


async def verified(site: Any, browser: Any, known: str = "") -> str:
    assert (await browser.post("/audit/verify", {"known": known})).status == 303
    await site.desk.verification.task
    return str((await browser.get("/audit")).plain)


async def test_the_chain_is_verified_by_a_button_and_that_is_kept(site: Any) -> None:
    for rank in range(1, 5):
        noted(site, "admin", "read message", f"message {rank}", rank)
    browser = await site.signed_in()
    assert "jamais été vérifiée" in (await browser.get("/audit")).plain
    said = await verified(site, browser)
    assert "Entière (" in said
    head = site.desk.verification.chain.head
    assert head in said
    assert site.audited("verify audit") == [("admin", "audit", f"whole 4 {head}")]
    site.desk.verification = None
    assert "Entière (" in (await browser.get("/audit")).plain, "after a restart as well"
    with site.journal.store.writing() as connection:
        connection.execute(text("UPDATE audit SET actor = 'nobody' WHERE id = 2"))
    assert "Altérée" in (said := await verified(site, browser))
    assert "La ligne 2 ne suit pas" in said
    with site.journal.store.writing() as connection:
        connection.execute(text("DELETE FROM audit WHERE id >= 4"))
    assert "n’est plus dans l’enregistrement" in await verified(site, browser, head)


async def test_a_patients_copy_is_readable_and_noted(site: Any) -> None:
    noted(site, "marie", "read message", "message 1", site.clock[0], "understood")
    browser = await site.signed_in()
    answer = await browser.get("/audit/patients/1/accesses.csv")
    rows = list(csv.reader(io.StringIO(answer.text.removeprefix("\ufeff")), delimiter=";"))
    assert rows[0] == ["Quand", "Qui", "Quoi", "Sur quoi", "Pourquoi"]
    assert rows[1][1:] == ["marie", "a lu", "message 1", "Compris"]
    found = (await browser.get("/audit/patients/1/accesses.json")).json()
    assert found["accesses"][0]["what"] == "a lu"
    assert site.audited("export accesses")[0] == ("admin", "patient 1", "csv")
    assert (await browser.get("/audit/patients/424242/accesses.csv")).status == 404
    assert (await browser.get("/audit/patients/1/accesses.exe")).status == 404


async def test_a_patients_copy_tells_who_asked_for_the_dossier(site: Any) -> None:
    with site.journal.store.writing() as connection:
        connection.execute(text("INSERT INTO dossier VALUES (77, 1, 'active', 1, NULL, 1, 1, x'00')"))
        connection.execute(
            text(
                "INSERT INTO dossier_access (at, dossier_id, reader, action, category, allowed, rule, tool)"
                " VALUES (5, 77, 'infirmiere', 'read', 'medical', 0, 'circle', 'spico')"
            )
        )
    noted(site, "referente", "record consent", "dossier 77", 6)
    noted(site, "referente", "record consent", "dossier 1", 7)
    browser = await site.signed_in()
    found = (await browser.get("/audit/patients/1/accesses.json")).json()["accesses"]
    assert [(one["who"], one["what"]) for one in found] == [
        ("infirmiere (spico)", "s’est vu refuser l’accès au dossier"),
        ("referente", "a enregistré un consentement"),
    ], "dossier 1 is somebody else's"


def test_a_spreadsheet_is_given_nothing_to_compute() -> None:
    from zoneinfo import ZoneInfo

    from router.journal.queries_overview import AuditLine

    line = AuditLine(1, 1, "=HYPERLINK(1)", "login", "dashboard", "@SUM(A1)")
    told = told_of_audit([line], Texts.of("fr"))
    content = as_csv(told, Formats(Texts.of("fr"), ZoneInfo("UTC"), 1)).decode("utf-8-sig")
    cells = list(csv.reader(io.StringIO(content), delimiter=";"))[1]
    assert not any(cell.startswith(("=", "@")) for cell in cells)


async def test_an_auditor_says_why_before_a_name_is_shown(site: Any) -> None:
    browser = await site.signed_in_as(Role.AUDITOR)
    question = await browser.post("/items/1/reveal", {})
    assert "Pourquoi" in question.text
    assert "TESTROSE" not in question.text
    assert site.audited("reveal patient") == []
    assert "TESTROSE" not in (await browser.post("/items/1/reveal", {"why": "because"})).text
    assert "TESTROSE" in (await browser.post("/items/1/reveal", {"why": "complaint"})).text
    assert site.audited("reveal patient") == [("quelqu.un", "item 1", "complaint")]


async def test_others_carry_the_page_that_they_asked_on(site: Any) -> None:
    browser = await site.signed_in()
    browser.headers["HX-Current-URL"] = "http://router/messages?search=secret"
    assert "TESTROSE" in (await browser.post("/items/1/reveal", {})).text
    assert site.audited("reveal patient") == [("admin", "item 1", "/messages")]


def test_details_are_said_in_the_readers_language() -> None:
    french, english = Texts.of("fr"), Texts.of("en")
    begun = "replay_messages, 3 rows, to mappings:12"
    assert detail_words(begun, french) == "rejeu de messages : 3 lignes, vers correspondances v12"
    assert detail_words("reroute, 3 rows, to destination:spico", english) == "rerouting: 3 rows, to spico"
    assert detail_words("undo, 1 of 2 rows", english) == "undoing: 1 of 2 rows"
    assert detail_words("undo of bulk 3", french) == "annulation de l’action n° 3"
    assert detail_words("hl7v2, cp1252, mappings 12", french) == "hl7v2, cp1252, correspondances v12"
    assert detail_words("read_only → auditor", french) == "Lecture seule → Auditeur"
    assert "2 livraisons écartées, 1 déjà parties" in detail_words("attach, checked, 2 cancelled, 1 had left", french)
    assert detail_words("was 718-7", french) == "était 718-7"
    assert target_words("code GLY of SUD", french) == "code GLY de SUD"
    assert detail_words("panne du disque", english) == "panne du disque"
