"""The directory for the engine, the pages, the API and the command line: refreshed when it is due, looked up, told of.

service = DirectoryService(section, data, now=utc_now, report=notice)
await service.begin_if_due()                 # every minute; an import runs in a process of its own
found = await service.person("10003456780")  # the index, then the API where one is configured
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
from collections.abc import Callable
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from connectors.annuaire.asked import Asked, Kept
from connectors.annuaire.client import AnnuaireClient, Answer, NoAnswer, Reply
from connectors.annuaire.directory import Directory, bare_rpps
from connectors.annuaire.entries import Correspondent
from connectors.annuaire.settings import AnnuaireSettings
from connectors.annuaire.white_list import KeptWhiteList, WhiteList
from mappings.contracts import FormatError
from router.directory.places import directory_folder
from router.directory.refreshing import Refreshed, Trouble, refresh
from router.directory.state import Progress, State, load_progress, load_state, save_state
from router.following import follow
from schemas.finding import Finding, Severity
from schemas.mailboxes import is_patient_address

AGAIN = timedelta(hours=1)
"""When a refresh that came to nothing is tried again, unless the next one is due before."""


@dataclass(frozen=True, slots=True)
class DirectoryStatus:
    """How the directory is. `report` is that of the last import (JSON), None when nothing was ever imported."""

    configured: bool
    api: bool
    sources: tuple[str, ...]
    refresh_hours: float
    state: State
    progress: Progress | None
    report: dict[str, Any] | None
    white_list: WhiteList | None
    white_list_source: str


@dataclass(frozen=True, slots=True)
class LookedUp:
    """Who was found; `trouble` says why the API could not be asked too, where it should have been."""

    found: tuple[Correspondent, ...]
    trouble: NoAnswer | None = None


class DirectoryService:
    """The router's directory. `section` None: nothing is configured, and what was imported by hand is looked up."""

    def __init__(
        self,
        section: AnnuaireSettings | None,
        data: Path,
        *,
        now: Callable[[], datetime],
        report: Callable[[Finding], None] = lambda _finding: None,
        apart: bool = True,
    ) -> None:
        self._settings = section or AnnuaireSettings()
        self.configured = section is not None
        self.folder = directory_folder(data)
        self.directory = Directory(self.folder)
        self._asked = Asked(self.folder)
        self._white_list = KeptWhiteList(self.folder)
        self._now = now
        self._report = report
        self._apart = apart
        self._busy = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self._executor: Executor | None = None
        self._client = AnnuaireClient(self._settings, now=now) if self._settings.url is not None else None

    # --- refreshing -------------------------------------------------------------------------------------------------

    async def refresh_if_due(self) -> None:
        """Refresh when it is time, or a file that is named was replaced."""
        due = await asyncio.to_thread(self._due)
        if due:
            await self.refresh()

    async def begin_if_due(self) -> None:
        """Begin a refresh in the background when it is time; an import may take longer than the next look."""
        if (self._task is None or self._task.done()) and await asyncio.to_thread(self._due):
            self._task = asyncio.create_task(self._guarded(), name="directory")

    async def _guarded(self) -> None:
        try:
            await self.refresh()
        except Exception as defect:
            said = f"a refresh stopped by a defect ({type(defect).__name__}): the last good stays"
            self._report(Finding(severity=Severity.ERROR, code="annuaire.defect", where="extractions", message=said))

    async def refresh(self, *, force: bool = False) -> Refreshed | None:
        """Refresh now; None when a refresh is under way already. Whatever is wrong is a notice, and never raised."""
        if self._busy.locked():
            return None
        async with self._busy:
            try:
                done = await asyncio.get_running_loop().run_in_executor(
                    self._started(), _refreshed, self._settings, self.folder, force
                )
            except BrokenProcessPool:
                done = Refreshed(troubles=(await asyncio.to_thread(self._killed),))
            finally:
                self._stop()
        for trouble in done.troubles:
            said = f"the {trouble.part} could not be refreshed, the last good stays: {trouble.message}"
            self._report(Finding(severity=Severity.ERROR, code=trouble.code, where=trouble.part, message=said))
        if done.report is not None and done.report.moved is not None:
            moved = done.report.moved
            said = f"mailboxes: {moved.added} added, {moved.gone} gone, {moved.changed} changed since the last import"
            self._report(Finding(severity=Severity.INFO, code="annuaire.moved", where="extractions", message=said))
        return done

    def _killed(self) -> Trouble:
        """Note that the importing process died (no memory, a signal): it is tried again later, not at once."""
        state = load_state(self.folder)
        state.index.failed(self._now(), "annuaire.killed", "the import was killed")
        save_state(self.folder, state)
        return Trouble("extractions", state.index.code, state.index.trouble)

    def _started(self) -> Executor:
        if self._executor is None:
            if self._apart:
                context = multiprocessing.get_context("spawn")
                self._executor = ProcessPoolExecutor(1, context, _begin, (os.getpid(),))
            else:
                self._executor = ThreadPoolExecutor(1, thread_name_prefix="annuaire")
        return self._executor

    def _stop(self) -> None:
        executor, self._executor = self._executor, None
        if executor is not None:
            executor.shutdown(wait=False, cancel_futures=True)

    def _due(self) -> bool:
        state, now = load_state(self.folder), self._now()
        period = timedelta(hours=self._settings.refresh_hours)
        parts = ([state.index] if self._settings.files else []) + (
            [state.white_list] if self._settings.white_list else []
        )
        for part in parts:
            tried = _moment(part.tried_at)
            if tried is None or tried <= now - (min(period, AGAIN) if part.trouble else period):
                return True
        tried = _moment(state.index.tried_at)
        return tried is not None and any(_changed(source, state, tried) for source in self._settings.files)

    # --- looking up -------------------------------------------------------------------------------------------------

    async def person(self, rpps: str) -> LookedUp:
        """Look a professional up by RPPS; who is not indexed is asked for at the API, and kept."""
        number = bare_rpps(rpps)
        known = await asyncio.to_thread(self.directory.person, number)
        if self._client is None or (known is not None and known.mailboxes):
            return LookedUp((known,) if known is not None else ())
        return await self._ask("rpps", number, partial(self._client.person, number))

    async def at(self, address: str) -> LookedUp:
        """Look up whose an address is; an unknown one is asked for at the API, and kept."""
        key = address.strip().lower()
        if is_patient_address(key):
            return LookedUp(())  # it is an INS: it goes to no directory
        known = await asyncio.to_thread(self.directory.at, key)
        if self._client is None or known or "@" not in key:
            return LookedUp(tuple(known))
        client = self._client
        return await self._ask("address", key, lambda _kept: client.at(key))

    async def structure(self, finess: str) -> LookedUp:
        """Look a structure up by FINESS; an unknown one is asked for at the API, and kept."""
        key = finess.strip().upper()
        known = await asyncio.to_thread(self.directory.structure, key)
        if self._client is None or known or not key:
            return LookedUp(tuple(known))
        return await self._ask("structure", key, partial(self._client.structure, key))

    async def _ask(self, kind: str, key: str, ask: Callable[[Kept | None], Any]) -> LookedUp:
        kept = await asyncio.to_thread(self._asked.recall, kind, key)
        reply: Reply = await ask(kept)
        if isinstance(reply, Answer):
            again = Kept(reply.etag, reply.entries)
            await asyncio.to_thread(self._asked.keep, kind, key, again, self._now())
        look = {"rpps": self._one, "address": self.directory.at, "structure": self.directory.structure}[kind]
        found = await asyncio.to_thread(look, key)
        return LookedUp(tuple(found), reply if isinstance(reply, NoAnswer) else None)

    def _one(self, rpps: str) -> list[Correspondent]:
        found = self.directory.person(rpps)
        return [] if found is None else [found]

    # --- telling ----------------------------------------------------------------------------------------------------

    def white_list(self) -> WhiteList | None:
        """Give the last good white list. Reads a file: call it in a thread."""
        try:
            return self._white_list.current()
        except FormatError:
            return None  # the kept file was damaged: a refresh replaces it, and until then no domain is known

    def status(self) -> DirectoryStatus:
        """Say how the directory is. Reads files: call it in a thread."""
        return DirectoryStatus(
            configured=self.configured,
            api=self._client is not None,
            sources=self._settings.files,
            refresh_hours=self._settings.refresh_hours,
            state=load_state(self.folder),
            progress=load_progress(self.folder, self._now()),
            report=self.directory.report(),
            white_list=self.white_list(),
            white_list_source=self._settings.white_list or "",
        )

    async def close(self) -> None:
        """Close the connections; an import under way ends with the router."""
        executor = self._executor
        if isinstance(executor, ProcessPoolExecutor):
            for process in list((executor._processes or {}).values()):
                process.terminate()
        self._stop()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._client is not None:
            await self._client.close()


def _begin(parent: int) -> None:
    """Set the importing process up: it ignores Ctrl-C, which the router handles, and gives way to it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    follow(parent)
    os.nice(10)


def _refreshed(settings: AnnuaireSettings, folder: Path, force: bool) -> Refreshed:
    return refresh(settings, folder, now=lambda: datetime.now(UTC), force=force)


def _changed(source: str, state: State, tried: datetime) -> bool:
    try:
        stat = Path(source).stat()
    except OSError:
        return False
    known = state.index.etags.get(source)
    return known != f"{stat.st_size}/{stat.st_mtime_ns}" and stat.st_mtime > tried.timestamp()


def _moment(text: str) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
