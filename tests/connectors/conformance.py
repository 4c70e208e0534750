"""What every connector must hold, inherited by the tests of each: ours and, as an example, a third party's.

A class that inherits says how a peer of its protocol behaves; the tests say what a connector owes to it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import pytest
from pydantic import ValidationError

from connectors.contracts import Connector, Delivered, Destination, Outcome, Parcel, Refused, Retry
from connectors.testing import MemoryInbox, PlainServices

SECRET = b"TESTROSE"
"""In every content: no health record, finding or detail may repeat it."""


@dataclass
class Running:
    """A source that runs, and what it runs against."""

    address: str
    task: asyncio.Task[None]
    inbox: MemoryInbox
    services: PlainServices
    folder: Path


async def turns(count: int = 30) -> None:
    """Let everything that is ready in the event loop run."""
    for _ in range(count):
        await asyncio.sleep(0)


async def until(holds: Callable[[], object]) -> None:
    """Let the event loop turn until something holds that no event tells; the test's time limit ends it otherwise."""
    while not holds():  # noqa: ASYNC110 - what is waited for happens at the other end, which sets no Event
        await asyncio.sleep(0)


class SourceConformance:
    """Inherit, and define `connector`, `settings`, `content` and `deliver`."""

    connector: Connector
    spools = True
    """Large contents are handed over as files; a source of short messages only may leave that out."""

    def settings(self, folder: Path) -> dict[str, Any]:
        """Give settings that listen on a free port or watch `folder`, with the smallest spool threshold."""
        raise NotImplementedError

    def content(self, number: int, size: int = 0) -> bytes:
        """Make a message that the source takes, unlike any other `number`, of `size` bytes at least."""
        raise NotImplementedError

    async def deliver(self, running: Running, content: bytes) -> bool:
        """Hand a content over as a peer does; True when it was acknowledged, False when told to send it again."""
        raise NotImplementedError

    async def again(self, running: Running, content: bytes) -> bool:
        """Send again what was not acknowledged."""
        return await self.deliver(running, content)

    @asynccontextmanager
    async def running(self, folder: Path, inbox: MemoryInbox, services: PlainServices) -> AsyncIterator[Running]:
        connector = self.connector
        assert connector.source_settings is not None
        assert connector.make_source is not None
        source = connector.make_source("labo", connector.source_settings(**self.settings(folder)), services)
        task = asyncio.create_task(source.run(inbox))
        running = Running(await services.listening(), task, inbox, services, folder)
        try:
            yield running
        finally:
            if not task.done():
                task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    @pytest.fixture
    async def source(self, tmp_path: Path, inbox: MemoryInbox, services: PlainServices) -> AsyncIterator[Running]:
        async with self.running(tmp_path, inbox, services) as running:
            yield running

    async def test_tells_its_address_and_health(self, source: Running) -> None:
        assert source.address
        assert source.services.health.state not in ("starting", "failed", "degraded")

    async def test_takes_the_bytes_as_they_are(self, source: Running) -> None:
        content = self.content(1)
        assert await self.deliver(source, content) is True
        assert source.inbox.contents == [content]
        assert source.inbox.messages[0].received_at == source.services.now()

    async def test_acknowledges_only_after_the_commit(self, source: Running) -> None:
        source.inbox.hold()
        delivery = asyncio.create_task(self.deliver(source, self.content(1)))
        await source.inbox.wait_submitted(1)
        await turns()
        assert not delivery.done()
        assert source.inbox.messages == []
        source.inbox.release()
        assert await delivery is True
        assert len(source.inbox.messages) == 1

    async def test_what_is_not_accepted_is_not_acknowledged(self, source: Running) -> None:
        content = self.content(1)
        source.inbox.refuse()
        assert await self.deliver(source, content) is False
        assert source.inbox.messages == []
        assert await self.again(source, content) is True
        assert source.inbox.contents == [content]

    async def test_a_failing_inbox_neither_acknowledges_nor_kills(self, source: Running) -> None:
        content = self.content(1)
        source.inbox.fail(RuntimeError("TESTROSE must not be repeated"))
        assert await self.deliver(source, content) is False
        assert not source.task.done()
        assert source.services.findings
        assert await self.again(source, content) is True
        self.assert_discreet(source.services)

    async def test_a_message_received_twice_is_acknowledged_twice_and_kept_once(self, source: Running) -> None:
        content = self.content(1)
        assert await self.deliver(source, content) is True
        assert await self.deliver(source, content) is True
        assert source.inbox.contents == [content]

    async def test_order_is_kept(self, source: Running) -> None:
        contents = [self.content(number) for number in range(20)]
        for content in contents:
            assert await self.deliver(source, content) is True
        assert source.inbox.contents == contents

    async def test_large_contents_come_on_disk(self, source: Running) -> None:
        content = self.content(1, size=300_000)
        assert await self.deliver(source, content) is True
        assert isinstance(source.inbox.messages[0].content, Path) is self.spools
        assert source.inbox.contents == [content]
        assert list(source.inbox.folder.iterdir()) == []

    async def test_large_contents_not_accepted_leave_no_file(self, source: Running) -> None:
        content = self.content(1, size=300_000)
        source.inbox.refuse()
        assert await self.deliver(source, content) is False
        assert list(source.inbox.folder.iterdir()) == []
        assert await self.again(source, content) is True

    @pytest.mark.parametrize("how", ["stopped", "cancelled"])
    async def test_what_was_submitted_is_finished_at_the_end(self, source: Running, how: str) -> None:
        source.inbox.hold()
        delivery = asyncio.create_task(self.deliver(source, self.content(1)))
        await source.inbox.wait_submitted(1)
        if how == "stopped":
            source.services.stopping.set()
        else:
            source.task.cancel()
        await turns()
        source.inbox.release()
        assert await delivery is True
        await asyncio.gather(source.task, return_exceptions=True)
        assert len(source.inbox.messages) == 1
        assert source.services.health.state == "stopped"

    async def test_says_nothing_of_patients(self, source: Running) -> None:
        await self.deliver(source, self.content(1))
        self.assert_discreet(source.services)

    def test_refuses_unknown_settings(self, tmp_path: Path) -> None:
        assert self.connector.source_settings is not None
        with pytest.raises(ValidationError, match="unheard_of"):
            self.connector.source_settings(**{**self.settings(tmp_path), "unheard_of": 1})

    def test_describes_every_setting(self) -> None:
        assert self.connector.source_settings is not None
        assert_described(self.connector.source_settings)

    @staticmethod
    def assert_discreet(services: PlainServices) -> None:
        said = f"{services.health!r} {services.findings!r}"
        assert SECRET.decode() not in said


