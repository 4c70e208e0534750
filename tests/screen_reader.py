"""What axe-core, which looks at a page as a screen reader does, finds wrong."""

from __future__ import annotations

from typing import Any

import pytest

axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-core is not installed")


def violations(page: Any) -> list[str]:
    """Give each rule that is broken, with the first places of it."""
    found = axe.Axe().run(page).response["violations"]
    return [
        f"{one['id']} ({one['impact']}): {node['html'][:160]} {node['failureSummary'][:200]}"
        for one in found
        for node in one["nodes"][:2]
    ]
