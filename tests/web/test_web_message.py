"""One message: its sentence, its life, its tabs, its files; and that whoever reads it is noted."""

from __future__ import annotations

import re
from typing import Any

import pytest
from web_journal import HOSTILE

from connectors.contracts import Reference, ReferenceKind
from router.journal.operations import Change
from router.journal.receipts import PreparedReceipt, keep_receipt, keep_references, reference_token
from router.journal.unit import Unit


async def test_one_sentence_says_it_all(site: Any) -> None:
    browser = await site.signed_in()
    text = (await browser.get("/messages/1")).plain
    assert (
        "Reçu de labo-sud à 09:40:00, rattaché à M••• T•••, 1930, livré à spico en 1 min, livré à medecin en 1 min."
        in text
    )
    assert "Reçu de labo-sud à 10:20:00, illisible et gardé tel quel." in (await browser.get("/messages/3")).plain
    assert "en attente d’une identité." in (await browser.get("/messages/2")).plain
    assert "en nouvel essai vers spico." in (await browser.get("/messages/7")).plain
    assert "en échec vers spico." in (await browser.get("/messages/4")).plain
    assert "en attente de lecture." in (await browser.get("/messages/9")).plain


async def test_its_life_is_told_in_order(site: Any) -> None:
    browser = await site.signed_in()
    text = (await browser.get("/messages/1/why")).plain
    order = [
        text.index(said)
        for said in (
            "Reçu de labo-sud",
            "Lu et aiguillé",
            "spico n’en a pas voulu, essai 1",
            "Acquitté par spico, essai 2",
        )
        if said in text
    ]
    assert order == sorted(order)
    assert "HTTP 503" in text
    waiting = (await browser.get("/messages/7/why")).plain
    assert "spico injoignable, essai 1" in waiting
    assert "Prochain essai vers spico" in waiting


async def test_what_was_understood_reads_like_a_report(site: Any) -> None:
    browser = await site.signed_in()
    answer = await browser.get("/messages/1/understood")
    text = answer.plain
    for said in (
        "Hémoglobine",
        "antériorité 11,9, 02/11/2026",
        "7,1 ↓↓ inférieur au seuil critique g/dL 12.0-16.0",
        "455 ↑ supérieur à la normale",
        "Absence de germe après 48 heures.",
        "Anémie sévère.",
        "Nom de naissance TESTROSE",
        "Naissance 05/03/1930",
    ):
        assert said in text
    assert '<tr class="critical' in answer.text
    assert '"birth_name": "TESTROSE"' in (await browser.get("/messages/1/understood?raw=1")).plain.replace('" :', '":')
    admission = (await browser.get("/messages/2/understood")).plain
    assert "Événement Admission (A01)" in admission
    assert "Lieu 3301 · 12 · P" in admission


async def test_the_original_has_named_fields_and_bytes(site: Any) -> None:
    browser = await site.signed_in()
    text = (await browser.get("/messages/1/original")).text
    assert 'title="PID-5 · Patient name (XPN)"' in text
    assert "a.txt" in text
    raw = (await browser.get("/messages/1/original?raw=1")).text
    assert "PID|1||IPP1^^^CH-FICTIF&amp;1.2.250.1.999.35.1&amp;ISO^PI" in raw
    odd = (await browser.get("/messages/3/original")).text
    assert "0b 6e 6f 74 20 48 4c 37" in odd, "bytes that are no text are shown in hexadecimal"


async def test_what_was_sent_with_each_attempt_and_answer(site: Any) -> None:
    browser = await site.signed_in()
    text = (await browser.get("/messages/1/sent")).plain
    assert '"resourceType" : "Bundle"' in text
    assert "HTTP 503" in text
    assert '"ok" : true' in text
    assert "patient.ins is not carried fhir.lost" in text


async def test_why_it_went_there(site: Any) -> None:
    browser = await site.signed_in()
    text = (await browser.get("/messages/1/why")).plain
    assert re.search(r"oui résultats item.kind == 'lab_report' spico, medecin", text)
    assert "non alertes cette route n’existe plus" in text
    assert "erreur essai the condition fails on this item" in text
    assert "patient inconnu du dossier" in (await browser.get("/messages/2/why")).plain


async def test_what_the_reader_noticed_and_left(site: Any) -> None:
    browser = await site.signed_in()
    text = (await browser.get("/messages/1/findings")).plain
    assert "MSH-18 was guessed hl7v2.charset" in text
    assert "ZBE-9 inattendu" in text
    rejected = (await browser.get("/messages/3")).plain
    assert "does not begin with MSH" in rejected, "an unreadable message opens on why"


async def test_reading_is_noted_once_a_look(site: Any) -> None:
    browser = await site.signed_in()
    await browser.get("/messages/1/original")
    await browser.live("/messages/1/original")
    await browser.get("/messages/1/why")
    await browser.get("/messages/1")
    assert site.audited("read message") == [
        ("admin", "message 1", "original"),
        ("admin", "message 1", "understood"),
    ]


