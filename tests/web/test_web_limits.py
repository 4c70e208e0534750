"""What the web server bears of one caller: proofs in vain, calls, connections, heads and bodies that do not come."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn
from web_client import Browser
from web_journal import ADMIN, PASSWORD

from router.engine.serve import _web
from router.quotas import REMEMBERED, Quota, TooMany
from router.web.guard import Guard
from router.web.tls import Held, holding


class Ticks:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def tired(quota: Quota, who: str) -> bool:
    try:
        quota.take(who)
    except TooMany as much:
        return 1 <= much.seconds <= 60
    return False


def test_a_quota_is_each_callers_own_and_comes_back() -> None:
    clock = Ticks()
    quota = Quota(3, clock)
    assert [tired(quota, "a") for _ in range(4)] == [False, False, False, True]
    assert not tired(quota, "b")
    with pytest.raises(TooMany):
        quota.check("a")
    clock.now += 20
    quota.check("a")
    assert [tired(quota, "a") for _ in range(2)] == [False, True]
    assert not any(tired(Quota(0, clock), "a") for _ in range(50))


def test_callers_without_number_take_no_memory_without_end() -> None:
    quota = Quota(1, Ticks())
    for number in range(REMEMBERED + 50):
        quota.spend(f"192.0.2.{number}")
    assert len(quota._buckets) == REMEMBERED
    quota.spend("0")
    quota.check("192.0.2.0")  # the first ones are forgotten, not barred
    with pytest.raises(TooMany):
        quota.check("0")


async def test_an_address_may_fail_so_often_whatever_the_account(site: Any) -> None:
    site.desk.proofs = Quota(8, Ticks())
    for number in range(8):
        assert (await site.browser().sign_in(f"somebody-{number}", "wrong password")).status == 401
    answer = await site.browser().sign_in(ADMIN, PASSWORD)
    assert answer.status == 429
    assert "Trop d’essais depuis cette adresse" in answer.text
    assert int(answer.headers["retry-after"]) <= 8
    english = site.browser()
    english.cookies["passerelle_language"] = "en"
    assert "Too many attempts from this address" in (await english.sign_in(ADMIN, PASSWORD)).text


async def test_keys_shown_in_vain_count_as_well(site: Any) -> None:
    site.desk.proofs = Quota(3, Ticks())
    stranger = Browser(site.app, headers={"authorization": "Bearer wrong"})
    assert [(await stranger.get("/api/v1/messages")).status for _ in range(3)] == [401] * 3
    answer = await Browser(site.app, headers={"authorization": f"Bearer {site.journal.key}"}).get("/api/v1/messages")
    assert (answer.status, answer.headers["content-type"]) == (429, "application/problem+json")
    assert int(answer.headers["retry-after"]) > 0


async def test_a_key_may_ask_so_much(site: Any) -> None:
    site.desk.calls = Quota(2, Ticks())
    tool = Browser(site.app, headers={"authorization": f"Bearer {site.journal.key}"})
    assert [(await tool.get("/api/v1/messages")).status for _ in range(4)] == [200, 200, 429, 429]


# Bodies


async def slow_body(app: Any, path: str, pieces: list[bytes], pause: Callable[[], Any], seconds: float) -> list[Any]:
    told: list[str] = []

    async def report(said: str) -> None:
        told.append(said)

    sent: list[Any] = []
    left = list(pieces)

    async def receive() -> dict[str, Any]:
        await pause()
        return {"type": "http.request", "body": left.pop(0) if left else b"x", "more_body": True}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": path, "headers": [], "scheme": "http", "query_string": b""}
    await Guard(app, report, seconds)(scope, receive, send)
    assert told == [], "a slow client is no defect of ours"
    return sent


async def takes_all(_scope: Any, receive: Any, send: Any) -> None:
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": []})


async def takes_it_for_a_defect(scope: Any, receive: Any, send: Any) -> None:
    with contextlib.suppress(Exception):
        await takes_all(scope, receive, send)
    await send({"type": "http.response.start", "status": 500, "headers": []})
    await send({"type": "http.response.body", "body": b"sorry"})


@pytest.mark.parametrize("app", [takes_all, takes_it_for_a_defect])
async def test_a_body_that_stops_is_408(app: Any) -> None:
    sent = await slow_body(app, "/login", [b"a=b"], asyncio.Event().wait, 0.02)
    assert [message.get("status") for message in sent] == [408, None]


@pytest.mark.parametrize("app", [takes_all, takes_it_for_a_defect])
async def test_a_body_that_drips_is_408_in_the_end(app: Any) -> None:
    sent = await slow_body(app, "/api/v1/x", [], lambda: asyncio.sleep(0.001), 0.02)
    assert [message.get("status") for message in sent] == [408, None]


@pytest.mark.parametrize("app", [takes_all, takes_it_for_a_defect])
async def test_a_body_that_is_too_large_is_413_whoever_reads_it(app: Any) -> None:
    sent = await slow_body(app, "/login", [b"x" * 600_000] * 2, lambda: asyncio.sleep(0), 5.0)
    assert [message.get("status") for message in sent] == [413, None]


async def test_waiting_for_a_client_to_leave_has_no_end() -> None:
    left = asyncio.Event()

    async def waits(_scope: Any, receive: Any, send: Any) -> None:
        assert not (await receive())["more_body"]
        asyncio.get_running_loop().call_later(0.1, left.set)
        assert (await receive())["type"] == "http.disconnect"
        await send({"type": "http.response.start", "status": 200, "headers": []})

    messages = iter([{"type": "http.request", "body": b"", "more_body": False}])

    async def receive() -> dict[str, Any]:
        if (message := next(messages, None)) is not None:
            return message
        await left.wait()
        return {"type": "http.disconnect"}

    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "path": "/events", "scheme": "http", "headers": []}
    await Guard(waits, send, 0.01)(scope, receive, send)
    assert sent[0]["status"] == 200


# Connections, on a real server


async def hello(_scope: Any, receive: Any, send: Any) -> None:
    await receive()
    headers = [(b"content-length", b"2")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"hi"})


async def until(holds: Callable[[], bool]) -> None:
    while not holds():  # noqa: ASYNC110 - uvicorn sets a flag, and no Event
        await asyncio.sleep(0)


@asynccontextmanager
async def serving(held: Held) -> AsyncIterator[int]:
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(16)
    server = uvicorn.Server(uvicorn.Config(hello, lifespan="off", log_config=None, http=holding(held)))
    task = asyncio.create_task(_web(server, listener))
    await until(lambda: server.started)
    yield listener.getsockname()[1]
    server.should_exit = True
    await task


REQUEST = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


async def answered(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    """Ask once; gives nothing where the server closed instead."""
    try:
        writer.write(REQUEST)
        return await reader.readuntil(b"hi")
    except (ConnectionError, asyncio.IncompleteReadError):
        return b""


@pytest.mark.parametrize("held", [Held(connections=2), Held(of_one=2)], ids=["in all", "of one address"])
async def test_one_connection_too_many_is_closed(held: Held) -> None:
    async with serving(held) as port:
        pairs = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
        for pair in pairs:
            assert await answered(*pair)
        third = await asyncio.open_connection("127.0.0.1", port)
        assert not await answered(*third)
        third[1].close()
        for pair in pairs:
            assert await answered(*pair), "those that were there go on"
            pair[1].close()
            await pair[1].wait_closed()
        again = b""
        while not again:  # the server hears a moment later that they left
            fourth = await asyncio.open_connection("127.0.0.1", port)
            again = await answered(*fourth)
            fourth[1].close()


@pytest.mark.parametrize("first", [False, True], ids=["first request", "a later one"])
@pytest.mark.parametrize("said", [b"", b"GET / HTTP/1.1\r\n"], ids=["silent", "drips"])
async def test_a_head_that_does_not_come_ends_the_connection(first: bool, said: bytes) -> None:
    async with serving(Held(head_seconds=0.15)) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        if first:
            assert await answered(reader, writer)
        if not first or said:
            writer.write(said)
            with contextlib.suppress(ConnectionError):
                while not reader.at_eof():
                    if said:
                        writer.write(b"X-A: b\r\n")
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(reader.read(100), 0.01)
        writer.close()


async def test_a_request_that_takes_long_is_not_a_late_head() -> None:
    async with serving(Held(head_seconds=0.05)) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\na")
        await asyncio.sleep(0.15)
        writer.write(b"b")
        assert (await reader.readuntil(b"hi")).endswith(b"hi")
        writer.close()
