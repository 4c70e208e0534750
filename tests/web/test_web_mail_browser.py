"""Mails and submissions in a real browser: found by keys and menu, revealed, live, on a phone, in the dark."""

from __future__ import annotations

import re
from typing import Any

import pytest
from web_mails import DMP_FLOWS, MAIL_FLOWS, answer, correspond, submit
from web_person import CHROMIUM, CONTRAST, NAMELESS, NOW, Person

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed on this machine"),
]


def expect(found: Any) -> Any:
    return playwright.expect(found)


def test_mails_and_submissions(person: Person) -> None:
    served = person.served
    correspond(served.journal, NOW)
    submit(served.journal, NOW)
    served.flows += [*MAIL_FLOWS, *DMP_FLOWS]
    page = person.sign_in()
    page.keyboard.press("g")
    page.keyboard.press("e")
    page.wait_for_url("**/mail")
    silent = page.get_by_role("row").filter(has_text="sans nouvelles")
    silent.get_by_role("button").click()
    expect(silent).to_contain_text("TESTROSE MARIE")
    answer(served.journal, "muet@ch.test", NOW, "delivered")
    expect(page.get_by_role("row").filter(has_text="dans la boîte")).to_contain_text("TESTROSE MARIE")
    page.get_by_role("row").filter(has_text="avant : lu").get_by_role("link").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Échange de 2 mails")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_contain_text("Courrier")
    page.keyboard.press("Escape")
    page.keyboard.press("g")
    page.keyboard.press("s")
    page.wait_for_url("**/dmp")
    expect(page.locator(".versions").first).to_contain_text(re.compile(r"v1.*v2.*v3"))
    page.get_by_role("button", name="Envoyer quand même").click()
    page.wait_for_url("**/dmp")
    expect(page.get_by_role("button", name="Envoyer quand même")).to_have_count(0)
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)
        for width in (1280, 380):
            page.set_viewport_size({"width": width, "height": 800})
            for path in ("/mail", "/mail/1", "/dmp"):
                person.go(path)
                assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), (path, width)
                assert page.evaluate(NAMELESS) == []
                assert page.evaluate(CONTRAST) == [], (path, theme)
                bar = page.locator("#menu [aria-current]")
                expect(bar).to_be_in_viewport()
