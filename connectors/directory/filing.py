"""Moving files without ever writing over another, and reading them without being fooled by a link. Blocking."""

from __future__ import annotations

import errno
import os
import shutil
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from connectors.directory.codec import with_suffix
from connectors.spool import open_new, sync_folder

READ_FLAGS = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
"""Not through a link, and without waiting for the other end of a pipe that stands where a file should."""


@dataclass(frozen=True, slots=True)
class Signature:
    """What changes when somebody still writes to a file: its size in bytes and its date."""

    size: int
    modified_ns: int

    @classmethod
    def of(cls, status: os.stat_result) -> Signature:
        """Take it from a stat result."""
        return cls(status.st_size, status.st_mtime_ns)


class ChangedWhileRead(OSError):
    """Somebody was still writing to the file."""


def read_whole(path: Path, limit: int | None = None) -> bytes:
    """Read a regular file (its first `limit` bytes), not through a link; raises ChangedWhileRead when it moved."""
    descriptor = os.open(path, READ_FLAGS)
    with os.fdopen(descriptor, "rb") as file:
        before = os.fstat(file.fileno())
        if not stat.S_ISREG(before.st_mode):
            raise OSError(errno.EINVAL, "not a regular file")
        content = file.read() if limit is None else file.read(limit)
        if Signature.of(before) != Signature.of(os.fstat(file.fileno())):
            raise ChangedWhileRead(errno.EBUSY, "the file changed while it was read")
    return content


def copy_to_new(source: Path, target: Path) -> None:
    """Copy a file to a name that must be free, and sync it; nothing is left behind when that fails."""
    descriptor = os.open(source, READ_FLAGS)
    try:
        with os.fdopen(descriptor, "rb") as reader, open_new(target) as writer:
            before = os.fstat(reader.fileno())
            shutil.copyfileobj(reader, writer, 1024 * 1024)
            writer.flush()
            os.fsync(writer.fileno())
            if Signature.of(before) != Signature.of(os.fstat(reader.fileno())):
                raise ChangedWhileRead(errno.EBUSY, "the file changed while it was read")
    except OSError as failure:
        if failure.errno != errno.EEXIST:
            target.unlink(missing_ok=True)
        raise


def move_in(source: Path, folder: Path, name: str) -> Path:
    """Move a file into a folder under `name`, or `name-2`, `name-3`… when taken; across file systems too.

    The name is reserved by an empty file first, so that two movers cannot choose the same one.
    """
    for attempt in range(1, 10_000):
        target = folder / (name if attempt == 1 else with_suffix(name, str(attempt)))
        try:
            open_new(target).close()
        except FileExistsError:
            continue
        try:
            _replace(source, target)
        except BaseException:
            with suppress(OSError):
                target.unlink()
            raise
        return target
    raise FileExistsError(errno.EEXIST, "too many files of this name")


def publish(content: bytes, temporary: Path, target: Path, mode: int) -> None:
    """Write a file so that `target` is whole or absent, and durable; raises FileExistsError when it is taken."""
    temporary.unlink(missing_ok=True)
    try:
        with open_new(temporary, mode) as writer:
            os.fchmod(writer.fileno(), mode)
            writer.write(content)
            writer.flush()
            os.fsync(writer.fileno())
        _rename_to_free(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(target.parent)


def _rename_to_free(source: Path, target: Path) -> None:
    """Give a file its final name, unless that name is taken."""
    try:
        os.link(source, target)
    except OSError as failure:
        if failure.errno not in (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK):
            raise
        # A file system without hard links (FAT, some network shares): look, then rename. Only this destination
        # writes these names, so that nobody comes in between.
        if os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, "the name is taken") from None
        source.rename(target)


def _replace(source: Path, target: Path) -> None:
    try:
        source.replace(target)
    except OSError as failure:
        if failure.errno != errno.EXDEV:
            raise
        shutil.copyfile(source, target)
        with target.open("rb") as copied:
            os.fsync(copied.fileno())
        source.unlink()