async def test_nothing_is_shown_that_could_not_be_noted(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from router.journal.store import JournalFull

    async def full(_operation: object) -> object:
        raise JournalFull("the journal's storage refuses to grow; free some space")

    browser = await site.signed_in()
    monkeypatch.setattr(site.desk, "submit", full)
    for path in ("/messages/1/original", "/messages/1/understood", "/download/messages/1"):
        answer = await browser.get(path)
        assert answer.status == 503
        assert "TESTROSE" not in answer.text
        assert "free some space" in answer.text
    assert (await browser.get("/messages/1/why")).status == 200


async def test_a_name_is_shown_on_request_and_noted(site: Any) -> None:
    browser = await site.signed_in()
    answer = await browser.post("/items/1/reveal")
    assert answer.plain.strip() == "TESTROSE MARIE, 05/03/1930 · F"
    assert site.audited("reveal patient") == [("admin", "item 1", "")]
    assert (await browser.post("/items/1/reveal", csrf="guessed")).status == 403
    assert (await browser.post("/items/999/reveal")).status == 404
    assert (await browser.get("/items/1/reveal")).status == 405


async def test_a_name_that_wants_to_be_markup_is_only_a_name(site: Any) -> None:
    browser = await site.signed_in()
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in (await browser.get("/messages/8/understood")).text
    revealed = await browser.post("/items/7/reveal")
    assert HOSTILE not in revealed.text
    assert "&lt;script&gt;" in revealed.text
    answer = await browser.post("/messages/search", {"text": f'"{HOSTILE}'})
    page = await browser.get(answer.location)
    assert HOSTILE not in page.text


@pytest.mark.parametrize(
    ("path", "name", "content"),
    [
        ("/download/messages/1", "r.hpr", b"MSH|"),
        ("/download/messages/3", "message-3.bin", b"\x0bnot HL7 \x00 at all"),
        ("/download/messages/1/beside/0", "a.txt", b"a"),
        ("/download/items/1/attachments/0", "compte rendu.pdf", b"%PDF-1.4\n"),
        ("/download/deliveries/1", "bundle.json", b'{"resourceType"'),
        ("/download/deliveries/1/answers/2", "answer-1-2.txt", b'{"ok": true}'),
    ],
)
async def test_files_are_for_keeping_not_for_opening(site: Any, path: str, name: str, content: bytes) -> None:
    browser = await site.signed_in()
    answer = await browser.get(path)
    assert answer.status == 200
    assert answer.body.startswith(content)
    disposition = answer.headers["content-disposition"]
    assert disposition.startswith("attachment;")
    assert name.replace(" ", "_") in disposition or name in disposition
    assert "/" not in disposition.split("filename*")[0]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"] == "sandbox"
    assert len(site.audited("download")) == 1


async def test_a_replayed_message_shows_its_present_items(site: Any) -> None:
    from web_journal import person, report

    browser = await site.signed_in()
    await browser.post("/messages/1/replay")
    newer = site.journal.item(report(person(0), "c" * 32, number="LAB2"), line="NFS, relue", to=("medecin",))
    site.journal.read(1, site.clock[0], [newer])
    text = (await browser.get("/messages/1")).plain
    assert "rejoué 1 fois" in text
    assert "LAB2" in text
    assert "Dossier LAB1" not in text
    assert "Envoyé 3" in text, "what was sent before the replay is still told"


async def test_a_document_in_a_field_does_not_weigh_on_the_page(site: Any) -> None:
    browser = await site.signed_in()
    head = b"MSH|^~\\&|A|B|C|D|20261122||ORU^R01|BIG|T|2.5\rOBX|1|ED|PDF||^application^pdf^Base64^"
    number = site.journal.message(site.clock[0], control="BIG", content=head + b"QUJD" * 300_000 + b"||||||F\r")
    site.journal.read(number, site.clock[0], [])
    for path in (f"/messages/{number}/original", f"/messages/{number}/original?raw=1"):
        answer = await browser.get(path)
        assert answer.status == 200
        assert len(answer.body) < 230_000
    assert "La suite n’est pas montrée ici" in answer.text
    assert len((await browser.get(f"/download/messages/{number}")).body) == len(head) + 1_200_000 + 8


async def test_what_the_partner_said_later_is_told(site: Any) -> None:
    def answered(unit: Unit) -> None:
        name = Reference(ReferenceKind.MESSAGE_ID, "<lettre-1@hopital-fictif.example>")
        keep_references(unit, 1, (name,), 30_000_000)
        token = reference_token(unit.sealer, name.value)
        keep_receipt(unit, PreparedReceipt(token, "read", True, "processed"), 1, 31_000_000)

    site.journal.apply(Change(answered))
    browser = await site.signed_in()
    text = (await browser.get("/messages/1/sent")).plain
    assert "Lu ou intégré par le destinataire (spico) processed" in text
    assert "Message-ID <lettre-1@hopital-fictif.example>" in text
