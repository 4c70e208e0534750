"""Applying versions of the configuration that somebody wants: from the dashboard, the command line, or by SIGHUP.

What is wanted stands in the journal (`router.config.versions`). Here it is checked once more, brought into use, and
only then written in the place of the file; whoever asked reads in the journal what became of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from router.config.changes import Changes
from router.config.load import ConfigurationFault, Loaded, load_text
from router.config.versions import (
    Version,
    VersionOrigin,
    VersionState,
    begin_version,
    digest_of,
    first_version,
    running_version,
    settle_at_start,
    settle_version,
    text_of,
    versions,
    want_version,
)
from router.config.writing import FileChanged, StagedFile, read_text, tidy
from router.engine.clock import micros
from router.engine.reconfiguring import CannotApply
from router.journal.operations import Operation, apply_at_once
from router.journal.store import JournalFault, Store

R = TypeVar("R")

RESTART = "restart: "
"""Begins the detail of an applied version of which sections wait for the next start; their names follow."""


class _Failed(Exception):
    """The version cannot be applied: one sentence."""


class Applying:
    """Applies what is wanted, one after the other. `reconfigure` exchanges the configuration that runs."""

    def __init__(
        self,
        path: Path,
        store: Store,
        submit: Callable[[Operation[R]], Awaitable[R]],
        reconfigure: Callable[[Loaded], Awaitable[Changes]],
        running: Callable[[], Loaded],
        now: Callable[[], datetime],
        trouble: Callable[[str], None],
        *,
        shared: bool = False,
    ) -> None:
        """`shared`: other nodes apply versions too, and each brings in what another one applied."""
        self._shared = shared
        self._digest = ""
        self.running: int | None = None
        self._path = path
        self._store = store
        self._submit: Callable[[Operation[object]], Awaitable[object]] = submit  # type: ignore[assignment]  # generic
        self._reconfigure = reconfigure
        self._running = running
        self._now = now
        self._trouble = trouble
        self._asked = asyncio.Event()
        self._file_asked = False
        self._at_rest = asyncio.Lock()
        self._seen: tuple[int, int] | None = None
        self.waits_for_start: tuple[str, ...] = ()
        self.file_differs = False

    async def begin(self) -> None:
        """Note what the router starts with; a router that was made without a file has no versions."""
        if not await asyncio.to_thread(self._path.is_file):
            return
        await asyncio.to_thread(tidy, self._path)
        text = await asyncio.to_thread(read_text, self._path)
        # What runs, not what this node's file says: where they differ, the page of the configuration tells.
        self._digest = self._running().digest or digest_of(text)
        if self._shared:
            await self._submit(first_version(text, now=micros(self._now())))
            return
        await self._submit(settle_at_start(text, now=micros(self._now())))

    def look(self) -> None:
        """Look soon whether something is wanted."""
        self._asked.set()

    def read_file_again(self) -> None:
        """Want the file as it is on disk now, as SIGHUP asks; at once, or once the router has started."""
        self._file_asked = True
        self._asked.set()

    async def _want_file(self) -> None:
        try:
            text = await asyncio.to_thread(read_text, self._path)
        except (OSError, UnicodeDecodeError) as problem:
            self._trouble(f"{self._path.name} cannot be read ({type(problem).__name__}); what runs goes on")
            return
        now = micros(self._now())
        await self._submit(
            want_version(text, digest_of(text), origin=VersionOrigin.SIGNAL, comment="", actor="", now=now)
        )

    async def run(self) -> None:
        """Apply for ever."""
        while True:
            await self._asked.wait()
            self._asked.clear()
            try:
                if self._file_asked:
                    self._file_asked = False
                    await self._want_file()
                wanted = await asyncio.to_thread(self._wanted)
                for version in wanted:
                    await self._apply(version)
                if self._shared:
                    await self._follow()
                await asyncio.to_thread(self._look_at_file)
            except JournalFault as fault:
                self._trouble(str(fault))

    async def close(self) -> None:
        """Wait until what is being applied is settled; nothing more is begun."""
        await self._at_rest.acquire()

    def _wanted(self) -> list[Version]:
        with self._store.reading() as connection:
            return versions(connection, states=[VersionState.WANTED])[::-1]

    async def _apply(self, version: Version) -> None:
        async with self._at_rest:
            if not await self._submit(begin_version(version.id)):
                return
            try:
                detail = await self._bring_in(version)
            except _Failed as failed:
                self._trouble(f"configuration {version.id} was not applied: {failed}")
                settled = settle_version(version.id, VersionState.FAILED, now=micros(self._now()), detail=str(failed))
            else:
                settled = settle_version(version.id, VersionState.APPLIED, now=micros(self._now()), detail=detail)
            await self._submit(settled)
            self._seen = None

    async def _follow(self) -> None:
        """Bring in what another node applied: the journal's newest version is every node's."""
        version = await asyncio.to_thread(self._newest)
        if version is None or version.id == self.running:
            return
        async with self._at_rest:
            former = self._digest
            self.running = version.id  # whatever comes of it: what cannot be brought in is told once
            if version.digest == former:
                return
            text = await asyncio.to_thread(self._text, version.id)
            try:
                loaded = await asyncio.to_thread(load_text, text, self._path)
                changes = await self._reconfigure(loaded)
            except (ConfigurationFault, CannotApply) as fault:
                said = " ".join(str(fault).split())
                self._trouble(f"configuration {version.id}, which another node applied, cannot run here: {said}")
                return
            self._digest, self.waits_for_start = version.digest, changes.at_start
            await asyncio.to_thread(self._keep_file, text, former)
            self._seen = None

    def _keep_file(self, text: str, former: str) -> None:
        """Write the file too, unless somebody changed it since or it is not to be written: the journal has the text."""
        try:
            if digest_of(read_text(self._path)) == former:
                StagedFile(self._path, text).commit(former)
        except (OSError, UnicodeDecodeError, FileChanged) as problem:
            self._trouble(f"{self._path.name} could not be brought up to what runs ({type(problem).__name__})")

    def _newest(self) -> Version | None:
        with self._store.reading() as connection:
            return running_version(connection)

    async def _bring_in(self, version: Version) -> str:
        text = await asyncio.to_thread(self._text, version.id)
        former = self._running()
        try:
            loaded = await asyncio.to_thread(load_text, text, self._path)
            on_disk = await asyncio.to_thread(read_text, self._path)
        except ConfigurationFault as fault:
            raise _Failed("\n".join(fault.problems)) from None
        except (OSError, UnicodeDecodeError) as problem:
            raise _Failed(f"{self._path.name} cannot be read ({type(problem).__name__})") from None
        staged: StagedFile | None = None
        if on_disk != text:
            if digest_of(on_disk) != version.base:
                raise _Failed(str(FileChanged(self._path)))
            try:
                staged = await asyncio.to_thread(StagedFile, self._path, text)
            except OSError as problem:
                raise _Failed(f"{self._path.name} cannot be written ({problem.strerror or 'refused'})") from None
        try:
            changes = await self._reconfigure(loaded)
        except CannotApply as fault:
            if staged is not None:
                await asyncio.to_thread(staged.discard)
            raise _Failed(str(fault)) from None
        if staged is not None:
            try:
                await asyncio.to_thread(staged.commit, version.base)
            except (OSError, FileChanged) as problem:
                await self._reconfigure(former)
                said = str(problem) if isinstance(problem, FileChanged) else "the file cannot be written"
                raise _Failed(said) from None
        self.waits_for_start = changes.at_start
        self._digest, self.running = version.digest, version.id
        return RESTART + " ".join(changes.at_start) if changes.at_start else ""

    def _text(self, number: int) -> str:
        with self._store.reading() as connection:
            return text_of(connection, self._store.sealer.clone(), number)

    def _look_at_file(self) -> None:
        """See whether somebody changed the file without applying it; its text is read only when it is another one."""
        try:
            status = self._path.stat()
            seen = (status.st_mtime_ns, status.st_size)
            if seen == self._seen:
                return
            found = digest_of(read_text(self._path))
        except (OSError, UnicodeDecodeError):
            return  # there is no file to compare with: what runs goes on, and `check` says what is wrong
        with self._store.reading() as connection:
            running = running_version(connection)
        self.file_differs = running is not None and running.digest != found
        self._seen = seen


def shared_configuration(store: Store, loaded: Loaded, now: int) -> Loaded:
    """Give the configuration that the nodes of a cluster run with: what was applied last, whatever this node's file is.

    The first node of all has its file's, and so has the first one after the router was alone. Raises
    ConfigurationFault, or JournalFault.
    """
    form = loaded.configuration.observe.log_format
    with store.reading() as connection:
        version = running_version(connection)
        text = "" if version is None else text_of(connection, store.sealer.clone(), version.id)
    if version is not None:
        running = load_text(text, loaded.path)
        if running.configuration.cluster is not None:
            return running.logging_as(form)
    own = read_text(loaded.path)
    apply_at_once(store, first_version(own, now=now, instead=None if version is None else version.id))
    return load_text(own, loaded.path).logging_as(form)
