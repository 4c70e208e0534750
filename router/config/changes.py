"""What differs between the configuration that runs and another one, and what each difference asks of the router.

A source is closed and opened anew only when its own connection changes; what is read of its messages, and where they
go, is exchanged behind it. Sections that are read once, at the start, wait for the next one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel

from router.config.load import Loaded
from router.config.model import Configuration, ResolvedDestination, ResolvedSource

IN_PLACE = ("sources", "destinations", "routes", "watch")
"""Sections that take effect while the router runs."""

AT_START = tuple(name for name in Configuration.model_fields if name not in IN_PLACE)
"""Sections that take effect when the router is started."""

LARGEST = 1_000_000
"""Bytes of a file up to which its content is looked at: a certificate, a key, a list."""

FileDigests = Mapping[Path, str]
"""What files that settings name held: SHA-256, empty for one that could not be read."""


@dataclass(frozen=True, slots=True)
class Sorted:
    """Names of one side: what is new, gone, connected otherwise, or only read or written otherwise."""

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    rebound: tuple[str, ...] = ()
    rewritten: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.rebound or self.rewritten)


@dataclass(frozen=True, slots=True)
class Changes:
    """What another configuration changes. `reordered` when routes stay and only their order differs."""

    sources: Sorted = Sorted()
    destinations: Sorted = Sorted()
    routes: Sorted = Sorted()
    reordered: bool = False
    watch: bool = False
    at_start: tuple[str, ...] = ()
    """Sections that differ and wait for the next start."""

    def __bool__(self) -> bool:
        parts = (self.sources, self.destinations, self.routes)
        return any(parts) or self.reordered or self.watch or bool(self.at_start)


def changes_between(
    running: Loaded,
    other: Loaded,
    source_files: Mapping[str, FileDigests] | None = None,
    destination_files: Mapping[str, FileDigests] | None = None,
) -> Changes:
    """Sort the differences. With the digests of files as they were opened, a renewed certificate counts as one."""
    one, two = running.configuration, other.configuration
    names = [[route.name for route in configuration.routes] for configuration in (one, two)]
    shared = [[name for name in side if name in names[0] and name in names[1]] for side in names]
    by_name = [{route.name: route for route in configuration.routes} for configuration in (one, two)]
    return Changes(
        _sorted(running.sources, other.sources, source_files or {}),
        _sorted(running.destinations, other.destinations, destination_files or {}),
        Sorted(
            tuple(name for name in names[1] if name not in by_name[0]),
            tuple(name for name in names[0] if name not in by_name[1]),
            rewritten=tuple(name for name in shared[1] if by_name[0][name] != by_name[1][name]),
        ),
        shared[0] != shared[1],
        one.watch != two.watch,
        tuple(name for name in AT_START if getattr(one, name) != getattr(two, name)),
    )


def effective(running: Loaded, other: Loaded) -> Loaded:
    """Give another configuration with the sections that wait for the next start as they run now."""
    kept = {name: getattr(running.configuration, name) for name in AT_START}
    configuration = other.configuration.model_copy(update=kept)
    return Loaded(other.path, configuration, other.sources, other.destinations)


def _sorted(
    before: tuple[ResolvedSource, ...] | tuple[ResolvedDestination, ...],
    after: tuple[ResolvedSource, ...] | tuple[ResolvedDestination, ...],
    opened: Mapping[str, FileDigests],
) -> Sorted:
    former = {one.name: one for one in before}
    present = {one.name: one for one in after}
    shared = [(former[name], one) for name, one in present.items() if name in former]
    rebound = [new.name for old, new in shared if _is_rebound(old, new, opened.get(new.name))]
    return Sorted(
        tuple(name for name in present if name not in former),
        tuple(name for name in former if name not in present),
        tuple(rebound),
        tuple(new.name for old, new in shared if old != new and new.name not in rebound),
    )


def _is_rebound(
    old: ResolvedSource | ResolvedDestination, new: ResolvedSource | ResolvedDestination, opened: FileDigests | None
) -> bool:
    if old.section.connector != new.section.connector or old.settings != new.settings:
        return True
    if _pace(old) != _pace(new):
        return True
    return opened is not None and opened != file_digests(new.settings)


def _pace(one: ResolvedSource | ResolvedDestination) -> object:
    return (one.concurrency, one.section.retry) if isinstance(one, ResolvedDestination) else None


def file_digests(settings: BaseModel) -> dict[Path, str]:
    """Look at the files that settings name, folders and large ones left out; reads them."""
    return {path: _digest(path) for path in _paths(settings)}


def _paths(settings: BaseModel) -> Iterator[Path]:
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if isinstance(value, BaseModel):
            yield from _paths(value)
        elif isinstance(value, Path):
            yield value


def _digest(path: Path) -> str:
    try:
        if not path.is_file() or path.stat().st_size > LARGEST:
            return ""
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""
