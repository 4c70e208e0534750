"""A third party's connector, installed from its own package and held to the same rules as ours."""

from __future__ import annotations

import errno
import importlib
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from conformance import Attempt, DestinationConformance, Peer, Running, SourceConformance

from connectors.contracts import Connector, Parcel

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "examples" / "passerelle-fanion"

SEEN_FROM_OUTSIDE = """
import asyncio, json, sys
from pathlib import Path
from connectors.registry import connectors
from connectors.contracts import Delivered, Parcel
from connectors.testing import plain_services

connector = connectors()["fanion"]

async def main() -> None:
    settings = connector.destination_settings(file=Path(sys.argv[1]))
    destination = connector.make_destination("journal", settings, plain_services())
    outcome = await destination.send(Parcel(1, "D1", b"FICTIVE", "text/plain", "d1.txt", 1))
    print(json.dumps({
        "module": sys.modules[type(destination).__module__].__file__,
        "names": list(connectors()),
        "delivered": isinstance(outcome, Delivered),
    }))

asyncio.run(main())
"""


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("site")
    pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-index"]
    where = ["--no-deps", "--no-build-isolation", "--target", str(target), str(PACKAGE)]
    subprocess.run([sys.executable, *pip, *where], check=True, cwd=target, timeout=100)
    return target


def test_it_is_found_through_its_entry_point(installed: Path, tmp_path: Path) -> None:
    written = tmp_path / "out.jsonl"
    ran = subprocess.run(
        [sys.executable, "-c", SEEN_FROM_OUTSIDE, str(written)],
        check=True,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(installed)},
        timeout=60,
    )
    seen = json.loads(ran.stdout)
    assert Path(seen["module"]).is_relative_to(installed)
    assert {"fanion", "mllp", "directory", "http", "fhir"} <= set(seen["names"])
    assert seen["delivered"] is True
    assert json.loads(written.read_bytes())["identity"] == "D1"


def test_it_leaves_nothing_in_the_project(installed: Path) -> None:
    assert not [path.name for path in PACKAGE.iterdir() if path.name in ("build", "dist") or path.suffix == ".egg-info"]


@pytest.fixture(scope="module")
def fanion(installed: Path) -> Iterator[Any]:
    """The installed package, imported for the conformance tests and forgotten afterwards."""
    sys.path.insert(0, str(installed))
    yield importlib.import_module("passerelle_fanion")
    sys.path.remove(str(installed))
    for name in [name for name in sys.modules if name.startswith("passerelle_fanion")]:
        del sys.modules[name]


@pytest.fixture
def connector(fanion: Any) -> Connector:
    found: Connector = fanion.CONNECTOR
    return found


class Lines:
    """What both sides of the example speak."""

    @pytest.fixture(autouse=True)
    def use(self, connector: Connector, fanion: Any) -> None:
        type(self).connector = connector  # type: ignore[attr-defined]  # each side's own class has it
        self.codec = importlib.import_module("passerelle_fanion.codec")


class TestSource(Lines, SourceConformance):
    spools = False

    def settings(self, folder: Path) -> dict[str, Any]:
        return {"file": folder / "in.jsonl"}

    def content(self, number: int, size: int = 0) -> bytes:
        return f"{number} TESTROSE ".encode() + b"x" * size

    async def deliver(self, running: Running, content: bytes) -> bool:
        parcel = Parcel(1, str(hash(content)), content, "text/plain", "m.txt", 1)
        half = running.folder / "in.jsonl.part"
        half.write_bytes(self.codec.write_line(parcel))
        half.rename(running.folder / "in.jsonl")
        return await self.again(running, content)

    async def again(self, running: Running, content: bytes) -> bool:
        await running.services.tick()
        return not (running.folder / "in.jsonl.taken").exists()

    async def test_a_line_that_is_none_is_kept_as_rejected(self, source: Running) -> None:
        (source.folder / "in.jsonl").write_bytes(b'{"identity": "TESTROSE"}\nnot json\n')
        await source.services.tick()
        assert [message.refusal is not None for message in source.inbox.messages] == [True, True]
        assert source.inbox.contents == [b'{"identity": "TESTROSE"}', b"not json"]
        self.assert_discreet(source.services)


class FilePeer:
    def __init__(self, file: Path, codec: Any, patch: pytest.MonkeyPatch) -> None:
        self.file = file
        self.settings: dict[str, Any] = {"file": file}
        self._codec = codec
        self._patch = patch

    @property
    def received(self) -> list[Attempt]:
        if not self.file.exists():
            return []
        lines = [self._codec.read_line(line) for line in self.file.read_bytes().splitlines()]
        return [Attempt(line.content, line.identity) for line in lines]

    def behave(self, how: str) -> None:
        self._patch.undo()
        number = {"refuse": errno.EFBIG, "later": errno.ENOSPC}.get(how)
        if number is not None:

            def fail(descriptor: int) -> None:
                raise OSError(number, os.strerror(number))

            self._patch.setattr(os, "fsync", fail)


class TestDestination(Lines, DestinationConformance):
    says_acknowledged = False

    def content(self, number: int) -> bytes:
        return f"TESTROSE {number}".encode()

    def peer(self, folder: Path) -> AbstractAsyncContextManager[Peer]:
        @asynccontextmanager
        async def opened() -> AsyncIterator[Peer]:
            with pytest.MonkeyPatch.context() as patch:
                yield FilePeer(folder / "out.jsonl", self.codec, patch)

        return opened()

    def absent(self, folder: Path) -> dict[str, Any]:
        return {"file": folder / "nowhere" / "out.jsonl"}
