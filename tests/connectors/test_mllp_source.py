"""What the MLLP source answers, refuses and lets in; how it starts and stops."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from pathlib import Path

import pytest
import trustme
from mllp_bench import Bench, MllpListener, left_without, oru, reading
from pydantic import ValidationError

from connectors.contracts import NotAccepted
from connectors.mllp import CONNECTOR
from connectors.mllp.codec import COMMIT_ACK, COMMIT_NAK, enframe
from connectors.mllp.connection import Connection
from connectors.mllp.settings import MllpSourceSettings
from connectors.mllp.simulator import Sender
from connectors.mllp.station import Station
from connectors.testing import MemoryInbox, PlainServices
from mappings.hl7v2.ack import AckCode, AckReading


class TestConformance(MllpListener):
    pass


# What is refused


async def refused(
    bench: Bench, folder: Path, inbox: MemoryInbox, services: PlainServices, content: bytes
) -> AckReading:
    async with bench.running(folder, inbox, services) as running, Sender(running.address) as sender:
        answer = reading(await sender.send(content))
    assert inbox.contents == [content]
    assert inbox.messages[0].refusal is not None
    assert services.health.figures["rejected"] == 1
    return answer


async def test_a_message_without_control_id_is_kept_and_refused_for_good(
    folder: Path, inbox: MemoryInbox, services: PlainServices
) -> None:
    answer = await refused(Bench(), folder, inbox, services, oru().replace(b"CTRL00001", b""))
    assert (answer.code, answer.error_codes) == (AckCode.AE, (101,))


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (oru(kind="XYZ^Q99"), 200),
        (oru(kind="ORU^X77"), 201),
        (oru(version="9.9"), 203),
    ],
)
async def test_type_event_and_version_are_refused_for_good(
    folder: Path, inbox: MemoryInbox, services: PlainServices, content: bytes, error: int
) -> None:
    answer = await refused(Bench(), folder, inbox, services, content)
    assert (answer.code, answer.error_codes) == (AckCode.AE, (error,))


async def test_test_messages_are_refused_in_production(
    folder: Path, inbox: MemoryInbox, services: PlainServices
) -> None:
    bench = Bench(environment="production")
    answer = await refused(bench, folder, inbox, services, oru().replace(b"|P|2.5", b"|T|2.5"))
    assert (answer.code, answer.error_codes) == (AckCode.AE, (202,))


@pytest.mark.parametrize("content", [b"", b"\x00" * 50, b"GET / HTTP/1.1", b"H|~^\\&|F.HPR||LAB", b"MSH"])
async def test_what_is_no_hl7_is_kept_and_refused_for_good(
    folder: Path, inbox: MemoryInbox, services: PlainServices, content: bytes
) -> None:
    answer = await refused(Bench(), folder, inbox, services, content)
    assert answer.code is AckCode.AE


# Enhanced mode and MLLP release 2


@pytest.mark.parametrize(
    ("wishes", "codes"),
    [
        ("|||AL|AL", ["CA", "AA"]),
        ("|||AL|NE", ["CA"]),
        ("|||NE|AL", ["AA"]),
        ("|||SU|ER", ["CA"]),
        ("|||", ["AA"]),
    ],
)
async def test_answers_follow_msh_15_and_16(
    folder: Path, inbox: MemoryInbox, services: PlainServices, wishes: str, codes: list[str]
) -> None:
    async with Bench().running(folder, inbox, services) as running, Sender(running.address) as sender:
        await sender.write(enframe(oru(1, more=wishes)) + enframe(oru(2)))
        answers = [reading(await sender.receive()) for _ in range(len(codes) + 1)]
    assert [answer.code for answer in answers] == [*codes, "AA"]
    assert [answer.control_id for answer in answers] == ["CTRL00001"] * len(codes) + ["CTRL00002"]


async def test_enhanced_mode_refuses_at_commit_level(folder: Path, inbox: MemoryInbox, services: PlainServices) -> None:
    content = oru(1, kind="XYZ^Q99", more="|||AL|AL")
    assert (await refused(Bench(), folder, inbox, services, content)).code is AckCode.CR


async def test_release_2_commits_then_answers(folder: Path, inbox: MemoryInbox, services: PlainServices) -> None:
    bench = Bench(release_2=True)
    async with bench.running(folder, inbox, services) as running, Sender(running.address) as sender:
        await sender.write(enframe(oru(1)))
        assert enframe(await sender.receive() or b"") == COMMIT_ACK
        assert reading(await sender.receive()).code is AckCode.AA
        await sender.write(COMMIT_ACK)
        inbox.refuse()
        await sender.write(enframe(oru(2)))
        assert enframe(await sender.receive() or b"") == COMMIT_NAK
    assert inbox.contents == [oru(1)]


# Who may connect


async def test_one_connection_too_many_is_closed(folder: Path, inbox: MemoryInbox, services: PlainServices) -> None:
    bench = Bench(max_connections=1)
    async with bench.running(folder, inbox, services) as running, Sender(running.address) as first:
        assert reading(await first.send(oru(1))).code is AckCode.AA
        async with Sender(running.address) as second:
            assert await left_without(second, oru(2))
        assert reading(await first.send(oru(3))).code is AckCode.AA
    assert inbox.contents == [oru(1), oru(3)]
    assert services.codes() == ["mllp.connection.turned_away"]


async def test_addresses_outside_allowed_peers_are_turned_away(
    folder: Path, inbox: MemoryInbox, services: PlainServices
) -> None:
    bench = Bench(allowed_peers=["192.0.2.0/24"])
    async with bench.running(folder, inbox, services) as running, Sender(running.address) as sender:
        assert await left_without(sender, oru(1))
    assert inbox.submitted == 0
    assert services.health.figures["turned_away"] == 1


class Authority:
    """A throw-away authority and what it signed."""

    def __init__(self, folder: Path) -> None:
        self.ca = trustme.CA()
        self.root = folder / "ca.pem"
        self.ca.cert_pem.write_to_path(str(self.root))
        self.server = folder / "server.pem"
        self.ca.issue_cert("localhost", "127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(self.server))

    def client(self, name: str | None = None) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(self.root))
        if name is not None:
            self.ca.issue_cert(name).configure_cert(context)
        return context


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls"))


async def test_tls(folder: Path, inbox: MemoryInbox, services: PlainServices, authority: Authority) -> None:
    bench = Bench(tls={"cert": authority.server})
    async with bench.running(folder, inbox, services) as running:
        async with Sender(running.address, authority.client(), "localhost") as sender:
            assert reading(await sender.send(oru(1))).code is AckCode.AA
            assert reading(await sender.send(oru(2, size=200_000))).code is AckCode.AA
        async with Sender(running.address) as sender:
            assert await left_without(sender, oru(3))
    assert inbox.contents == [oru(1), oru(2, size=200_000)]


async def test_mutual_tls(folder: Path, inbox: MemoryInbox, services: PlainServices, authority: Authority) -> None:
    tls = {
        "cert": authority.server,
        "client_ca": authority.root,
        "require_client_certificate": True,
        "allowed_client_subjects": ["labo.example"],
    }
    async with Bench(tls=tls).running(folder, inbox, services) as running:
        async with Sender(running.address, authority.client("labo.example"), "localhost") as sender:
            assert reading(await sender.send(oru(1))).code is AckCode.AA
        for stranger in (authority.client("other.example"), authority.client()):
            async with Sender(running.address, stranger, "localhost") as sender:
                assert await left_without(sender, oru(2))
    assert inbox.contents == [oru(1)]
    assert "mllp.connection.turned_away" in services.codes()


def test_settings_of_mutual_tls_are_whole() -> None:
    with pytest.raises(ValidationError, match="needs client_ca"):
        MllpSourceSettings(tls={"cert": "c.pem", "require_client_certificate": True})
    with pytest.raises(ValidationError, match="require_client_certificate = true"):
        MllpSourceSettings(tls={"cert": "c.pem", "allowed_client_subjects": ["x"]})


# Start and stop


async def test_an_address_in_use_is_said(folder: Path, inbox: MemoryInbox, services: PlainServices) -> None:
    async with Bench().running(folder, inbox, services) as running:
        settings = MllpSourceSettings(listen=running.address)
        source = CONNECTOR.make_source
        assert source is not None
        with pytest.raises(OSError, match="in use"):
            await source("second", settings, services).run(inbox)
        assert services.health.state == "failed"


async def test_what_cannot_be_committed_at_stop_is_not_acknowledged(
    folder: Path, inbox: MemoryInbox, services: PlainServices
) -> None:
    bench = Bench(stop_grace=0.05)
    async with bench.running(folder, inbox, services) as running, Sender(running.address) as sender:
        inbox.hold()
        await sender.write(enframe(oru(1)))
        await inbox.wait_submitted(1)
        services.stopping.set()
        assert await sender.receive() is None
        await running.task
    assert services.codes() == ["mllp.stop.unanswered"]


async def test_an_inbox_that_is_shutting_down_is_not_now(
    folder: Path, inbox: MemoryInbox, services: PlainServices
) -> None:
    async with Bench().running(folder, inbox, services) as running, Sender(running.address) as sender:
        inbox.fail(NotAccepted("shutting down"))
        answer = reading(await sender.send(oru(1)))
    assert (answer.code, answer.error_codes) == (AckCode.AR, (207,))
    assert services.health.figures["not_accepted"] == 1


async def test_many_connections(folder: Path, inbox: MemoryInbox, services: PlainServices) -> None:
    async with Bench().running(folder, inbox, services) as running:

        async def one(number: int) -> None:
            async with Sender(running.address) as sender:
                for turn in range(5):
                    assert reading(await sender.send(oru(number * 10 + turn))).code is AckCode.AA

        await asyncio.gather(*(one(number) for number in range(40)))
    assert len(inbox.contents) == 200
    assert services.health.figures["messages"] == 200
    assert services.health.figures["connections"] == 0


async def test_a_connection_that_comes_as_the_source_closes_is_broken_off_at_once(
    inbox: MemoryInbox, services: PlainServices
) -> None:
    station = Station("labo", MllpSourceSettings(), services, inbox)
    await station.drain()
    server = await asyncio.get_running_loop().create_server(lambda: Connection(station), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    answer: bytes | None = None
    async with server, asyncio.timeout(10):  # without an answer and without an end, its sender would wait for ever
        with contextlib.suppress(ConnectionError):
            async with Sender(f"127.0.0.1:{port}") as sender:
                answer = await sender.send(b"MSH|^~\\&|A\r")
    assert answer is None
    assert station.connections == set()
