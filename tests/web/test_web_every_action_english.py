"""Every action of the dashboard, in English on a telephone at night."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from web_hand import wrong_after_every_action
from web_journal import Journal
from web_person import CHROMIUM

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed on this machine"),
]


@pytest.mark.timeout(600)
def test_every_action(chromium: Any, furnished: tuple[Path, Journal], insi: str, tmp_path: Path) -> None:
    wrong = wrong_after_every_action(chromium, furnished, insi, tmp_path, "en", "dark", 380)
    assert wrong == [], "\n" + "\n".join(wrong)
