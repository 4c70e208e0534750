"""What the directory source picks up, in which order, with which companions, and what it refuses."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
from conformance import turns
from directory_bench import Bench, WatchedFolder, looks, names
from pydantic import ValidationError

from connectors.contracts import Inbound, Receipt
from connectors.directory.folder import WORK
from connectors.directory.settings import DirectorySourceSettings
from connectors.testing import MemoryInbox, PlainServices, plain_services
from schemas.finding import Finding, Severity


class TestConformance(WatchedFolder):
    pass


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


# Many files, and settings


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
