from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from conformance import Running, SourceConformance, turns, until
from pydantic import ValidationError

from connectors.contracts import Inbound, Receipt
from connectors.directory import CONNECTOR
from connectors.directory.folder import WORK
from connectors.directory.settings import DirectorySourceSettings
from connectors.testing import MemoryInbox, PlainServices, plain_services
from schemas.finding import Finding, Severity


class TestConformance(SourceConformance):
    connector = CONNECTOR

    def settings(self, folder: Path) -> dict[str, Any]:
        watched = folder / "in"
        watched.mkdir(exist_ok=True)
        return {"folder": watched, "settle_seconds": 2, "spool_threshold": 65_536}

    def content(self, number: int, size: int = 0) -> bytes:
        return f"H|~^\\&|{number}|TESTROSE|".encode() + b"x" * size

    @asynccontextmanager
    async def running(self, folder: Path, inbox: MemoryInbox, services: PlainServices) -> AsyncIterator[Running]:
        """Run, and let the look at start be over: the test then decides when the next ones are."""
        async with super().running(folder, inbox, services) as running:
            await until(lambda: services.health.figures["looks"])
            yield running

    async def deliver(self, running: Running, content: bytes) -> bool:
        name = hashlib.sha256(content).hexdigest()[:8] + "-TESTROSE.hpr"
        (running.folder / "in" / name).write_bytes(content)
        await running.services.tick()
        return await self._taken(running, name)

    async def again(self, running: Running, content: bytes) -> bool:
        return await self._taken(running, hashlib.sha256(content).hexdigest()[:8] + "-TESTROSE.hpr")

    @staticmethod
    async def _taken(running: Running, name: str) -> bool:
        await running.services.tick(2)
        in_work = (running.folder / "in" / WORK / name).exists()
        archived = [path for path in (running.folder / "in" / "archive").iterdir() if path.name.endswith(name)]
        assert in_work != bool(archived)
        return bool(archived)


class Bench(TestConformance):
    __test__ = False

    def __init__(self, **settings: Any) -> None:
        self._more = settings

    def settings(self, folder: Path) -> dict[str, Any]:
        return {**super().settings(folder), **self._more}


@pytest.fixture
def watched(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    folder.mkdir()
    return folder


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.is_file() and path.name != ".lock")


async def looks(services: PlainServices, count: int = 2, seconds: float = 2) -> None:
    for _ in range(count):
        await services.tick(seconds)


async def test_a_file_still_growing_is_left(
    tmp_path: Path, watched: Path, inbox: MemoryInbox, services: PlainServices
) -> None:
    async with Bench().running(tmp_path, inbox, services):
        file = watched / "growing.hpr"
        for size in range(1, 6):
            file.write_bytes(b"x" * size)
            await services.tick(5)
            assert inbox.submitted == 0
            assert services.health.figures["unsettled"] == 1
        await services.tick(1)
        assert inbox.submitted == 0
        await services.tick(1)
    assert inbox.contents == [b"xxxxx"]


async def test_same_size_and_a_new_date_is_still_being_written(
    tmp_path: Path, watched: Path, inbox: MemoryInbox, services: PlainServices
) -> None:
    async with Bench().running(tmp_path, inbox, services):
        file = watched / "a.hpr"
        file.write_bytes(b"one")
        await services.tick()
        file.write_bytes(b"two")
        os.utime(file, ns=(1, 1))
        await services.tick(2)
        assert inbox.submitted == 0
        await services.tick(2)
    assert inbox.contents == [b"two"]


async def test_renamed_files_can_be_taken_at_once(
    tmp_path: Path, watched: Path, inbox: MemoryInbox, services: PlainServices
) -> None:
    async with Bench(settle_seconds=0).running(tmp_path, inbox, services):
        (watched / "a.hpr.part").write_bytes(b"half")
        await services.tick()
        assert inbox.submitted == 0
        (watched / "a.hpr.part").rename(watched / "a.hpr")
        await services.tick()
    assert inbox.contents == [b"half"]


