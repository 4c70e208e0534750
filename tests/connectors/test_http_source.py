from __future__ import annotations

import asyncio
import gzip
import ssl
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import trustme
from conformance import Running, SourceConformance, until
from pydantic import ValidationError

from connectors.http import CONNECTOR
from connectors.http.settings import HttpSourceSettings
from connectors.testing import MemoryInbox, PlainServices

KEY = "a-key-of-the-laboratory"
OTHER = "a-second-key-for-renewal"


class TestConformance(SourceConformance):
    connector = CONNECTOR

    def settings(self, folder: Path) -> dict[str, Any]:
        return {"listen": "127.0.0.1:0", "api_keys": [KEY, OTHER], "spool_threshold": 65_536}

    def content(self, number: int, size: int = 0) -> bytes:
        return f"{number} TESTROSE ".encode() + b"x" * size

    async def deliver(self, running: Running, content: bytes) -> bool:
        status, _ = await post(running, content)
        assert status in (202, 503)
        return status == 202


class Bench(TestConformance):
    __test__ = False

    def __init__(self, **settings: Any) -> None:
        self._more = settings

    def settings(self, folder: Path) -> dict[str, Any]:
        return {**super().settings(folder), **self._more}


async def post(
    running: Running, data: Any, headers: dict[str, str] | None = None, key: str | None = KEY, path: str = ""
) -> tuple[int, dict[str, Any]]:
    sent = {} if key is None else {"Authorization": f"Bearer {key}"}
    async with (
        aiohttp.ClientSession() as session,
        session.post(running.address + path, data=data, headers={**sent, **(headers or {})}) as response,
    ):
        if response.status != 202:
            assert response.content_type in ("application/problem+json", "text/plain")
        return response.status, await response.json(content_type=None) if response.content_type != "text/plain" else {}


async def test_the_answer_names_the_message(tmp_path: Path, inbox: MemoryInbox, services: PlainServices) -> None:
    async with Bench().running(tmp_path, inbox, services) as running:
        assert await post(running, b"one") == (202, {"message_id": 1, "duplicate": False})
        assert await post(running, b"two") == (202, {"message_id": 2, "duplicate": False})
        assert await post(running, b"one") == (202, {"message_id": 1, "duplicate": True})


@pytest.mark.parametrize(
    "headers", [{"X-Message-Id": "M-1"}, {"Idempotency-Key": '"M-1"'}, {"X-Message-Id": "M-1", "Idempotency-Key": "K"}]
)
async def test_the_senders_own_id_is_kept(
    tmp_path: Path, inbox: MemoryInbox, services: PlainServices, headers: dict[str, str]
) -> None:
    async with Bench().running(tmp_path, inbox, services) as running:
        assert (await post(running, b"one", headers))[0] == 202
    assert inbox.messages[0].control_id == "M-1"
    assert inbox.messages[0].peer == "127.0.0.1"


async def test_an_id_that_is_too_long_is_refused(tmp_path: Path, inbox: MemoryInbox, services: PlainServices) -> None:
    async with Bench().running(tmp_path, inbox, services) as running:
        assert (await post(running, b"one", {"X-Message-Id": "9" * 201}))[0] == 400
    assert inbox.submitted == 0


@pytest.mark.parametrize("key", [None, "", "wrong-but-long-enough", KEY[:-1], KEY + "x", "clé-accentuée"])
async def test_a_key_is_needed(tmp_path: Path, inbox: MemoryInbox, services: PlainServices, key: str | None) -> None:
    async with Bench().running(tmp_path, inbox, services) as running:
        status, problem = await post(running, b"one", key=key)
        assert (status, problem["status"]) == (401, 401)
    assert inbox.submitted == 0
    assert services.codes() == ["http.request.turned_away"]


async def test_either_key_in_either_header(tmp_path: Path, inbox: MemoryInbox, services: PlainServices) -> None:
    async with Bench().running(tmp_path, inbox, services) as running:
        assert (await post(running, b"1", key=OTHER))[0] == 202
        assert (await post(running, b"2", {"X-API-Key": KEY}, key=None))[0] == 202
        assert (await post(running, b"3", {"Authorization": f"bearer {KEY}"}, key=None))[0] == 202
        assert (await post(running, b"4", {"Authorization": f"Basic {KEY}"}, key=None))[0] == 401


async def test_repeated_refusals_are_reported_once_and_counted(
    tmp_path: Path, inbox: MemoryInbox, services: PlainServices
) -> None:
    async with Bench().running(tmp_path, inbox, services) as running:
        for _ in range(5):
            await post(running, b"one", key=None)
        assert len(services.findings) == 1
        services.clock.advance(61)
        await post(running, b"one", key=None)
    assert services.health.figures["turned_away"] == 6
    assert "(4 times more since the last report)" in services.findings[1].message


async def test_a_body_too_large(tmp_path: Path, inbox: MemoryInbox, services: PlainServices) -> None:
    async def chunks() -> Any:
        for _ in range(5):
            yield b"x" * 50_000

    async with Bench(max_body=200_000).running(tmp_path, inbox, services) as running:
        assert (await post(running, b"x" * 200_001))[0] == 413
        assert (await post(running, chunks()))[0] == 413
        assert (await post(running, b"x" * 200_000))[0] == 202
    assert inbox.submitted == 1
    assert list(inbox.folder.iterdir()) == []