def assert_described(settings: Any) -> None:
    """Every field has its sentence: the configuration reference is made of them."""
    assert settings.__doc__
    assert [name for name, field in settings.model_fields.items() if not field.description] == []


@dataclass
class Attempt:
    """What a peer received: the bytes, and the identity by which it recognises a repetition."""

    content: bytes
    identity: str


class Peer(Protocol):
    """The other end, as the destination's tests drive it."""

    settings: dict[str, Any]

    @property
    def received(self) -> list[Attempt]:
        """What has come, in order."""

    def behave(self, how: str) -> None:
        """From now on: accept, refuse, later; for a network peer also hang, garbage, hang_up."""


@dataclass
class Simple:
    """A Peer made of values."""

    settings: dict[str, Any]
    received: list[Attempt] = field(default_factory=list)


class DestinationConformance:
    """Inherit, and define `connector`, `content` and `peer`."""

    connector: Connector
    says_acknowledged = True

    def content(self, number: int) -> bytes:
        raise NotImplementedError

    def peer(self, folder: Path) -> AbstractAsyncContextManager[Peer]:
        """Open a peer that accepts."""
        raise NotImplementedError

    def absent(self, folder: Path) -> dict[str, Any]:
        """Give settings that point at nobody."""
        raise NotImplementedError

    def parcel(self, number: int = 1, **more: Any) -> Parcel:
        content = self.content(number)
        values: dict[str, Any] = {
            "delivery_id": number,
            "identity": f"D{number:06d}",
            "content": content,
            "media_type": "application/octet-stream",
            "filename": f"message-{number}.dat",
            "attempt": 1,
        }
        return Parcel(**{**values, **more})

    def make(self, settings: dict[str, Any], services: PlainServices) -> Destination:
        assert self.connector.destination_settings is not None
        assert self.connector.make_destination is not None
        return self.connector.make_destination("spico", self.connector.destination_settings(**settings), services)

    @asynccontextmanager
    async def opened(
        self, folder: Path, services: PlainServices, **more: Any
    ) -> AsyncIterator[tuple[Destination, Peer]]:
        async with self.peer(folder) as peer:
            destination = self.make({**peer.settings, **more}, services)
            try:
                yield destination, peer
            finally:
                await destination.close()

    async def test_delivers_the_exact_bytes(self, tmp_path: Path, services: PlainServices) -> None:
        async with self.opened(tmp_path, services) as (destination, peer):
            parcel = self.parcel()
            outcome = await destination.send(parcel)
            assert isinstance(outcome, Delivered)
            assert outcome.acknowledged is self.says_acknowledged
            assert [attempt.content for attempt in peer.received] == [parcel.content]

    async def test_a_repetition_is_recognisable(self, tmp_path: Path, services: PlainServices) -> None:
        async with self.opened(tmp_path, services) as (destination, peer):
            parcel = self.parcel()
            for _ in range(2):
                assert isinstance(await destination.send(parcel), Delivered)
            assert len({attempt.identity for attempt in peer.received}) == 1
            assert len({attempt.content for attempt in peer.received}) == 1

    async def test_a_refusal_is_final(self, tmp_path: Path, services: PlainServices) -> None:
        async with self.opened(tmp_path, services) as (destination, peer):
            peer.behave("refuse")
            outcome = await destination.send(self.parcel())
            assert isinstance(outcome, Refused)
            assert outcome.detail
            self.assert_discreet(outcome, services)

    async def test_not_now_is_tried_again(self, tmp_path: Path, services: PlainServices) -> None:
        async with self.opened(tmp_path, services) as (destination, peer):
            peer.behave("later")
            outcome = await destination.send(self.parcel())
            assert isinstance(outcome, Retry)
            self.assert_discreet(outcome, services)
            peer.behave("accept")
            assert isinstance(await destination.send(self.parcel()), Delivered)

    async def test_nobody_there_is_the_destinations_trouble(self, tmp_path: Path, services: PlainServices) -> None:
        destination = self.make(self.absent(tmp_path), services)
        outcome = await destination.send(self.parcel())
        await destination.close()
        assert isinstance(outcome, Retry)
        assert outcome.reached is False
        self.assert_discreet(outcome, services)

    async def test_serves_several_at_once(self, tmp_path: Path, services: PlainServices) -> None:
        async with self.opened(tmp_path, services, concurrency=4) as (destination, peer):
            parcels = [self.parcel(number) for number in range(12)]
            outcomes = await asyncio.gather(*(destination.send(parcel) for parcel in parcels))
            assert all(isinstance(outcome, Delivered) for outcome in outcomes)
            assert {attempt.content for attempt in peer.received} == {parcel.content for parcel in parcels}

    async def test_attachments_are_carried_or_refused(self, tmp_path: Path, services: PlainServices) -> None:
        async with self.opened(tmp_path, services) as (destination, peer):
            outcome = await destination.send(self.parcel(attachments={"letter.pdf": b"%PDF-1.4 beside"}))
            if isinstance(outcome, Delivered):
                assert any(b"%PDF-1.4 beside" in attempt.content for attempt in peer.received)
            else:
                assert isinstance(outcome, Refused)
                assert peer.received == []

    async def test_closes_twice(self, tmp_path: Path, services: PlainServices) -> None:
        async with self.opened(tmp_path, services) as (destination, _):
            await destination.send(self.parcel())
            await destination.close()
            await destination.close()

    def test_refuses_unknown_settings(self, tmp_path: Path) -> None:
        assert self.connector.destination_settings is not None
        with pytest.raises(ValidationError, match="unheard_of"):
            self.connector.destination_settings(**{**self.absent(tmp_path), "unheard_of": 1})

    def test_describes_every_setting(self) -> None:
        assert self.connector.destination_settings is not None
        assert_described(self.connector.destination_settings)
        assert "concurrency" in self.connector.destination_settings.model_fields

    @staticmethod
    def assert_discreet(outcome: Outcome, services: PlainServices) -> None:
        said = f"{outcome.detail} {services.health!r} {services.findings!r}"
        assert SECRET.decode() not in said


