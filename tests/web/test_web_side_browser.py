"""The three columns under a pointer, under the keyboard and on a phone."""

from __future__ import annotations

import pytest
from web_person import CHROMIUM, Person

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed on this machine"),
]


def test_what_belongs_together_lights_up_by_pointer_and_keyboard(person: Person) -> None:
    person.sign_in()
    page = person.go("/messages/1/side")
    columns = page.locator(".side-scroll")
    page.wait_for_selector(".piece[data-l]", timeout=60_000)
    name = columns.nth(0).locator(".piece[data-l]", has_text="TESTROSE").first
    name.hover()
    playwright.expect(columns.nth(1).locator(".piece.lit", has_text="TESTROSE").first).to_be_visible()
    name.click()
    playwright.expect(name).to_contain_text("dit Patient")
    columns.nth(1).locator(".piece[tabindex='0']").focus()
    page.keyboard.press("ArrowDown")
    first = page.evaluate("document.activeElement.innerText")
    page.keyboard.press("ArrowLeft")
    assert page.evaluate("document.activeElement.closest('section').getAttribute('aria-labelledby')") == "side-original"
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement.innerText").split("\n")[0] == first.split("\n")[0]
    page.keyboard.press("Enter")
    playwright.expect(page.locator(".pinned")).to_have_count(1)
    page.set_viewport_size({"width": 380, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 380
