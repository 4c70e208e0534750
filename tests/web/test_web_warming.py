"""What pages need is read before somebody waits for it."""

from __future__ import annotations

from typing import Any

from router.web.texts import LANGUAGES, catalogue
from router.web.warming import warm


async def test_every_template_and_text_is_read_ahead(site: Any) -> None:
    catalogue.cache_clear()
    environment = site.desk.pages._environment
    assert len(environment.cache) == 0
    await warm(site.desk, pause=0.0)
    assert len(environment.cache) == len(environment.list_templates()) > 60
    assert catalogue.cache_info().currsize == len(LANGUAGES)
    read = catalogue.cache_info().misses
    browser = await site.signed_in()
    assert (await browser.get("/")).status == 200
    assert catalogue.cache_info().misses == read
