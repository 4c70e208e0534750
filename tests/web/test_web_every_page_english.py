"""Every page of the dashboard, in English on a telephone at night."""

from __future__ import annotations

from typing import Any

import pytest
from web_every_page import wrong_on_every_page
from web_person import CHROMIUM, Served

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed on this machine"),
]


@pytest.mark.timeout(600)
def test_every_page(chromium: Any, everything: Served) -> None:
    wrong = wrong_on_every_page(chromium, everything, "en", "dark", 380)
    assert wrong == [], "\n" + "\n".join(wrong)
