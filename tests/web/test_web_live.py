"""Live pages: told when the journal changed, whoever changed it; silent otherwise; ended with session and router."""

from __future__ import annotations

import asyncio
import sqlite3
from typing import Any

import pytest

from router.web import live
from router.web.context import FlowStatus, WebContext
from router.web.live import Live

CHANGED = b"event: changed\ndata: 1\n\n"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "SECONDS", 0.01)
    monkeypatch.setattr(live, "REFRESH", 10_000)
    monkeypatch.setattr(live, "ECHOES", frozenset())


async def told(stream: Any, seconds: float = 5.0) -> bytes:
    return await asyncio.wait_for(anext(stream), seconds)


async def looked(hub: Live) -> None:
    """Wait until the hub has looked twice more."""
    before = hub.looks
    while hub.looks < before + 2:  # noqa: ASYNC110 - the hub has no event for what only a test asks
        await asyncio.sleep(0.005)


async def test_a_change_by_anybody_is_told(site: Any) -> None:
    hub = site.desk.live
    stream = hub.stream()
    assert (await told(stream)).startswith(b"retry:")
    waiting = asyncio.ensure_future(told(stream))
    await looked(hub)
    assert not waiting.done(), "nothing changed, nothing is told"
    other = sqlite3.connect(site.journal.store.place.data / "journal.db")
    other.execute("UPDATE message SET duplicates = duplicates + 1 WHERE id = 1")
    other.commit()
    other.close()
    assert await waiting == CHANGED
    await stream.aclose()


async def test_a_change_of_a_connector_is_told(site: Any) -> None:
    hub = site.desk.live
    stream = hub.stream()
    await told(stream)
    waiting = asyncio.ensure_future(told(stream))
    await looked(hub)
    site.flows[0] = FlowStatus("labo-sud", "source", "mllp", "failed")
    assert await waiting == CHANGED
    await stream.aclose()


async def test_quiet_pages_are_refreshed_now_and_then(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "REFRESH", 3)
    stream = site.desk.live.stream()
    await told(stream)
    assert await told(stream) == CHANGED
    await stream.aclose()


async def test_a_change_is_echoed_for_figures_that_come_late(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "ECHOES", frozenset({2}))
    hub = site.desk.live
    stream = hub.stream()
    await told(stream)
    await looked(hub)
    site.journal.message(site.clock[0], control="LATER")
    assert [await told(stream), await told(stream)] == [CHANGED, CHANGED]
    waiting = asyncio.ensure_future(told(stream))
    await looked(hub)
    assert not waiting.done()
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    await stream.aclose()


async def test_one_look_serves_all_and_none_is_made_for_nobody(site: Any) -> None:
    hub = site.desk.live
    streams = [hub.stream() for _ in range(5)]
    for stream in streams:
        await told(stream)
    waiting = [asyncio.ensure_future(told(stream)) for stream in streams]
    await looked(hub)
    site.journal.message(site.clock[0], control="LATER")
    assert await asyncio.gather(*waiting) == [CHANGED] * 5
    for stream in streams:
        await stream.aclose()
    task = hub._task
    assert task is not None
    await asyncio.wait_for(task, 5)


async def test_a_stopping_router_ends_the_streams(site: Any) -> None:
    stopping = asyncio.Event()
    hub = Live(WebContext(store=site.journal.store, submit=site.journal.submit, stopping=stopping))
    stream = hub.stream()
    await told(stream)
    stopping.set()
    with pytest.raises(StopAsyncIteration):
        await told(stream)
    hub.close()


async def test_streams_end_so_that_sessions_are_asked_again(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "STREAM_SECONDS", 0.05)
    stream = site.desk.live.stream()
    await told(stream)
    assert [said async for said in stream] == []


async def test_a_stream_needs_a_session(site: Any) -> None:
    assert (await site.browser().get("/events")).status == 401


async def test_there_are_only_so_many_streams(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "MOST_STREAMS", 0)
    browser = await site.signed_in()
    answer = await browser.get("/events")
    assert (answer.status, answer.headers["retry-after"]) == (503, "30")
