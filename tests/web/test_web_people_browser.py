"""With a real browser: a telephone is enrolled because the role asks for it, then a code lets in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyotp
import pytest
from web_journal import ADMIN, PASSWORD, Journal
from web_person import CHROMIUM, CONTRAST, NAMELESS, Person, Served

from router.web.rights import Role

pytestmark = [pytest.mark.browser, pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")]

STEP = 30_000_000


@pytest.fixture
def strict(journal: Journal) -> Iterator[Served]:
    made = Served(journal, require_totp=frozenset({Role.ADMINISTRATOR}))
    yield made
    made.stop()


def _give_password(person: Person) -> Any:
    page = person.go("/login")
    page.get_by_label("Nom").fill(ADMIN)
    page.get_by_label("Mot de passe").fill(PASSWORD)
    page.keyboard.press("Enter")
    return page


def test_a_telephone_is_enrolled_and_asked_for(chromium: Any, strict: Served) -> None:
    width = 380
    person = Person(chromium, strict, viewport={"width": width, "height": 800}, color_scheme="dark")
    page = _give_password(person)
    page.wait_for_url("**/account")
    page.goto(strict.address + "/messages")
    page.wait_for_url("**/account")
    page.locator("form[action$=begin] input[name=password]").fill(PASSWORD)
    page.get_by_role("button", name="Enrôler un téléphone").click()
    assert page.get_by_role("img", name="Dessin à lire").bounding_box()["width"] > 150
    assert page.evaluate(NAMELESS) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    secret = page.locator("code.secret").inner_text().replace(" ", "")
    page.get_by_label("Code affiché").fill(pyotp.TOTP(secret).generate_otp(strict.now // STEP))
    page.keyboard.press("Enter")
    page.get_by_role("link", name="Je les ai notés").wait_for()
    codes = page.locator(".recovery code").all_inner_texts()
    assert len(codes) == 10
    assert page.evaluate(CONTRAST) == []
    page.get_by_role("link", name="Je les ai notés").click()
    page.get_by_role("button", name="Quitter").click()
    page.wait_for_url("**/login")

    strict.now += STEP
    _give_password(person)
    page.wait_for_url("**/login/code")
    assert page.evaluate(CONTRAST) == []
    page.get_by_label("Code").fill(pyotp.TOTP(secret).generate_otp(strict.now // STEP))
    page.keyboard.press("Enter")
    page.wait_for_url(strict.address + "/")
    assert person.complaints == []
    person.context.close()
