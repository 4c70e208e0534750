"""S01 as the nurse sees it: her page shows the admission by itself, that of the nurse who left shows nothing."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from rose_messages import adt
from rose_scene import FORMER, NURSE, RoseScene
from web_person import CHROMIUM, CONTRAST, NAMELESS

from connectors.sandbox.tools import Tool

playwright = pytest.importorskip("playwright.async_api", reason="playwright is not installed")

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed on this machine"),
]


@pytest.fixture
async def browser() -> AsyncIterator[Any]:
    async with playwright.async_playwright() as run:
        browser = await run.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        await browser.close()


@contextlib.asynccontextmanager
async def at_work(*tools: Tool) -> AsyncIterator[None]:
    working = [asyncio.create_task(tool.run()) for tool in tools]
    try:
        yield
    finally:
        for task in working:
            task.cancel()
        await asyncio.gather(*working, return_exceptions=True)


async def test_an_admission_appears_on_the_nurses_page_and_nowhere_else(
    scene: RoseScene, browser: Any, tmp_path: Path
) -> None:
    nurse, former = await scene.tool("globule", NURSE), await scene.tool("ancienne", FORMER)
    pages = []
    for tool in (nurse, former):
        await tool.subscribe()
        page = await browser.new_page(viewport={"width": 900, "height": 900})
        trouble: list[str] = []
        page.on("console", lambda message, trouble=trouble: trouble.append(message.text))
        await page.goto(tool.address)
        await playwright.expect(page.get_by_role("heading", name="Alertes (0)")).to_be_visible()
        pages.append((page, trouble))
    (hers, trouble), (other, _) = pages
    async with at_work(nurse, former):
        assert (await scene.send(adt())).code == "AA"
        alert = hers.get_by_role("listitem").filter(has_text="Admission à l’hôpital")
        await playwright.expect(alert).to_contain_text("FICTIVE-ROSE MIREILLE · CH_FICTIF", timeout=20_000)
        await playwright.expect(alert).to_contain_text("survenu le 05/03 à 09:41")
        assert len(await hers.screenshot(path=tmp_path / "nurse.png")) > 5000
        await scene.until(lambda: former.notices)
        await playwright.expect(other.get_by_text("Rien n’est arrivé.")).to_have_count(2)
        await playwright.expect(other.get_by_role("heading", name="dont 0 d’événement")).to_be_visible()
        assert len(await other.screenshot(path=tmp_path / "former.png")) > 5000
        for theme in ("light", "dark"):
            await hers.emulate_media(color_scheme=theme)
            await hers.set_viewport_size({"width": 380, "height": 800})
            assert await hers.evaluate("document.documentElement.scrollWidth <= innerWidth")
            assert await hers.evaluate(NAMELESS) == []
            assert await hers.evaluate(CONTRAST) == [], theme
    assert trouble == []
    assert former.feed == former.alerts == []