async def test_a_compressed_body_is_measured_once_opened(
    tmp_path: Path, inbox: MemoryInbox, services: PlainServices
) -> None:
    async with Bench(max_body=200_000).running(tmp_path, inbox, services) as running:
        gzipped = {"Content-Encoding": "gzip"}
        assert (await post(running, gzip.compress(b"x" * 5_000_000), gzipped))[0] == 413
        assert (await post(running, gzip.compress(b"small"), gzipped))[0] == 202
    assert inbox.contents == [b"small"]


async def test_media_types(tmp_path: Path, inbox: MemoryInbox, services: PlainServices) -> None:
    async with Bench(media_types=["application/fhir+json"]).running(tmp_path, inbox, services) as running:
        status, problem = await post(running, b"<a/>", {"Content-Type": "text/xml"})
        assert status == 415
        assert "application/fhir+json" in problem["detail"]
        assert (await post(running, b"{}", {"Content-Type": "application/fhir+json; charset=utf-8"}))[0] == 202


async def test_an_empty_body_is_kept_as_rejected(tmp_path: Path, inbox: MemoryInbox, services: PlainServices) -> None:
    async with Bench().running(tmp_path, inbox, services) as running:
        status, problem = await post(running, b"")
        assert (status, problem["message_id"]) == (400, 1)
    assert inbox.messages[0].refusal is not None
    assert inbox.messages[0].refusal.finding.code == "http.body.empty"


async def test_not_now_says_when(tmp_path: Path, inbox: MemoryInbox, services: PlainServices) -> None:
    async with Bench().running(tmp_path, inbox, services) as running:
        inbox.refuse()
        async with (
            aiohttp.ClientSession() as session,
            session.post(running.address, data=b"one", headers={"X-API-Key": KEY}) as response,
        ):
            assert response.status == 503
            assert int(response.headers["Retry-After"]) > 0
            assert (await response.json(content_type=None))["detail"].startswith("storage full")


async def test_too_many_requests_under_way(tmp_path: Path, inbox: MemoryInbox, services: PlainServices) -> None:
    async with Bench(max_in_flight=2).running(tmp_path, inbox, services) as running:
        inbox.hold()
        waiting = [asyncio.create_task(post(running, bytes([number]))) for number in range(2)]
        await inbox.wait_submitted(2)
        assert (await post(running, b"third"))[0] == 503
        inbox.release()
        assert [(await answer)[0] for answer in waiting] == [202, 202]


async def test_a_body_that_does_not_come(tmp_path: Path, inbox: MemoryInbox, services: PlainServices) -> None:
    async def slow() -> Any:
        yield b"x" * 100_000
        await asyncio.Event().wait()

    async with Bench(read_timeout=0.05).running(tmp_path, inbox, services) as running:
        assert (await post(running, slow()))[0] == 408
    assert inbox.submitted == 0
    assert list(inbox.folder.iterdir()) == []


async def test_a_client_that_leaves_in_the_middle(tmp_path: Path, inbox: MemoryInbox, services: PlainServices) -> None:
    async with Bench().running(tmp_path, inbox, services) as running:
        host, _, port = running.address.removeprefix("http://").removesuffix("/messages").partition(":")
        _, writer = await asyncio.open_connection(host, int(port))
        head = f"POST /messages HTTP/1.1\r\nHost: x\r\nX-API-Key: {KEY}\r\nContent-Length: 200000\r\n\r\n"
        writer.write(head.encode() + b"x" * 100_000)
        await writer.drain()
        await until(lambda: inbox.spooled)
        writer.close()
        await writer.wait_closed()
        await until(lambda: not list(inbox.folder.iterdir()))
        assert (await post(running, b"one"))[0] == 202
    assert inbox.contents == [b"one"]
    assert services.findings == []


async def test_other_paths_and_methods(tmp_path: Path, inbox: MemoryInbox, services: PlainServices) -> None:
    async with Bench().running(tmp_path, inbox, services) as running, aiohttp.ClientSession() as session:
        async with session.get(running.address) as response:
            assert response.status == 405
        async with session.post(running.address + "/else") as response:
            assert response.status == 404


async def test_mutual_tls_instead_of_keys(tmp_path: Path, inbox: MemoryInbox, services: PlainServices) -> None:
    authority = trustme.CA()
    root, server = tmp_path / "ca.pem", tmp_path / "server.pem"
    authority.cert_pem.write_to_path(str(root))
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(server))

    def client(name: str) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(root))
        authority.issue_cert(name).configure_cert(context)
        return context

    tls = {
        "cert": server,
        "client_ca": root,
        "require_client_certificate": True,
        "allowed_client_subjects": ["labo.example"],
    }
    async with Bench(api_keys=[], tls=tls).running(tmp_path, inbox, services) as running:
        assert running.address.startswith("https://")
        for name, expected in (("labo.example", 202), ("other.example", 403)):
            async with (
                aiohttp.ClientSession() as session,
                session.post(running.address, data=name.encode(), ssl=client(name)) as response,
            ):
                assert response.status == expected
    assert inbox.contents == [b"labo.example"]


def test_a_source_is_never_open_to_anybody() -> None:
    with pytest.raises(ValidationError, match="not open to anybody"):
        HttpSourceSettings()
    with pytest.raises(ValidationError, match="16 characters"):
        HttpSourceSettings(api_keys=("short",))


def test_keys_do_not_show() -> None:
    settings = HttpSourceSettings(api_keys=(KEY,))
    assert KEY not in repr(settings)
    assert KEY not in settings.model_dump_json()