async def test_temporary_names_hidden_files_folders_and_links_are_left(
    tmp_path: Path, watched: Path, inbox: MemoryInbox, services: PlainServices
) -> None:
    for name in (".hidden", "a.tmp", "a.PART", "a.filepart", "a~", "a.bak"):
        (watched / name).write_bytes(b"no")
    (watched / "sub").mkdir()
    (watched / "sub" / "inner.hpr").write_bytes(b"no")
    outside = tmp_path / "outside"
    outside.write_bytes(b"not yours")
    (watched / "link.hpr").symlink_to(outside)
    (watched / "yes.hpr").write_bytes(b"yes")
    async with Bench(ignore=["*.bak"]).running(tmp_path, inbox, services):
        await looks(services)
    assert inbox.contents == [b"yes"]
    assert outside.read_bytes() == b"not yours"


async def test_patterns_take_either_case(
    tmp_path: Path, watched: Path, inbox: MemoryInbox, services: PlainServices
) -> None:
    for name in ("A.HPR", "b.hpr", "c.txt"):
        (watched / name).write_bytes(name.encode())
    async with Bench(patterns=["*.hpr"]).running(tmp_path, inbox, services):
        await looks(services)
    assert sorted(inbox.contents) == [b"A.HPR", b"b.hpr"]
    assert names(watched) == ["c.txt"]


async def test_oldest_first(tmp_path: Path, watched: Path, inbox: MemoryInbox, services: PlainServices) -> None:
    for number, name in enumerate(["z.hpr", "m.hpr", "a.hpr"]):
        (watched / name).write_bytes(name.encode())
        os.utime(watched / name, (number, number))
    async with Bench().running(tmp_path, inbox, services):
        await looks(services)
    assert inbox.contents == [b"z.hpr", b"m.hpr", b"a.hpr"]


async def test_order_is_kept_around_a_large_file(
    tmp_path: Path, watched: Path, inbox: MemoryInbox, services: PlainServices
) -> None:
    submit = inbox.submit

    async def slow_for_long_ones(inbound: Inbound) -> Receipt:
        if isinstance(inbound.content, Path) or len(inbound.content) > 65_536:
            await turns(10)
        return await submit(inbound)

    inbox.submit = slow_for_long_ones  # type: ignore[method-assign]  # the double of a store that keeps files apart
    contents = [b"1", b"2" * 90_000, b"3", b"4" * 70_000, b"5"]
    for number, content in enumerate(contents):
        (watched / f"{9 - number}.hpr").write_bytes(content)
        os.utime(watched / f"{9 - number}.hpr", (number, number))
    async with Bench(spool_threshold=80_000).running(tmp_path, inbox, services):
        await looks(services)
    assert inbox.contents == contents


async def test_name_and_archive(tmp_path: Path, watched: Path, inbox: MemoryInbox, services: PlainServices) -> None:
    async with Bench().running(tmp_path, inbox, services):
        for content in (b"first", b"second"):
            (watched / "CR 1.hpr").write_bytes(content)
            services.clock.advance(-4)
            await looks(services)
    assert [message.filename for message in inbox.messages] == ["CR 1.hpr", "CR 1.hpr"]
    assert [message.control_id for message in inbox.messages] == ["CR 1.hpr", "CR 1.hpr"]
    archived = names(watched / "archive")
    assert archived == ["20260305T081000-CR 1-2.hpr", "20260305T081000-CR 1.hpr"]
    assert (watched / "archive" / archived[0]).read_bytes() == b"second"
    assert names(watched) == []
    assert names(watched / WORK) == []


async def test_delete_after(tmp_path: Path, watched: Path, inbox: MemoryInbox, services: PlainServices) -> None:
    (watched / "a.hpr").write_bytes(b"a")
    async with Bench(after="delete").running(tmp_path, inbox, services):
        await looks(services)
    assert inbox.contents == [b"a"]
    assert not (watched / "archive").exists()


