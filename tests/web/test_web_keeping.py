"""The page of notices says how far a change of the key is, and how much is held."""

from __future__ import annotations

from typing import Any

from html_check import check

from router.keeping.resealing import SETTLED_MICROS, Resealing
from router.keeping.rotation import begin, retire

START = 1_790_000_000_000_000


async def shown(site: Any, language: str) -> str:
    browser = await site.signed_in()
    browser.cookies["passerelle_language"] = language
    answer = await browser.get("/notices")
    assert answer.status == 200
    assert check(answer.text).wrong == []
    text: str = answer.plain
    return text


async def test_the_change_of_the_key_is_seen_from_its_beginning_to_its_end(site: Any) -> None:
    store = site.journal.store
    assert "Clé du journal" not in await shown(site, "fr")
    begin(store, actor="claire", now=START)
    resealing = Resealing(store)
    assert "passage 1, 0 valeurs rechiffrées" in await shown(site, "fr")
    assert "pass 1, 0 values sealed anew" in await shown(site, "en")
    while (rotation := resealing.under_way()) is not None:
        group = resealing.group(rotation.position)
        site.journal.apply(resealing.keep(rotation, group, START + SETTLED_MICROS))
    assert "tout est sous la nouvelle clé" in await shown(site, "fr")
    retire(store, actor="claire", now=START + SETTLED_MICROS)
    assert "the former one is retired" in await shown(site, "en")
    assert "keep" not in await shown(site, "fr")