class NetworkDestinationConformance(DestinationConformance):
    """What a destination owes when its peer is at the other end of a network; settings get short time limits."""

    impatient: dict[str, Any]

    @pytest.mark.parametrize("how", ["hang", "garbage", "hang_up"])
    async def test_a_peer_that_makes_no_sense_is_tried_again(
        self, tmp_path: Path, services: PlainServices, how: str
    ) -> None:
        async with self.opened(tmp_path, services, **self.impatient) as (destination, peer):
            peer.behave(how)
            outcome = await destination.send(self.parcel())
            assert isinstance(outcome, Retry)
            self.assert_discreet(outcome, services)
            peer.behave("accept")
            assert isinstance(await destination.send(self.parcel()), Delivered)

    async def test_connections_are_kept(self, tmp_path: Path, services: PlainServices) -> None:
        async with self.opened(tmp_path, services) as (destination, peer):
            for number in range(5):
                assert isinstance(await destination.send(self.parcel(number)), Delivered)
            assert self.connections(peer) == 1

    def connections(self, peer: Peer) -> int:
        """Tell how many connections the peer has seen."""
        raise NotImplementedError

    async def test_a_cancelled_send_leaves_the_destination_usable(
        self, tmp_path: Path, services: PlainServices
    ) -> None:
        async with self.opened(tmp_path, services) as (destination, peer):
            peer.behave("hang")
            sending = asyncio.create_task(destination.send(self.parcel(1)))
            await until(lambda: peer.received)
            sending.cancel()
            with pytest.raises(asyncio.CancelledError):
                await sending
            peer.behave("accept")
            assert isinstance(await destination.send(self.parcel(2)), Delivered)