async def test_ready_markers(tmp_path: Path, watched: Path, inbox: MemoryInbox, services: PlainServices) -> None:
    (watched / "a.hpr").write_bytes(b"a")
    (watched / "b.hpr").write_bytes(b"b")
    async with Bench(ready_suffix=".ok").running(tmp_path, inbox, services):
        await looks(services)
        assert inbox.submitted == 0
        (watched / "a.hpr.ok").touch()
        await services.tick()
        (watched / "b.ok").touch()
        await services.tick()
        assert inbox.contents == [b"a", b"b"]
        (watched / "a.hpr").write_bytes(b"again")
        await looks(services)
    assert inbox.contents == [b"a", b"b"]
    assert names(watched) == ["a.hpr"]


# What is refused


async def test_an_empty_file(tmp_path: Path, watched: Path, inbox: MemoryInbox, services: PlainServices) -> None:
    (watched / "empty.hpr").touch()
    async with Bench().running(tmp_path, inbox, services):
        await looks(services)
    (kept,) = inbox.messages
    assert kept.refusal is not None
    assert kept.refusal.finding.code == "directory.file.empty"
    assert names(watched / "error") == ["20260305T081002-empty.hpr", "20260305T081002-empty.hpr.reason"]
    assert (watched / "error" / "20260305T081002-empty.hpr.reason").read_text() == "the file is empty\n"
    assert names(watched / "archive") == []


async def test_a_file_too_large(tmp_path: Path, watched: Path, inbox: MemoryInbox, services: PlainServices) -> None:
    (watched / "big.hpr").write_bytes(b"x" * 200_000)
    async with Bench(max_file=150_000).running(tmp_path, inbox, services):
        await looks(services)
    assert inbox.messages[0].refusal is not None
    assert len(inbox.contents[0]) == 65_536
    assert len(names(watched / "error")) == 2
    assert services.health.figures["rejected"] == 1


async def test_a_file_that_could_not_be_read_goes_to_error_once_that_is_known(
    tmp_path: Path, watched: Path, inbox: MemoryInbox, services: PlainServices
) -> None:
    said = Finding(severity=Severity.ERROR, code="hprim.header.short", where="line 3", message="the header is cut")
    inbox.rejections[1] = said
    (watched / "cut.hpr").write_bytes(b"1\r2\r3")
    (watched / "good.hpr").write_bytes(b"good")
    async with Bench().running(tmp_path, inbox, services):
        await looks(services)
    assert names(watched / "error") == ["20260305T081002-cut.hpr", "20260305T081002-cut.hpr.reason"]
    assert (watched / "error" / "20260305T081002-cut.hpr.reason").read_text() == "the header is cut\n"
    assert names(watched / "archive") == ["20260305T081002-good.hpr"]
    assert services.health.figures["rejected"] == 1


