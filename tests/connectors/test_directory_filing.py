from __future__ import annotations

import errno
import io
import os
from pathlib import Path

import pytest

from connectors.directory import filing
from connectors.directory.filing import ChangedWhileRead, Signature, copy_to_new, move_in, read_whole


def appended_to(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let somebody append to the file between the first and the second look at its size."""
    genuine = os.fstat
    looks = 0

    def fstat(descriptor: int) -> os.stat_result:
        nonlocal looks
        looks += 1
        if looks == 2:
            with path.open("ab") as late:
                late.write(b"more")
        return genuine(descriptor)

    monkeypatch.setattr(os, "fstat", fstat)


def test_a_file_that_grows_while_it_is_read_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "a"
    file.write_bytes(b"content")
    assert read_whole(file) == b"content"
    assert read_whole(file, 3) == b"con"
    with monkeypatch.context() as patch:
        appended_to(file, patch)
        with pytest.raises(ChangedWhileRead):
            read_whole(file)


def test_a_file_that_grows_while_it_is_copied_leaves_no_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, copy = tmp_path / "a", tmp_path / "copy"
    file.write_bytes(b"content")
    with monkeypatch.context() as patch:
        appended_to(file, patch)
        with pytest.raises(ChangedWhileRead):
            copy_to_new(file, copy)
    assert not copy.exists()
    copy_to_new(file, copy)
    assert copy.read_bytes() == b"contentmore"
    with pytest.raises(FileExistsError):
        copy_to_new(file, copy)
    assert copy.read_bytes() == b"contentmore"


@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_only_regular_files_are_read(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "it"
    if kind == "link":
        (tmp_path / "target").write_bytes(b"elsewhere")
        path.symlink_to(tmp_path / "target")
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.mkdir()
    with pytest.raises(OSError, match=r"."):
        read_whole(path)


def test_moving_never_covers_and_keeps_the_source_when_it_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = tmp_path / "archive"
    archive.mkdir()
    for number in range(3):
        (tmp_path / "a.hpr").write_bytes(b"%d" % number)
        move_in(tmp_path / "a.hpr", archive, "a.hpr")
    assert {path.name: path.read_bytes() for path in archive.iterdir()} == {
        "a.hpr": b"0",
        "a-2.hpr": b"1",
        "a-3.hpr": b"2",
    }

    def forbidden(self: Path, target: Path) -> Path:
        raise OSError(errno.EACCES, os.strerror(errno.EACCES))

    (tmp_path / "a.hpr").write_bytes(b"kept")
    monkeypatch.setattr(Path, "replace", forbidden)
    with pytest.raises(PermissionError):
        move_in(tmp_path / "a.hpr", archive, "a.hpr")
    assert (tmp_path / "a.hpr").read_bytes() == b"kept"
    assert len(list(archive.iterdir())) == 3


def test_a_file_is_published_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(io.BytesIO):
        def fileno(self) -> int:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    temporary, target = tmp_path / ".t", tmp_path / "t"
    with monkeypatch.context() as patch:
        patch.setattr(filing, "open_new", lambda path, mode: Full())
        with pytest.raises(OSError, match="space"):
            filing.publish(b"content", temporary, target, 0o640)
    assert list(tmp_path.iterdir()) == []
    temporary.write_bytes(b"what a crash left")
    filing.publish(b"content", temporary, target, 0o640)
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("t", b"content")]
    with pytest.raises(FileExistsError):
        filing.publish(b"other", temporary, target, 0o640)
    assert target.read_bytes() == b"content"
    assert Signature.of(target.stat()).size == 7
