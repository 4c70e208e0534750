"""Documents on a message's page: what is shown of a CDA, what a hostile one cannot do, and files shown in place."""

from __future__ import annotations

import base64
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from web_papers import PDF, PNG, cda, document, file, full_document, letter

import router.web.document_facts
from router.web.document_facts import document_card
from router.web.formatting import Formats
from router.web.texts import Texts, catalogue
from schemas.attachment import Attachment
from schemas.document import Wishes


def put(site: Any, item: Any) -> tuple[int, int]:
    """Put a message with one Item into the journal; gives both numbers."""
    number = site.journal.message(site.clock[0], message_type="CDA")
    item = item.model_copy(update={"id": f"{number:032x}"})
    site.journal.read(number, site.clock[0], [site.journal.item(item, line="document", to=())])
    return number, site.value("SELECT max(id) FROM item")


class Seen(HTMLParser):
    """Every element of a page with its attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def all(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.tags if tag == name]


async def test_a_letter_reads_section_by_section(site: Any) -> None:
    browser = await site.signed_in()
    number, item = put(site, document(file(letter()), title="Lettre de liaison"))
    answer = await browser.get(f"/messages/{number}/understood")
    for said in ("Lettre de liaison", "Motif d'hospitalisation", "Chute & plaie", "Constantes", "Sous-section",
                 "Vue aux urgences", "Cette section ne dit rien.", "Tracé"):  # fmt: skip
        assert said in answer.plain
    seen = Seen(answer.text)
    assert {"class": "decimal"} in seen.all("ol")
    assert {"colspan": "2"} in seen.all("th")
    assert {"class": "right "} in seen.all("td")
    assert re.search(r"<b>Antalgique</b>", answer.text)
    base = f"/items/{item}/attachments/0/media"
    assert [one["src"] for one in seen.all("img")] == [f"/view{base}/0"]
    assert seen.all("img")[0]["alt"] == "Tracé"
    (frame,) = seen.all("iframe")
    assert (frame["src"] or "").startswith(f"/view{base}/1#")
    assert frame["loading"] == "lazy", "a PDF is asked for when its reader opens it, and noted then"
    (link,) = [one for one in seen.all("a") if one.get("href") == "https://sante.example/fiche"]
    assert "noopener noreferrer" in (link["rel"] or "")
    assert (await browser.get(f"/download{base}/2")).body == b"<script>alert(1)</script>"
    calls = [one["href"] for one in seen.all("a") if (one.get("href") or "").startswith("#i")]
    targets = {one["id"] for _, one in seen.tags if one.get("id")}
    assert calls
    assert all((call or "").removeprefix("#") in targets for call in calls)


HOSTILE = [
    "<script>alert(1)</script>",
    '<content onload="alert(1)" onclick="alert(1)" style="position:fixed">x</content>',
    '<linkHtml href="javascript:alert(1)">x</linkHtml>',
    '<linkHtml href="  data:text/html,&lt;script&gt;">x</linkHtml>',
    '<linkHtml href="https://a.example/&quot;&gt;&lt;script&gt;alert(1)&lt;/script&gt;">x</linkHtml>',
    "&lt;script&gt;alert(1)&lt;/script&gt;&lt;img src=x onerror=alert(1)&gt;",
    '<img src="https://evil.example/x.png" onerror="alert(1)"/><iframe src="https://evil.example"/>',
    '<table onmouseover="alert(1)"><tr><td styleCode="&quot;&gt;&lt;script&gt;" align="&quot;x">a</td></tr></table>',
    '<renderMultiMedia referencedObject="&quot;&gt;&lt;script&gt;"><caption>&lt;b&gt;</caption></renderMultiMedia>',
    '<x:script xmlns:x="http://www.w3.org/1999/xhtml">alert(1)</x:script>',
    '<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"><a href="javascript:alert(1)">x</a></svg>',
    "<paragraph ID='\"&gt;&lt;script&gt;'>{{ 7 * 7 }} {% raw %}</paragraph>",
]


@pytest.mark.parametrize("hostile", HOSTILE)
async def test_a_hostile_narrative_is_only_text(site: Any, hostile: str) -> None:
    browser = await site.signed_in()
    plain = Seen((await browser.get(f"/messages/{put(site, document(file(cda(''))))[0]}/understood")).text)
    title = "<title>&lt;script&gt;alert(2)&lt;/script&gt;</title>"
    number, _ = put(
        site, document(file(cda(f"<component><section>{title}<text>{hostile}</text></section></component>")))
    )
    answer = await browser.get(f"/messages/{number}/understood")
    seen = Seen(answer.text)
    assert answer.status == 200
    assert len(seen.all("script")) == len(plain.all("script")), "no script but ours"
    assert seen.all("iframe") == seen.all("img") == []
    assert len(seen.all("svg")) == len(plain.all("svg"))
    for tag, attributes in seen.tags:
        assert "style" not in attributes, tag
        assert not any(name.startswith("on") for name in attributes), tag
        for name in {"href", "src", "action", "formaction", "data"} & set(attributes):
            assert (attributes[name] or "").startswith(("/", "#", "?")), (tag, attributes[name])
    assert "script-src 'self'" in answer.headers["content-security-policy"]
    assert "alert(2)" in answer.plain


async def test_bombs_cost_little_and_are_said(site: Any) -> None:
    browser = await site.signed_in()
    rows = "<tr>" + "<td>x</td>" * 20 + "</tr>"
    huge = cda(f"<component><section><title>T</title><text><table>{rows * 5000}</table></text></section></component>")
    answer = await browser.get(f"/messages/{put(site, document(file(huge)))[0]}/understood")
    assert "trop long pour être montré" in answer.plain
    assert len(answer.body) < 1_000_000
    deep = cda(
        f"<component><section><text>{'<list><item>' * 5000}x{'</item></list>' * 5000}</text></section></component>"
    )
    answer = await browser.get(f"/messages/{put(site, document(file(deep)))[0]}/understood")
    assert answer.status == 200
    assert "ne peut pas être montré ici" in answer.plain
    entity = b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/hostname">]>' + cda("<component/>")
    answer = await browser.get(f"/messages/{put(site, document(file(entity)))[0]}/understood")
    assert "cda.narrative.doctype" in answer.plain


async def test_a_narrative_as_deep_as_may_be_is_drawn(site: Any) -> None:
    browser = await site.signed_in()
    text = "fond"
    for _ in range(35):
        text = f"<table><tr><td><list><item>{text}</item></list></td></tr></table>"
    nested = f"<component><section><title>s</title><text>{text}</text></section></component>"
    answer = await browser.get(f"/messages/{put(site, document(file(cda(nested))))[0]}/understood")
    assert answer.status == 200
    assert "fond" in answer.plain


async def test_the_file_of_a_level_1_body_is_open(site: Any) -> None:
    browser = await site.signed_in()
    body = (
        '<ClinicalDocument xmlns="urn:hl7-org:v3"><component><nonXMLBody>'
        f'<text mediaType="application/pdf" representation="B64">{base64.b64encode(PDF).decode()}</text>'
        "</nonXMLBody></component></ClinicalDocument>"
    ).encode()
    number, item = put(site, document(file(body), file(PDF, "application/pdf")))
    answer = await browser.get(f"/messages/{number}/understood")
    assert re.search(
        rf'<details class="sheet" open>.*?<iframe src="/view/items/{item}/attachments/1#', answer.text, re.DOTALL
    )
    assert answer.text.count("<iframe") == 1
    number, item = put(site, document(file(body)))
    answer = await browser.get(f"/messages/{number}/understood")
    assert f'src="/view/items/{item}/attachments/0/media/0#' in answer.text, "when it is in the CDA only"
    number, item = put(site, document(file(PDF, "application/pdf")))
    answer = await browser.get(f"/messages/{number}/understood")
    assert f'src="/view/items/{item}/attachments/0#' in answer.text, "a document need not be a CDA"


async def test_a_file_is_shown_in_place_and_noted(site: Any) -> None:
    browser = await site.signed_in()
    _, item = put(
        site, document(file(letter()), file(PDF, "application/pdf", filename='../a"b.pdf'), file(PNG, "image/png"))
    )
    answer = await browser.get(f"/view/items/{item}/attachments/1")
    assert (answer.status, answer.body, answer.headers["content-type"]) == (200, PDF, "application/pdf")
    assert answer.headers["content-disposition"].startswith('inline; filename="a_b.pdf"')
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'self'" in policy
    assert "script-src" not in policy
    assert (answer.headers["x-frame-options"], answer.headers["x-content-type-options"]) == ("SAMEORIGIN", "nosniff")
    assert answer.headers["cache-control"] == "no-store"
    picture = await browser.get(f"/view/items/{item}/attachments/2")
    assert (picture.body, picture.headers["content-type"]) == (PNG, "image/png")
    assert picture.headers["content-security-policy"].endswith("; sandbox")
    inner = await browser.get(f"/view/items/{item}/attachments/0/media/1")
    assert (inner.body, inner.headers["content-type"]) == (PDF, "application/pdf")
    assert site.audited("view file") == [("admin", f"item {item}", "")] * 3
    assert (await browser.get(f"/download/items/{item}/attachments/0/media/1")).body == PDF
    assert len(site.audited("download")) == 1


@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        (b"<script>alert(1)</script>", "application/pdf"),
        (b"<svg onload='alert(1)'/>", "image/png"),
        (PDF, "image/jpeg"),
        (b"<script>alert(1)</script>", "text/html"),
        (b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>", "image/svg+xml"),
        (PDF, "text/plain"),
        (b"", "application/pdf"),
    ],
)
async def test_a_file_of_another_kind_is_never_shown(site: Any, content: bytes, media_type: str) -> None:
    browser = await site.signed_in()
    _, item = put(site, document(file(content, media_type)))
    answer = await browser.get(f"/view/items/{item}/attachments/0")
    assert answer.status == 415
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert "alert" not in answer.text
    assert "pas du type annoncé" in answer.text
    kept = await browser.get(f"/download/items/{item}/attachments/0")
    assert (kept.status, kept.body) == (200, content)
    assert kept.headers["content-disposition"].startswith("attachment;")


async def test_only_who_signed_in_sees_a_file(site: Any) -> None:
    _, item = put(site, document(file(PDF, "application/pdf")))
    stranger = await site.browser().get(f"/view/items/{item}/attachments/0")
    assert stranger.status in {303, 401}
    assert PDF not in stranger.body
    browser = await site.signed_in()
    for path in (f"/view/items/{item}/attachments/7", "/view/items/99999/attachments/0", "/view/items/x/attachments/0",
                 f"/view/items/{item}/attachments/0/media/0"):  # fmt: skip
        assert (await browser.get(path)).status in {404, 422}
    assert site.audited("view file") == []


async def test_nothing_is_shown_in_place_that_could_not_be_noted(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from router.journal.store import JournalFull

    async def full(_operation: object) -> object:
        raise JournalFull("the journal's storage refuses to grow; free some space")

    browser = await site.signed_in()
    _, item = put(site, document(file(PDF, "application/pdf")))
    monkeypatch.setattr(site.desk, "submit", full)
    answer = await browser.get(f"/view/items/{item}/attachments/0")
    assert answer.status == 503
    assert PDF not in answer.body


async def test_a_document_whose_file_is_gone_says_so(site: Any) -> None:
    browser = await site.signed_in()
    number, item = put(site, document(Attachment(media_type="text/xml", size=10, sha256="00" * 32)))
    answer = await browser.get(f"/messages/{number}/understood")
    assert "n’est plus conservé" in answer.plain
    assert (await browser.get(f"/view/items/{item}/attachments/0")).status == 404
    number, _ = put(site, document(Attachment(media_type="text/xml", size=900_000_000, sha256="00" * 32)))
    assert "too_large" in (await browser.get(f"/messages/{number}/understood")).plain


async def test_the_card_says_what_a_letterhead_says(site: Any) -> None:
    browser = await site.signed_in()
    item = document(file(letter())).model_copy(update={"content": full_document()})
    answer = await browser.get(f"/messages/{put(site, item)[0]}/understood")
    for said in (
        "Type Lettre de liaison (11490-0)",
        "Version 2",
        "Remplace 1.2.3^3",
        "Demande remplacement",
        "Création 05/03/2026 10:00",
        "Période 01/03/2026 – 04/03/2026",
        "Auteur DR TESTAUTEUR · Biologie médicale · CH FICTIF · Médecin du service · 05/03/2026",
        "Autre auteur DR TESTSECOND",
        "Responsable légal DR TESTSIGNE · 06/03/2026",
        "Informé Médecin traitant · DR TESTGP",
        "Participant ZZZ · AUTRE",
        "Conservé par GH FICTIF",
        "Destinataires DR TESTVILLE · CABINET FICTIF",
        "Confidentialité Restreint (R)",
        "Cadre Hôpital public (SA01) · Établissement (ETABLISSEMENT)",
        "accès restreint",
        "Souhaits d’envoi DMP ✓, MSSanté au patient ✗",
        "Identifiant commun aux versions 1.2.3",
    ):
        assert said in answer.plain
    assert answer.plain.count("TESTGP") == 1, "said once"


def test_every_fact_of_a_document_has_its_label(site: Any) -> None:
    item = document().model_copy(update={"content": full_document()})
    formats = Formats(Texts.of("en"), site.desk.context.timezone, 0)
    for key, text in document_card(item, formats):
        assert f"fact.{key}" in catalogue("fr")
        assert text
    source = Path(router.web.document_facts.__file__).read_text(encoding="utf-8")
    for key in re.findall(r'yield "([a-z_]+)"', source):
        assert f"fact.{key}" in catalogue("fr"), key
    for name in Wishes.model_fields:
        assert f"wish.{name}" in catalogue("fr"), name
