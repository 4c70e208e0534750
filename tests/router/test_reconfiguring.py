"""Another configuration in a running router, under load through real MLLP: nothing is lost, nothing is doubled."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from ports import free_port

from connectors.mllp.simulator import Receiver, Sender
from router.config.changes import changes_between
from router.config.load import load, load_text
from router.config.versions import (
    Version,
    VersionOrigin,
    VersionState,
    digest_of,
    history,
    running_version,
    text_of,
    version_of,
    want_version,
)
from router.engine.engine import Engine
from router.engine.reconfiguring import CannotApply
from router.journal.sealing import make_key_file
from router.journal.store import open_store
from router.journal.unit import Unit


def configuration(
    port: int, receiver: str, *, source: str = "", destination: str = "", more: str = "", workers: int = 0
) -> str:
    return f"""
[journal]
data = "data"
[engine]
workers = {workers}
batch = 8
[web]
listen = "127.0.0.1:0"
[sources.labo]
connector = "mllp"
listen = "127.0.0.1:{port}"
{source}
[destinations.tool]
connector = "mllp"
address = "{receiver}"
{destination}
[[routes]]
name = "all"
to = ["tool"]
unattached = true
{more}"""


def result(number: int) -> bytes:
    lines = (
        f"MSH|^~\\&|LABO|SUD|P|P|20260305081000||ORU^R01^ORU_R01|C{number}|P|2.5|||||FRA|UNICODE UTF-8",
        f"PID|1||IPP{number % 5}^^^FICTIVE^PI||TESTROSE^MARIE^^^^^L||19790305|F",
        f"OBR|1||R{number}|NFS^NFS^L",
        f"OBX|1|NM|HB^Hemoglobine^L||{number}|g/L|||||F",
    )
    return "\r".join(lines).encode() + b"\r"


class Running:
    """A router made of a file, between a laboratory that sends and a tool that receives."""

    def __init__(self, folder: Path, receiver: Receiver) -> None:
        self.path = folder / "passerelle.toml"
        self.receiver = receiver
        self.port = free_port()
        self.sent = 0
        (folder / "data").mkdir()
        make_key_file(folder / "data" / "journal.key")
        self.write()
        self.engine: Engine

    def text(self, **changed: Any) -> str:
        port = changed.pop("port", self.port)
        return configuration(port, self.receiver.address, **changed)

    def write(self, **changed: str) -> None:
        self.path.write_text(self.text(**changed))

    async def start(self) -> None:
        loaded = load(self.path)
        self.engine = Engine(loaded, open_store(loaded.place))
        await self.engine.start()

    async def apply(self, text: str, *, base: str | None = None) -> Version:
        began = digest_of(self.path.read_text()) if base is None else base
        wanted = want_version(text, began, origin=VersionOrigin.DASHBOARD, comment="", actor="test", now=1)
        number = await self.engine.submit(wanted)
        self.engine.wake()
        async with asyncio.timeout(60):
            while not (found := self.version(number)).settled:  # noqa: ASYNC110 - the journal is what is awaited
                await asyncio.sleep(0.02)
        return found

    def version(self, number: int) -> Version:
        with self.engine.store.reading() as connection:
            found = version_of(connection, number)
        assert found is not None
        return found

    async def send(self, number: int) -> None:
        """Send one message as a laboratory does: again and again, until it is acknowledged."""
        while True:
            with contextlib.suppress(OSError):
                async with Sender(f"127.0.0.1:{self.port}") as sender:
                    answer = await sender.send(result(number))
                    if answer is not None and f"MSA|AA|C{number}".encode() in answer:
                        self.sent += 1
                        return
            await asyncio.sleep(0.02)

    def numbers(self) -> list[int]:
        """Which messages arrived, in their order: the number is the value of the result."""
        return [int(re.findall(rb"\|HB\^.*?\|\|(\d+)\|", content)[0]) for content in self.receiver.received]

    def arrived(self) -> Counter[int]:
        return Counter(self.numbers())

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(60):
            while not condition():  # noqa: ASYNC110 - whatever the condition looks at tells nobody
                await asyncio.sleep(0.02)


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Running]:
    async with Receiver() as receiver:
        made = Running(tmp_path, receiver)
        await made.start()
        yield made
        await made.engine.stop()


async def test_changes_under_load_lose_and_double_nothing(running: Running) -> None:
    stop = asyncio.Event()

    async def laboratory(first: int) -> None:
        number = first
        while not stop.is_set():
            await running.send(number)
            number += 3

    loads = [asyncio.create_task(laboratory(first)) for first in range(3)]
    second = '\n[sources.other]\nconnector = "mllp"\nlisten = "127.0.0.1:0"\n'
    changed = [
        running.text(source="max_connections = 20"),  # the source is opened anew
        running.text(destination="answer_timeout = 12.0"),  # the destination is bound anew
        running.text(source="max_connections = 30", more=second),
        running.text(more='sources = ["labo"]'),  # a source goes, the route changes
        running.text(source='charset = "utf-8"', destination="concurrency = 2"),
        running.text(),
    ]
    for text in changed:
        before = running.sent
        version = await running.apply(text)
        assert (version.state, version.detail) == (VersionState.APPLIED, "")
        assert running.path.read_text() == text
        await running.until(lambda before=before: running.sent > before)
    stop.set()
    await asyncio.gather(*loads)
    await running.until(lambda: len(running.arrived()) == running.sent)
    assert all(times == 1 for times in running.arrived().values())
    by_patient: dict[int, list[int]] = {}
    for number in running.numbers():
        by_patient.setdefault(number % 15, []).append(number)
    assert all(numbers == sorted(numbers) for numbers in by_patient.values())


async def test_a_source_that_did_not_change_keeps_its_connections(running: Running) -> None:
    async with Sender(f"127.0.0.1:{running.port}") as sender:
        assert await sender.send(result(1)) is not None
        await running.apply(running.text(destination="answer_timeout = 12.0"))
        answer = await sender.send(result(2))
    assert answer is not None
    await running.until(lambda: len(running.arrived()) == 2)


async def test_what_cannot_be_opened_leaves_all_as_it_was(running: Running) -> None:
    former = running.path.read_text()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        other = f'\n[sources.other]\nconnector = "mllp"\nlisten = "127.0.0.1:{taken.getsockname()[1]}"\n'
        version = await running.apply(running.text(source="max_connections = 20", more=other))
    assert version.state is VersionState.FAILED
    assert "source other cannot be opened" in version.detail
    assert running.path.read_text() == former
    assert sorted(path.name for path in running.path.parent.iterdir()) == ["data", "passerelle.toml"]
    await running.send(1)
    await running.until(lambda: len(running.arrived()) == 1)
    assert [flow.name for flow in running.engine.flows()] == ["labo", "tool"]


async def test_a_folder_that_is_not_there_is_not_taken(running: Running) -> None:
    other = '\n[sources.depot]\nconnector = "directory"\nfolder = "nowhere"\n'
    version = await running.apply(running.text(more=other))
    assert version.state is VersionState.FAILED
    assert "source depot cannot be opened" in version.detail
    assert [flow.name for flow in running.engine.flows()] == ["labo", "tool"]


async def test_a_file_changed_on_disk_meanwhile_is_not_written_over(running: Running) -> None:
    began = digest_of(running.path.read_text())
    running.path.write_text(running.text() + "# by hand\n")
    version = await running.apply(running.text(source="max_connections = 20"), base=began)
    assert version.state is VersionState.FAILED
    assert "changed on disk" in version.detail
    assert running.path.read_text().endswith("# by hand\n")
    await running.until(lambda: running.engine.applying.file_differs)


async def test_a_signal_reads_the_file_again_and_the_former_text_is_kept(running: Running) -> None:
    former = running.path.read_text()
    changed = running.text(source="max_connections = 20")
    running.path.write_text(changed)
    running.engine.applying.read_file_again()
    await running.until(lambda: running.engine.loaded.sources[0].settings.max_connections == 20)  # type: ignore[attr-defined]  # MLLP's
    await running.until(lambda: all(one.settled for one in _history(running)))
    newest, first = _history(running)
    assert (newest.origin, newest.state) == (VersionOrigin.SIGNAL, VersionState.APPLIED)
    with running.engine.store.reading() as connection:
        assert text_of(connection, running.engine.store.sealer, first.id) == former
        found = running_version(connection)
    assert found is not None
    assert found.id == newest.id
    assert (await running.apply(former)).state is VersionState.APPLIED
    assert (running.path.parent / "passerelle.toml.former").read_text() == changed


def _history(running: Running) -> list[Version]:
    with running.engine.store.reading() as connection:
        return history(connection)


async def test_sections_that_are_read_at_the_start_wait_and_say_so(running: Running) -> None:
    text = running.text().replace('listen = "127.0.0.1:0"', 'listen = "127.0.0.1:0"\nreceipt_hours = 3')
    version = await running.apply(text)
    assert (version.state, version.detail) == (VersionState.APPLIED, "restart: web")
    assert running.engine.applying.waits_for_start == ("web",)
    assert running.engine.loaded.configuration.web.receipt_hours == 24


async def test_mistakes_are_told_and_nothing_is_touched(running: Running) -> None:
    version = await running.apply(running.text(source="max_conections = 20"))
    assert version.state is VersionState.FAILED
    assert "line 12, sources.labo.max_conections: there is no such key" in version.detail


async def test_a_package_that_is_named_only_now_needs_a_start(running: Running) -> None:
    running_now = running.engine.loaded
    strict = load_text(running.text(), running.path)
    section = strict.configuration.destinations["tool"].model_copy(update={"validation": "strict"})
    changed = strict.configuration.model_copy(update={"destinations": {"tool": section}})
    other = type(strict)(strict.path, changed, strict.sources, strict.destinations)
    assert changes_between(running_now, strict).at_start == ()
    with pytest.raises(CannotApply, match="read at the start"):
        await running.engine.reconfigure(other)


def test_a_router_killed_while_it_applies_loses_nothing_and_says_what_ran(tmp_path: Path) -> None:
    """Kill at moments from before to after the exchange: the file is the one or the other, whole, and starts."""
    port, receiver = free_port(), f"127.0.0.1:{free_port()}"
    path = tmp_path / "passerelle.toml"
    texts = [configuration(port, receiver, source=f"max_connections = {count}", workers=1) for count in (20, 30)]
    path.write_text(texts[0])
    (tmp_path / "data").mkdir()
    make_key_file(tmp_path / "data" / "journal.key")
    acknowledged = 0
    for turn, delay in enumerate((0.0, 0.15, 0.6)):
        router = _serve(path, tmp_path)
        try:
            for number in range(turn * 5, turn * 5 + 5):
                acknowledged += asyncio.run(_sent_once(port, number))
            other = texts[1] if path.read_text() == texts[0] else texts[0]
            _want(path, other)
            time.sleep(delay)
        finally:
            os.kill(router.pid, signal.SIGKILL)
            router.wait()
        assert path.read_text() in texts
    assert acknowledged == 15
    router = _serve(path, tmp_path)
    os.kill(router.pid, signal.SIGTERM)
    router.wait()
    store = open_store(load(path).place)
    with store.reading() as connection:
        found, ran = history(connection), running_version(connection)
        kept = connection.exec_driver_sql("SELECT count(*) FROM message").scalar()
    store.close()
    assert kept == 15
    assert all(one.settled for one in found)
    assert ran is not None
    assert ran.digest == digest_of(path.read_text())
    assert not list(tmp_path.glob("*.new"))


async def _sent_once(port: int, number: int) -> bool:
    async with Sender(f"127.0.0.1:{port}") as sender:
        answer = await sender.send(result(number))
    return answer is not None and f"MSA|AA|C{number}".encode() in answer


def _serve(path: Path, folder: Path) -> subprocess.Popen[bytes]:
    ready = folder / "ready"
    ready.unlink(missing_ok=True)
    command = [sys.executable, "-m", "router.cli", "serve", "--config", str(path), "--ready-file", str(ready)]
    router = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not ready.exists():
        assert router.poll() is None, "the router stopped"
        assert time.monotonic() < deadline, "the router does not start"
        time.sleep(0.05)
    return router


def _want(path: Path, text: str) -> None:
    store = open_store(load(path).place)
    base = digest_of(path.read_text())
    with store.writing() as connection:
        unit = Unit(connection, store.sealer)
        want_version(text, base, origin=VersionOrigin.COMMAND, comment="", actor="test", now=1).apply(unit)
        unit.flush()
    store.close()
