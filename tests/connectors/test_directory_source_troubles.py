"""A watched folder after a crash, beside another reader, and where the disk or the inbox refuses."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from directory_bench import Bench, looks, names

from connectors.contracts import Inbound
from connectors.directory.folder import WORK
from connectors.testing import MemoryInbox, PlainServices, plain_services

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
