"""A note on its message's page: who writes what, its text as it was written, and its files."""

from __future__ import annotations

from typing import Any

from filled_items import NOTE_ITEM


async def test_a_note_reads_like_a_letter(site: Any) -> None:
    browser = await site.signed_in()
    number = site.journal.message(site.clock[0], message_type="mail")
    content = NOTE_ITEM.content.model_copy(update={"text": "Bonjour,\n\n<b>la patiente</b> a chuté."})
    item = NOTE_ITEM.model_copy(update={"id": f"{number:032x}", "content": content})
    site.journal.read(number, site.clock[0], [site.journal.item(item, line="Retour à domicile", to=())])
    answer = await browser.get(f"/messages/{number}/understood")
    for said in ("Note", "Objet Retour à domicile", "De Dr_Hélène_TESTEUR", "Fil note-1@fictif", "Urgente ✓", "Lettre"):
        assert said in answer.plain
    assert '<p class="prose">Bonjour,\n\n&lt;b&gt;la patiente&lt;/b&gt; a chuté.</p>' in answer.text
    assert answer.text.count("a chuté") == 1
    listed = (await browser.get("/messages?kind=note")).plain
    assert "Retour à domicile" in listed
