"""The mappings in force as messages are read: each distinct set is kept once, under a number that readings note.

A set is what sources and destinations say about their formats, the concept maps of every sender, and the software's own
version: the readers and writers of another version cannot be run, and whoever looks is told so. None of it is health
data; it is sealed all the same, as options may name people's mailboxes.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import zlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import orjson
from sqlalchemy import Connection, insert, select

from mappings.concept_map import MapEntry, Term, TermKind
from router.journal import tables
from router.journal.sealing import Sealer
from router.journal.unit import Question, Unit
from schemas.coding import Coding

CONTENT_PLACE = b"mapping_version.sealed_content"

Targets = Mapping[tuple[str, Term], Coding]
"""What each sender's codes and units mean."""


@dataclass(frozen=True, slots=True)
class EndMappings:
    """How one source is read, or one destination written: connector, format, charset and options of the format."""

    connector: str
    format: str
    charset: str
    options: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class MappingsKept:
    """One set: by name the sources' and destinations' mappings, and the lines of all concept maps."""

    software: str
    timezone: str
    sources: Mapping[str, EndMappings]
    destinations: Mapping[str, EndMappings]
    maps: tuple[MapEntry, ...]

    @property
    def targets(self) -> Targets:
        """Give the concept maps by sender and term."""
        return {(one.sender, one.term): one.target for one in self.maps}


@dataclass(frozen=True, slots=True)
class MappingsInForce:
    """A set as it goes from a worker to the journal: its digest, which software, and its content, packed."""

    digest: str
    software: str
    packed: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class MappingVersion:
    """A number, when its set was first read with (microseconds), and by which version of the software."""

    id: int
    at: int
    software: str

    @property
    def of_this_software(self) -> bool:
        """Whether the version that runs now is the one that read with it."""
        return self.software == software_version()


@cache
def software_version() -> str:
    """Give the version of Passerelle that runs."""
    return importlib.metadata.version("passerelle")


def pack(kept: MappingsKept) -> MappingsInForce:
    """Give a set its digest: equal sets have the same one, in whatever order they were gathered."""
    maps = sorted(
        [
            one.sender,
            *map(str, one.term),
            *(part or "" for part in (one.target.system, one.target.code, one.target.display)),
        ]
        for one in kept.maps
    )
    said = {
        "software": kept.software,
        "timezone": kept.timezone,
        "sources": _dump_ends(kept.sources),
        "destinations": _dump_ends(kept.destinations),
        "maps": maps,
    }
    text = orjson.dumps(said, option=orjson.OPT_SORT_KEYS)
    return MappingsInForce(hashlib.sha256(text).hexdigest()[:32], kept.software, zlib.compress(text))


def unpack(packed: bytes) -> MappingsKept:
    """Read what `pack` wrote."""
    said: dict[str, Any] = orjson.loads(zlib.decompress(packed))
    maps = tuple(
        MapEntry(
            sender,
            Term(TermKind(kind), system, code),
            Coding(system=target or None, code=meant, display=display or None),
        )
        for sender, kind, system, code, target, meant, display in said["maps"]
    )
    ends = [_load_ends(said[side]) for side in ("sources", "destinations")]
    return MappingsKept(said["software"], said["timezone"], ends[0], ends[1], maps)


def keep_mappings(unit: Unit, found: Iterable[MappingsInForce], now: int) -> dict[str, int]:
    """Keep the sets that are not kept yet; gives the number of each by its digest."""
    sets = {one.digest: one for one in found}
    if not sets:
        return {}
    column = tables.mapping_version.c
    numbers: dict[str, int] = dict(unit.query(*versions_known(sets)))
    # In one order at every node: two that keep the same sets at once wait for one another, and never in a circle.
    for digest in sorted(sets.keys() - numbers.keys()):
        one = sets[digest]
        values = {
            "digest": digest,
            "at": now,
            "software": one.software[:40],
            "sealed_content": unit.sealer.seal(one.packed, CONTENT_PLACE),
        }
        added = insert(tables.mapping_version).values(values).returning(column.id)
        numbers[digest] = unit.connection.execute(added).scalar_one()
    return numbers


def versions_known(digests: Collection[str]) -> Question:
    """Ask for the numbers of the sets that have these digests."""
    marks = ", ".join(["?"] * len(digests))
    return f"SELECT digest, id FROM mapping_version WHERE digest IN ({marks})", tuple(sorted(digests))  # noqa: S608 - marks


def mapping_versions(connection: Connection, *, before: int | None = None, limit: int = 200) -> list[MappingVersion]:
    """List the versions, the newest first."""
    column = tables.mapping_version.c
    wanted = select(column.id, column.at, column.software).order_by(column.id.desc()).limit(limit)
    if before is not None:
        wanted = wanted.where(column.id < before)
    return [MappingVersion(row.id, row.at, row.software) for row in connection.execute(wanted)]


def mapping_version(connection: Connection, number: int) -> MappingVersion | None:
    """Give one version, None when there is none of this number."""
    return next((one for one in mapping_versions(connection, before=number + 1, limit=1) if one.id == number), None)


def mappings_of(connection: Connection, sealer: Sealer, number: int) -> MappingsKept | None:
    """Give the set of a version, None when there is none of this number."""
    wanted = select(tables.mapping_version.c.sealed_content).where(tables.mapping_version.c.id == number)
    sealed = connection.execute(wanted).scalar()
    return None if sealed is None else unpack(sealer.open(sealed, CONTENT_PLACE))


def _dump_ends(ends: Mapping[str, EndMappings]) -> dict[str, list[object]]:
    return {name: [one.connector, one.format, one.charset, dict(one.options)] for name, one in ends.items()}


def _load_ends(said: Mapping[str, list[Any]]) -> dict[str, EndMappings]:
    return {name: EndMappings(*one) for name, one in said.items()}
