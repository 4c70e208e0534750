from __future__ import annotations

import errno
import os
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from conformance import Attempt, DestinationConformance, Peer
from pydantic import ValidationError

from connectors.contracts import Delivered, Outcome, Parcel, Refused, Retry
from connectors.directory import CONNECTOR, filing
from connectors.directory.destination import DirectoryDestination
from connectors.directory.settings import DirectoryDestinationSettings
from connectors.testing import PlainServices


def parcel(number: int = 1, content: bytes = b"H|TESTROSE", **more: Any) -> Parcel:
    values: dict[str, Any] = {
        "delivery_id": number,
        "identity": f"D{number}",
        "content": content,
        "media_type": "text/plain",
        "filename": f"cr-{number}.hpr",
        "attempt": 1,
    }
    return Parcel(**{**values, **more})


class FolderPeer:
    """A partner that reads the folder, or whose folder is in a bad state."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.settings: dict[str, Any] = {"folder": folder}
        self._patch = patch

    @property
    def received(self) -> list[Attempt]:
        return [
            Attempt(path.read_bytes(), path.name)
            for path in sorted(self.folder.iterdir())
            if not path.name.startswith(".")
        ]

    def behave(self, how: str) -> None:
        self._patch.undo()
        number = {"refuse": errno.ENAMETOOLONG, "later": errno.ENOSPC}.get(how)
        if number is not None:
            fail_to_open(self._patch, number)


def fail_to_open(patch: pytest.MonkeyPatch, number: int) -> None:
    def refuse(*args: Any) -> int:
        raise OSError(number, os.strerror(number), "/folder/TESTROSE.hpr")

    patch.setattr(filing, "open_new", refuse)


class TestConformance(DestinationConformance):
    connector = CONNECTOR
    says_acknowledged = False

    def content(self, number: int) -> bytes:
        return f"TESTROSE {number}".encode()

    def peer(self, folder: Path) -> AbstractAsyncContextManager[Peer]:
        @asynccontextmanager
        async def opened() -> AsyncIterator[Peer]:
            (folder / "out").mkdir()
            with pytest.MonkeyPatch.context() as patch:
                yield FolderPeer(folder / "out", patch)

        return opened()

    def absent(self, folder: Path) -> dict[str, Any]:
        return {"folder": folder / "nowhere"}


@pytest.fixture
def out(tmp_path: Path) -> Path:
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


async def send(services: PlainServices, folder: Path, what: Parcel, **settings: Any) -> Outcome:
    destination = DirectoryDestination("gp", DirectoryDestinationSettings(folder=folder, **settings), services)
    outcome = await destination.send(what)
    await destination.close()
    return outcome


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def test_name_bytes_and_permissions(out: Path, services: PlainServices) -> None:
    outcome = await send(services, out, parcel(), file_mode="0600")
    assert isinstance(outcome, Delivered)
    assert names(out) == ["cr-1.hpr"]
    assert (out / "cr-1.hpr").read_bytes() == b"H|TESTROSE"
    assert (out / "cr-1.hpr").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("{filename}", "cr-1.hpr"),
        ("{stem}-{identity}.{extension}", "cr-1-D1.hpr"),
        ("LABO_{delivery_id}.txt", "LABO_1.txt"),
    ],
)
async def test_patterns(out: Path, services: PlainServices, pattern: str, expected: str) -> None:
    await send(services, out, parcel(), filename=pattern)
    assert names(out) == [expected]


@pytest.mark.parametrize("pattern", ["fixed.hpr", "{unknown}", "{filename", "{filename:>9}", "{extension}"])
def test_patterns_that_make_no_sense(pattern: str) -> None:
    with pytest.raises(ValidationError):
        DirectoryDestinationSettings(folder=Path(), filename=pattern)


@pytest.mark.parametrize(
    ("filename", "expected"),
    [
        ("../../etc/passwd", "passwd"),
        ("a/b\\c.hpr", "c.hpr"),
        (".hidden", "hidden"),
        ("é ü\x00\n.hpr", "_.hpr"),
        ("x" * 300 + ".hpr", "x" * 196 + ".hpr"),
        ("..", "D1"),
        ("", "D1"),
    ],
)
async def test_names_are_made_safe(out: Path, services: PlainServices, filename: str, expected: str) -> None:
    await send(services, out, parcel(filename=filename))
    assert names(out) == [expected]


async def test_a_taken_name_is_left_alone(out: Path, services: PlainServices) -> None:
    (out / "cr-1.hpr").write_bytes(b"somebody else's")
    for _ in range(2):
        assert isinstance(await send(services, out, parcel()), Delivered)
    first, second = names(out)
    assert second == "cr-1.hpr"
    assert first.startswith("cr-1-")
    assert first.endswith(".hpr")
    assert (out / "cr-1.hpr").read_bytes() == b"somebody else's"
    assert (out / first).read_bytes() == b"H|TESTROSE"


async def test_every_name_taken(out: Path, services: PlainServices) -> None:
    (out / "cr-1.hpr").write_bytes(b"other")
    await send(services, out, parcel())
    (own,) = (name for name in names(out) if name != "cr-1.hpr")
    (out / own).write_bytes(b"changed by somebody")
    assert isinstance(await send(services, out, parcel()), Retry)


async def test_attachments_are_there_before_the_file(
    out: Path, services: PlainServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    publish = filing.publish

    def watching(content: bytes, temporary: Path, target: Path, mode: int) -> None:
        publish(content, temporary, target, mode)
        order.append(target.name)

    monkeypatch.setattr("connectors.directory.destination.publish", watching)
    outcome = await send(services, out, parcel(attachments={"l.pdf": b"%PDF"}), ready_suffix=".ok")
    assert isinstance(outcome, Delivered)
    assert order == ["l.pdf", "cr-1.hpr", "cr-1.hpr.ok"]
    assert names(out) == ["cr-1.hpr", "cr-1.hpr.ok", "l.pdf"]


async def test_an_attachment_never_covers_another_file(out: Path, services: PlainServices) -> None:
    (out / "l.pdf").write_bytes(b"another letter")
    outcome = await send(services, out, parcel(attachments={"l.pdf": b"%PDF"}))
    assert isinstance(outcome, Retry)
    assert names(out) == ["l.pdf"]
    unsafe = await send(services, out, parcel(attachments={"../l.pdf": b"%PDF"}))
    assert isinstance(unsafe, Refused)


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (errno.ENOSPC, Retry),
        (errno.EDQUOT, Retry),
        (errno.EACCES, Retry),
        (errno.EROFS, Retry),
        (errno.EIO, Retry),
        (errno.ENAMETOOLONG, Refused),
    ],
)
async def test_what_the_file_system_says(
    out: Path, services: PlainServices, monkeypatch: pytest.MonkeyPatch, number: int, expected: type[Outcome]
) -> None:
    fail_to_open(monkeypatch, number)
    outcome = await send(services, out, parcel())
    assert isinstance(outcome, expected)
    assert os.strerror(number) in outcome.detail
    assert "TESTROSE" not in outcome.detail
    assert names(out) == []


async def test_a_failure_half_way_leaves_nothing(
    out: Path, services: PlainServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        assert isinstance(await send(services, out, parcel()), Retry)
    assert names(out) == []
    assert isinstance(await send(services, out, parcel()), Delivered)
    assert names(out) == ["cr-1.hpr"]


@pytest.mark.parametrize("number", [errno.EPERM, errno.ENOTSUP])
async def test_a_file_system_without_links(
    out: Path, services: PlainServices, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def no_links(*args: Any) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "link", no_links)
    for _ in range(2):
        assert isinstance(await send(services, out, parcel()), Delivered)
    assert names(out) == ["cr-1.hpr"]
    assert isinstance(await send(services, out, parcel(content=b"another", identity="D9")), Delivered)
    assert len(names(out)) == 2