async def test_messages_slow_to_be_read_hold_back_nothing(
    tmp_path: Path, watched: Path, inbox: MemoryInbox, services: PlainServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connectors.directory.source.OUTCOME_WAIT", 0.01)
    read = asyncio.Event()

    async def outcome(receipt: Receipt) -> Finding | None:
        await read.wait()
        return None

    inbox.outcome = outcome  # type: ignore[method-assign]  # the double of a busy pipeline
    (watched / "first.hpr").write_bytes(b"first")
    async with Bench().running(tmp_path, inbox, services):
        await looks(services)
        assert names(watched / WORK) == ["first.hpr"]
        (watched / "second.hpr").write_bytes(b"second")
        await looks(services)
        assert inbox.contents == [b"first", b"second"]
        assert inbox.submitted == 2
        assert names(watched / "archive") == []
        read.set()
        await services.tick()
        assert len(names(watched / "archive")) == 2
    assert inbox.submitted == 2


async def test_messages_not_read_at_stop_stay_in_work_and_are_recognised(
    tmp_path: Path, watched: Path, inbox: MemoryInbox, services: PlainServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connectors.directory.source.OUTCOME_WAIT", 0.01)
    forever = asyncio.Event()

    async def never(receipt: Receipt) -> Finding | None:
        await forever.wait()
        return None

    (watched / "a.hpr").write_bytes(b"a")
    with monkeypatch.context() as patch:
        patch.setattr(inbox, "outcome", never)
        async with Bench().running(tmp_path, inbox, services):
            await looks(services)
    assert names(watched / WORK) == ["a.hpr"]
    again = plain_services()
    async with Bench().running(tmp_path, inbox, again):
        await again.tick()
    assert inbox.contents == [b"a"]
    assert names(watched / WORK) == []
    assert again.health.figures["duplicates"] == 1


# Companions


FIC = b"H|~^\\&|CR.hpr||LAB\rP|1\rOBR|1\rOBX|1|FIC|LET||LAB~%s~PDF||||||F\r"


async def test_a_companion_travels_with_the_message_that_names_it(
    tmp_path: Path, watched: Path, inbox: MemoryInbox, services: PlainServices
) -> None:
    (watched / "cr.hpr").write_bytes(FIC % b"LETTRE 1.PDF")
    (watched / "lettre 1.pdf").write_bytes(b"%PDF-1.4")
    (watched / "other.pdf").write_bytes(b"%PDF other")
    async with Bench(companions=["*.pdf"]).running(tmp_path, inbox, services):
        await looks(services)
    (message,) = inbox.messages
    assert dict(message.siblings) == {"lettre 1.pdf": b"%PDF-1.4"}
    assert names(watched) == ["other.pdf"]
    assert names(watched / "archive") == ["20260305T081002-cr.hpr", "20260305T081002-lettre 1.pdf"]


async def test_a_companion_named_by_two_messages_goes_with_both(
    tmp_path: Path, watched: Path, inbox: MemoryInbox, services: PlainServices
) -> None:
    (watched / "a.hpr").write_bytes(FIC % b"l.pdf")
    (watched / "b.hpr").write_bytes(FIC % b"l.pdf" + b"L|1\r")
    (watched / "l.pdf").write_bytes(b"%PDF")
    async with Bench(companions=["*.pdf"]).running(tmp_path, inbox, services):
        await looks(services)
    assert [dict(message.siblings) for message in inbox.messages] == [{"l.pdf": b"%PDF"}] * 2


async def test_a_message_waits_for_its_companion(
    tmp_path: Path, watched: Path, inbox: MemoryInbox, services: PlainServices
) -> None:
    (watched / "cr.hpr").write_bytes(FIC % b"late.pdf")
    async with Bench(companions=["*.pdf"], companion_wait=60).running(tmp_path, inbox, services):
        await looks(services, 5)
        assert inbox.submitted == 0
        assert services.health.figures["waiting"] == 1
        (watched / "late.pdf").write_bytes(b"%PDF")
        await services.tick()
        assert inbox.submitted == 0, "the companion has not settled"
        await services.tick(2)
    assert dict(inbox.messages[0].siblings) == {"late.pdf": b"%PDF"}
    assert services.codes() == []


async def test_a_companion_that_never_comes_is_said(
    tmp_path: Path, watched: Path, inbox: MemoryInbox, services: PlainServices
) -> None:
    (watched / "cr.hpr").write_bytes(FIC % b"TESTROSE.pdf")
    async with Bench(companions=["*.pdf"], companion_wait=60).running(tmp_path, inbox, services):
        await looks(services)
        await services.tick(60)
    assert inbox.messages[0].siblings == {}
    assert services.codes() == ["directory.companion.missing"]
    assert "TESTROSE" not in repr(services.findings)


async def test_the_companion_of_a_large_file(
    tmp_path: Path, watched: Path, inbox: MemoryInbox, services: PlainServices
) -> None:
    content = b"x" * 100_000 + b"\r" + FIC % b"dir/l.pdf"
    (watched / "cr.hpr").write_bytes(content)
    (watched / "l.pdf").write_bytes(b"%PDF")
    async with Bench(companions=["*.pdf"]).running(tmp_path, inbox, services):
        await looks(services)
    assert inbox.contents == [content]
    assert dict(inbox.messages[0].siblings) == {"l.pdf": b"%PDF"}


# Crashes, and other readers


async def test_what_a_crash_left_in_work_is_submitted_again(
    tmp_path: Path, watched: Path, inbox: MemoryInbox, services: PlainServices
) -> None:
    (watched / WORK).mkdir()
    (watched / WORK / "left.hpr").write_bytes(b"left")
    async with Bench().running(tmp_path, inbox, services):
        await services.tick()
    assert inbox.contents == [b"left"]
    assert names(watched / WORK) == []
    assert names(watched / "archive") == ["20260305T081000-left.hpr"]


async def test_a_crash_between_commit_and_archive_is_recognised(
    tmp_path: Path, watched: Path, inbox: MemoryInbox, services: PlainServices
) -> None:
    await inbox.submit(Inbound(content=b"left", received_at=services.now(), control_id="left.hpr"))
    (watched / WORK).mkdir()
    (watched / WORK / "left.hpr").write_bytes(b"left")
    async with Bench().running(tmp_path, inbox, services):
        await services.tick()
    assert inbox.contents == [b"left"]
    assert services.health.figures["duplicates"] == 1
    assert names(watched / "archive") == ["20260305T081000-left.hpr"]


async def test_a_file_of_the_same_name_waits_for_the_one_in_work(
    tmp_path: Path, watched: Path, inbox: MemoryInbox, services: PlainServices
) -> None:
    async with Bench().running(tmp_path, inbox, services):
        inbox.refuse(3)
        (watched / "a.hpr").write_bytes(b"first")
        await looks(services)
        (watched / "a.hpr").write_bytes(b"second")
        await looks(services)
        assert names(watched / WORK) == names(watched) == ["a.hpr"]
        assert inbox.contents == []
        await looks(services)
    assert inbox.contents == [b"first", b"second"]


async def test_a_second_reader_stands_by(
    tmp_path: Path, watched: Path, inbox: MemoryInbox, services: PlainServices
) -> None:
    other = plain_services()
    async with (
        Bench().running(tmp_path, inbox, services) as first,
        Bench().running(tmp_path, inbox, other),
    ):
        assert other.health.state == "standby"
        (watched / "a.hpr").write_bytes(b"a")
        await looks(other)
        assert inbox.submitted == 0
        first.services.stopping.set()
        await first.task
        await looks(other)
        assert other.health.state == "watching"
    assert inbox.contents == [b"a"]


# Trouble


async def test_a_folder_that_is_not_there_yet(tmp_path: Path, inbox: MemoryInbox, services: PlainServices) -> None:
    folder = tmp_path / "later"
    async with Bench(folder=folder).running(tmp_path, inbox, services):
        assert services.health.state == "degraded"
        await looks(services)
        assert services.codes() == ["directory.folder.unusable"]
        folder.mkdir()
        (folder / "a.hpr").write_bytes(b"a")
        await looks(services)
        assert services.health.state == "watching"
        shutil.rmtree(folder)
        await services.tick()
        assert services.health.state == "degraded"
        folder.mkdir()
        (folder / "b.hpr").write_bytes(b"b")
        await looks(services)
        assert services.health.state == "watching"
    assert inbox.contents == [b"a", b"b"]


def failing(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, number: int, when: Callable[[Any], bool]) -> None:
    """Make a file operation fail with this errno for some arguments."""
    genuine = getattr(owner, name)

    def operation(target: Any, *args: Any, **more: Any) -> Any:
        if when(target):
            raise OSError(number, os.strerror(number))
        return genuine(target, *args, **more)

    monkeypatch.setattr(owner, name, operation)


async def test_a_folder_without_permission(
    tmp_path: Path, watched: Path, inbox: MemoryInbox, services: PlainServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    (watched / "a.hpr").write_bytes(b"a")
    async with Bench().running(tmp_path, inbox, services):
        with monkeypatch.context() as patch:
            failing(patch, os, "scandir", errno.EACCES, lambda target: Path(target) == watched)
            await looks(services)
            assert services.health.state == "degraded"
            assert "Permission denied" in services.health.detail
        await looks(services)
    assert inbox.contents == [b"a"]


async def test_a_file_that_cannot_be_read_blocks_no_other(
    tmp_path: Path, watched: Path, inbox: MemoryInbox, services: PlainServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    (watched / "a-TESTROSE.hpr").write_bytes(b"a")
    (watched / "b.hpr").write_bytes(b"b")
    async with Bench().running(tmp_path, inbox, services):
        with monkeypatch.context() as patch:
            failing(patch, os, "open", errno.EACCES, lambda target: Path(target).name == "a-TESTROSE.hpr")
            await looks(services, 3)
            assert inbox.contents == [b"b"]
            assert services.health.state == "degraded"
            assert services.codes() == ["directory.file.unreadable"]
        await services.tick()
    assert inbox.contents == [b"b", b"a"]
    assert "TESTROSE" not in f"{services.findings} {services.health}"


async def test_an_archive_that_cannot_be_written_doubles_nothing(
    tmp_path: Path, watched: Path, inbox: MemoryInbox, services: PlainServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    (watched / "a.hpr").write_bytes(b"a")
    async with Bench().running(tmp_path, inbox, services):
        with monkeypatch.context() as patch:
            failing(patch, os, "open", errno.ENOSPC, lambda target: Path(target).parent.name == "archive")
            await looks(services, 4)
            assert inbox.submitted == 1
            assert names(watched / WORK) == ["a.hpr"]
            assert services.health.state == "degraded"
        await services.tick()
    assert inbox.submitted == 1
    assert names(watched / WORK) == []
    assert len(names(watched / "archive")) == 1


async def test_an_archive_on_another_file_system(
    tmp_path: Path, watched: Path, inbox: MemoryInbox, services: PlainServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    (watched / "a.hpr").write_bytes(b"a")
    failing(monkeypatch, Path, "replace", errno.EXDEV, lambda target: True)
    async with Bench(archive=tmp_path / "far").running(tmp_path, inbox, services):
        await looks(services)
    assert names(watched / WORK) == []
    (archived,) = (tmp_path / "far").iterdir()
    assert archived.read_bytes() == b"a"


async def test_a_file_written_to_after_it_was_picked_up_waits(
    tmp_path: Path, watched: Path, inbox: MemoryInbox, services: PlainServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = watched / "a.hpr"
    file.write_bytes(b"first half")
    rename = Path.rename

    def rename_and_write(self: Path, target: Path) -> Path:
        if self.name == "a.hpr" and self.parent == watched:
            with self.open("ab") as late:
                late.write(b", second half")
        return rename(self, target)

    async with Bench().running(tmp_path, inbox, services):
        with monkeypatch.context() as patch:
            patch.setattr(Path, "rename", rename_and_write)
            await looks(services)
            assert inbox.submitted == 0
            assert names(watched) == ["a.hpr"]
        await looks(services)
    assert inbox.contents == [b"first half, second half"]


async def test_an_inbox_that_is_full_is_not_hammered(
    tmp_path: Path, watched: Path, inbox: MemoryInbox, services: PlainServices
) -> None:
    for number in range(100):
        (watched / f"{number:03d}.hpr").write_bytes(str(number).encode())
    async with Bench().running(tmp_path, inbox, services):
        inbox.refuse(32)
        await services.tick(2)
        assert inbox.submitted == 32
        assert services.health.state == "degraded"
        assert "storage full" in services.health.detail
        await services.tick(2)
    assert len(inbox.contents) == 100
    assert names(watched / WORK) == []


async def test_thousands_of_files(tmp_path: Path, watched: Path, inbox: MemoryInbox, services: PlainServices) -> None:
    for number in range(1_000):
        (watched / f"{number:05d}.hpr").write_bytes(b"%d" % number)
    async with Bench(settle_seconds=0, after="delete").running(tmp_path, inbox, services):
        await services.tick()
        await services.tick()
    assert len(inbox.contents) == 1_000
    assert names(watched) == []


def test_the_three_folders_differ(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="three different folders"):
        DirectorySourceSettings(folder=tmp_path, archive=Path("x"), error=Path("x"))
