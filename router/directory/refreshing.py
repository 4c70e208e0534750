"""One refresh: the extractions are fetched and indexed, the white list is fetched and checked, each by itself.

Whatever is wrong with one leaves its last good version, and is noted. It runs in a process of its own beside the router
(`router.directory.service`), or in that of the command line.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from connectors.annuaire.building import ImportReport, Progress, build
from connectors.annuaire.fetching import fetch
from connectors.annuaire.settings import AnnuaireSettings, is_address
from connectors.annuaire.white_list import LIMIT, KeptWhiteList
from mappings.contracts import FormatError
from router.directory.state import Part, Telling, load_state, save_state

FETCHED = "fetched-"


@dataclass(frozen=True, slots=True)
class Trouble:
    """What went wrong with a part: a stable code and one sentence."""

    part: str
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Refreshed:
    """What a refresh came to. `report` None: the extractions were not indexed (unchanged, not asked for, or wrong)."""

    report: ImportReport | None = None
    unchanged: bool = False
    domains: int | None = None
    troubles: tuple[Trouble, ...] = ()


def refresh(
    settings: AnnuaireSettings,
    folder: Path,
    *,
    now: Callable[[], datetime],
    force: bool = False,
    shown: Progress = lambda _doing, _read, _size: None,
) -> Refreshed:
    """Refresh what is configured. `force` takes a file that has not changed, or has far fewer mailboxes than before."""
    folder.mkdir(parents=True, exist_ok=True)
    state = load_state(folder)
    telling = Telling(folder, now)

    def told(doing: str, read: int, size: int) -> None:
        telling(doing, read, size)
        shown(doing, read, size)

    troubles: list[Trouble] = []
    report, unchanged, domains = None, False, None
    try:
        if settings.files:
            try:
                report = _indexed(settings, folder, state.index, now, force, told)
                unchanged = report is None
                state.index.done(now())
            except (FormatError, OSError) as wrong:
                troubles.append(_noted("extractions", state.index, wrong, now()))
        if settings.white_list:
            try:
                domains = _listed(settings, folder, told)
                state.white_list.done(now())
            except (FormatError, OSError) as wrong:
                troubles.append(_noted("white list", state.white_list, wrong, now()))
    finally:
        save_state(folder, state)
        telling.close()
    return Refreshed(report, unchanged, domains, tuple(troubles))


def import_files(
    settings: AnnuaireSettings,
    folder: Path,
    files: Sequence[Path],
    *,
    now: Callable[[], datetime],
    force: bool = False,
    shown: Progress = lambda _doing, _read, _size: None,
) -> ImportReport:
    """Index files that a person names. Raises FormatError or OSError, and then has changed nothing."""
    report = _built(settings, folder, files, now, force, shown)
    state = load_state(folder)
    state.index.done(now())
    # What the configured sources give is not what is indexed now: they are taken again when they are due.
    state.index.etags.clear()
    save_state(folder, state)
    return report


def _indexed(
    settings: AnnuaireSettings, folder: Path, part: Part, now: Callable[[], datetime], force: bool, told: Progress
) -> ImportReport | None:
    """Fetch and index the extractions; None when none of them has changed since they were."""
    etags: dict[str, str] = {}
    files: list[Path] = []
    try:
        changed = force or not part.good_at
        for rank, source in enumerate(settings.files):
            path, etags[source], new = _brought(
                settings, folder, source, rank, "" if force else part.etags.get(source, "")
            )
            files.append(path)
            changed = changed or new
        if not changed:
            return None
        for rank, source in enumerate(settings.files):
            # One of several has changed: the others are needed as well.
            if not files[rank].exists():
                files[rank], etags[source], _ = _brought(settings, folder, source, rank, "")
        report = _built(settings, folder, files, now, force, told)
        part.etags = etags
        return report
    finally:
        for path in folder.glob(f"{FETCHED}*"):
            path.unlink(missing_ok=True)


def _brought(settings: AnnuaireSettings, folder: Path, source: str, rank: int, tag: str) -> tuple[Path, str, bool]:
    """Give a source as a file, its tag, and whether it is another one than that of the tag before."""
    if is_address(source):
        path = folder / f"{FETCHED}{rank}"
        fetched = fetch(source, path, settings, etag=tag, most_bytes=settings.most_megabytes << 20)
        return path, fetched.etag, fetched.changed
    stat = Path(source).stat()
    mark = f"{stat.st_size}/{stat.st_mtime_ns}"
    return Path(source), mark, mark != tag


def _built(
    settings: AnnuaireSettings,
    folder: Path,
    files: Sequence[Path],
    now: Callable[[], datetime],
    force: bool,
    told: Progress,
) -> ImportReport:
    return build(
        folder,
        files,
        now=now,
        progress=told,
        keep_share=0.0 if force else settings.keep_share,
        most_bytes=settings.most_megabytes << 20,
    )


def _listed(settings: AnnuaireSettings, folder: Path, told: Progress) -> int:
    assert settings.white_list is not None  # noqa: S101 - the caller looked
    told("white list", 0, 0)
    if is_address(settings.white_list):
        path = folder / f"{FETCHED}list"
        try:
            fetch(settings.white_list, path, settings, most_bytes=LIMIT)
            content = path.read_bytes()
        finally:
            path.unlink(missing_ok=True)
    else:
        content = Path(settings.white_list).read_bytes()
    return len(KeptWhiteList(folder).replace(content).domains)


def _noted(part: str, state: Part, wrong: FormatError | OSError, now: datetime) -> Trouble:
    if isinstance(wrong, FormatError):
        code, said = wrong.code, str(wrong)
    else:
        code, said = "annuaire.file", f"{wrong.filename or 'a file'}: {wrong.strerror or type(wrong).__name__}"
    state.failed(now, code, said)
    return Trouble(part, code, said)
