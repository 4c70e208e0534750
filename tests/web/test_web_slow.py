"""Figures that take long: the page answers at once, says since when they are counted, and shows them afterwards."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from router.web.slow import Slow


async def test_it_is_counted_once_and_kept() -> None:
    gate, calls = asyncio.Event(), []
    now = [0.0]
    slow = Slow[int](seconds=60.0, patience=0.0, clock=lambda: now[0])

    async def count() -> int:
        calls.append(1)
        await gate.wait()
        return 7

    assert await slow.get("a", count) == (None, 0.0)
    now[0] = 3.0
    assert await slow.get("a", count) == (None, 3.0)
    gate.set()
    slow.patience = 30.0
    assert await slow.get("a", count) == (7, 0.0)
    assert len(calls) == 1
    now[0] = 61.0
    assert (await slow.get("a", count))[0] == 7
    assert len(calls) == 2, "it is counted anew after a while"


async def test_a_failure_is_told_and_tried_again() -> None:
    slow = Slow[int](patience=30.0)

    async def fail() -> int:
        raise ValueError("no")

    async def succeed() -> int:
        return 1

    with pytest.raises(ValueError, match="no"):
        await slow.get("a", fail)
    assert await slow.get("a", succeed) == (1, 0.0)


async def test_the_page_says_that_it_counts(site: Any) -> None:
    site.desk.indicators.patience = 0.0
    browser = await site.signed_in()
    first = await browser.get("/indicators?month=2026-10")
    assert "Comptage en cours" in first.plain
    assert 'hx-trigger="every 1s"' in first.text
    site.desk.indicators.patience = 30.0
    assert "Aucun dossier" in (await browser.live("/indicators?month=2026-10")).plain
