"""Refreshing and looking up: what is due, what has not changed, what stays when something is wrong, the API besides."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from concurrent.futures.process import BrokenProcessPool
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from connectors.annuaire.building import locked
from connectors.annuaire.settings import AnnuaireSettings
from connectors.sandbox.annuaire import KEY, AnnuaireSandbox, Mood, SandboxProfessional
from connectors.sandbox.extracts import mailbox_lines
from router.directory.refreshing import refresh
from router.directory.service import DirectoryService
from router.directory.state import Telling, load_progress, load_state
from schemas.finding import Finding

SHY = SandboxProfessional("99912345679", "TESTAUT", "DISCRETE", "discrete@medecin.mssante.invalid", red=True)
LIST = (
    b'<ListeBlancheMSSante xmlns="https://listeblanche.mssante.fr/schema"><DateDeGeneration>2026-01-01T00:00:00Z'
    b"</DateDeGeneration><ListeDomaines><Domaine><Nom>test.mssante.invalid</Nom><DNCertificatOperateur>CN=a"
    b"</DNCertificatOperateur></Domaine></ListeDomaines></ListeBlancheMSSante>"
)


def extract(count: int) -> bytes:
    return "".join(line + "\n" for line in mailbox_lines(count)).encode()


class Bench:
    """A service with its clock and its notices."""

    def __init__(self, data: Path, sandbox: AnnuaireSandbox | None = None, **settings: Any) -> None:
        if sandbox is not None:
            settings |= {"url": sandbox.url, "api_key": KEY}
        self.time = datetime.now(UTC)
        self.notices: list[Finding] = []
        self.service = DirectoryService(
            AnnuaireSettings.model_validate(settings),
            data,
            now=lambda: self.time,
            report=self.notices.append,
            apart=False,
        )


@pytest.fixture
async def sandbox() -> AsyncIterator[AnnuaireSandbox]:
    async with AnnuaireSandbox([SHY]) as running:
        yield running


async def test_it_is_refreshed_when_it_is_due_and_not_again_before(sandbox: AnnuaireSandbox, tmp_path: Path) -> None:
    url = sandbox.serve("bal.txt", extract(50))
    bench = Bench(tmp_path, files=[url], white_list=sandbox.serve("liste.xml", LIST), refresh_hours=6)
    await bench.service.refresh_if_due()
    status = bench.service.status()
    assert status.report is not None
    assert status.report["mailboxes"] == 48
    assert status.white_list is not None
    assert (status.white_list.allowed("test.mssante.invalid"), bench.notices) == (True, [])
    assert [path.name for path in bench.service.folder.iterdir() if path.name.startswith("fetched")] == []
    asked = len(sandbox.calls)
    await bench.service.refresh_if_due()
    assert len(sandbox.calls) == asked
    # Due again: the server says that it has not changed, and nothing is indexed anew.
    bench.time += timedelta(hours=7)
    await bench.service.refresh_if_due()
    assert bench.service.status().report == status.report
    assert len(sandbox.calls) == asked + 2
    sandbox.serve("bal.txt", extract(60))
    bench.time += timedelta(hours=7)
    await bench.service.refresh_if_due()
    assert [one.code for one in bench.notices] == ["annuaire.moved"]
    await bench.service.close()


async def test_what_is_wrong_is_an_alarm_and_the_last_good_stays(sandbox: AnnuaireSandbox, tmp_path: Path) -> None:
    url, listed = sandbox.serve("bal.txt", extract(50)), sandbox.serve("liste.xml", LIST)
    bench = Bench(tmp_path, files=[url], white_list=listed)
    await bench.service.refresh()
    sandbox.serve("bal.txt", b"<html>maintenance</html>\n")
    sandbox.serve("liste.xml", LIST[:-30])
    await bench.service.refresh()
    assert [one.code for one in bench.notices] == ["annuaire.nothing", "white_list.not_xml"]
    assert all("last good stays" in one.message for one in bench.notices)
    status = bench.service.status()
    assert (status.state.index.code, status.state.white_list.code) == ("annuaire.nothing", "white_list.not_xml")
    assert status.report is not None
    assert status.white_list is not None
    # A refresh that came to nothing is tried again in an hour, not in a minute.
    asked = len(sandbox.calls)
    await bench.service.refresh_if_due()
    assert len(sandbox.calls) == asked
    del sandbox.files["bal.txt"]
    sandbox.serve("liste.xml", LIST)
    bench.time += timedelta(hours=2)
    await bench.service.refresh_if_due()
    status = bench.service.status()
    assert (status.state.index.code, status.state.white_list.code) == ("annuaire.download", "")
    await bench.service.close()


async def test_a_truncated_extraction_is_not_taken_unless_forced(sandbox: AnnuaireSandbox, tmp_path: Path) -> None:
    url = sandbox.serve("bal.txt", extract(50))
    bench = Bench(tmp_path, files=[url])
    await bench.service.refresh()
    sandbox.serve("bal.txt", extract(10))
    await bench.service.refresh()
    assert [one.code for one in bench.notices] == ["annuaire.shrunk"]
    done = await bench.service.refresh(force=True)
    assert done is not None
    assert done.report is not None
    assert done.report.mailboxes == 10
    await bench.service.close()


async def test_a_file_that_is_replaced_is_indexed_without_waiting(tmp_path: Path) -> None:
    path = tmp_path / "bal.txt"
    path.write_bytes(extract(20))
    bench = Bench(tmp_path / "data", files=[str(path)])
    await bench.service.refresh_if_due()
    path.write_bytes(extract(30))
    later = bench.time.timestamp() + 60
    os.utime(path, (later, later))
    await bench.service.refresh_if_due()
    report = bench.service.status().report
    assert report is not None
    assert report["texts"][0]["lines"] == 30
    path.unlink()
    bench.time += timedelta(days=2)
    await bench.service.refresh_if_due()
    assert [one.code for one in bench.notices] == ["annuaire.moved", "annuaire.file"]
    await bench.service.close()


async def test_an_import_in_a_process_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "bal.txt"
    path.write_bytes(extract(20))
    settings = AnnuaireSettings(files=(str(path),))
    service = DirectoryService(settings, tmp_path / "data", now=lambda: datetime.now(UTC))
    done = await service.refresh()
    assert done is not None
    assert done.report is not None
    assert service.directory.person("99900000000") is not None
    await service.close()


def test_another_import_under_way_is_said(tmp_path: Path) -> None:
    path = tmp_path / "bal.txt"
    path.write_bytes(extract(20))
    settings = AnnuaireSettings(files=(str(path),))
    with locked(tmp_path):
        done = refresh(settings, tmp_path, now=lambda: datetime.now(UTC))
    assert [one.code for one in done.troubles] == ["annuaire.busy"]
    assert load_state(tmp_path).index.code == "annuaire.busy"


def test_progress_is_told_until_it_is_over_or_was_killed(tmp_path: Path) -> None:
    now = datetime(2030, 1, 1, tzinfo=UTC)
    telling = Telling(tmp_path, lambda: now)
    telling("bal.txt", 50, 200)
    progress = load_progress(tmp_path, now + timedelta(seconds=30))
    assert progress is not None
    assert (progress.doing, progress.percent) == ("bal.txt", 25)
    assert load_progress(tmp_path, now + timedelta(minutes=5)) is None
    telling.close()
    assert load_progress(tmp_path, now) is None


async def test_who_is_not_indexed_is_asked_for_at_the_api_and_kept(sandbox: AnnuaireSandbox, tmp_path: Path) -> None:
    bench = Bench(tmp_path, sandbox)
    looked = await bench.service.person(SHY.rpps)
    assert [box.address for box in looked.found[0].mailboxes] == [SHY.address]
    # What was asked for is found without the API by whoever asks for that very number, and never listed.
    other = Bench(tmp_path)
    known = other.service.directory.person(SHY.rpps)
    assert known is not None
    assert known.mailboxes[0].red
    assert (await other.service.at(SHY.address)).found == ()
    assert (await bench.service.at(SHY.address)).found[0].rpps == SHY.rpps
    sandbox.mood = Mood.HTML
    failed = await bench.service.structure("990000009")
    assert failed.found == ()
    assert failed.trouble is not None
    assert failed.trouble.code == "annuaire.not_json"
    for one in (bench, other):
        await one.service.close()


async def test_a_patients_address_goes_to_no_directory(sandbox: AnnuaireSandbox, tmp_path: Path) -> None:
    bench = Bench(tmp_path, sandbox)
    assert (await bench.service.at("279035121518989@patient.mssante.fr")).found == ()
    assert sandbox.calls == []
    await bench.service.close()


async def test_a_refresh_that_is_due_begins_in_the_background(tmp_path: Path) -> None:
    path = tmp_path / "bal.txt"
    path.write_bytes(extract(20))
    bench = Bench(tmp_path / "data", files=[str(path)])
    await bench.service.begin_if_due()
    async with asyncio.timeout(20):
        while bench.service.status().report is None:
            assert bench.notices == []
            await asyncio.sleep(0.01)
    await bench.service.close()


async def test_an_import_that_is_killed_is_noted_and_not_tried_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "bal.txt"
    path.write_bytes(extract(20))
    os.utime(path, (1, 1))
    bench = Bench(tmp_path / "data", files=[str(path)])

    def killed(*_: object) -> None:
        raise BrokenProcessPool

    monkeypatch.setattr("router.directory.service._refreshed", killed)
    await bench.service.refresh()
    assert [one.code for one in bench.notices] == ["annuaire.killed"]
    await bench.service.refresh_if_due()
    assert len(bench.notices) == 1
    bench.time += timedelta(hours=2)
    await bench.service.begin_if_due()
    await bench.service.close()
