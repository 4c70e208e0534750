"""Extraction for a structure: of each dossier that it is a member of, what its staff may read by that membership.

`may` decides thing by thing, as for a tool; what is extracted is kept as read by it, and noted in the audit, before
anything is written. The extraction holds health data in clear: it belongs where the structure keeps such data.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import orjson
from sqlalchemy import select

from router.dossier.accesses import Access as Decided, keep_accesses
from router.dossier.api.bundles import instant, shown
from router.dossier.api.having import fetched_by
from router.dossier.api.reading import content_of, decided_of
from router.dossier.context import Reader, ReaderKind
from router.dossier.door import Door
from router.dossier.keeping import dossier_of
from router.dossier.readings import keep_readings
from router.dossier.store.access import Access
from router.dossier.store.drafts import LIVE
from router.dossier.store.elements import Json, Resource, said
from router.dossier.store.searching import Found, Search
from router.faults import Fault
from router.journal import tables
from router.journal.actions import record_audit
from router.journal.operations import Change
from router.journal.unit import Unit
from router.journal.view import View
from schemas.habilitation import Action

EXTENSIONS = {
    "application/pdf": "pdf",
    "image/jpeg": "jpg",
    "image/png": "png",
    "text/plain": "txt",
    "text/xml": "xml",
    "application/xml": "xml",
}
HEADS = ("dossier", "type", "id", "category", "happened", "updated", "version", "file")


class NotEmpty(Fault):
    """The folder to write to holds something already."""


@dataclass(frozen=True, slots=True)
class Extract:
    """What a structure gets of one dossier: resources, the files of its documents, and what is kept of giving them."""

    number: int
    resources: tuple[Found, ...] = field(repr=False)
    files: tuple[Found, ...] = field(repr=False)
    decided: tuple[Decided, ...] = field(repr=False)
    fetched: tuple[tuple[int, int], ...] = field(repr=False)


def reader_for(finess: str, actor: str) -> Reader:
    """Give the staff of a structure as who reads: by its membership alone, by no seat of their own."""
    keys = frozenset({f"finess|{finess.strip().upper()}"})
    return Reader(ReaderKind.PROFESSIONAL, f"extraction for {finess} by {actor}"[:120], structures=keys)


def extract_of(view: View, door: Door, reader: Reader, patient: int, *, now: int) -> Extract | None:
    """Find what there is for a structure in a patient's dossier; None where there is nothing."""
    access = Access(view, door, reader, now)
    search, column = Search(access), tables.resource.c
    line = dossier_of(view.connection, view.sealer, patient)
    keys = select(column.type, column.logical_id).where(column.patient_id == patient, column.state == LIVE)
    rows = view.connection.execute(keys.order_by(column.id)).all()
    found = search.by_keys(f"{row.type}/{row.logical_id}" for row in rows)
    if line is None or not found:
        return None
    own = {one.key for one in found}
    mentioned = dict.fromkeys(key for one in found for key in _references(one.resource) if key not in own)
    others = [one for one in search.by_keys(mentioned) if one.patient is None]
    return Extract(
        line.id,
        tuple(one for one in [*found, *others] if one.type != "Binary"),
        tuple(one for one in found if one.type == "Binary"),
        tuple(decided_of(access, found, Action.READ)),
        tuple(fetched_by(access, found)),
    )


def _references(node: Json) -> Iterator[str]:
    if isinstance(node, dict):
        reference = node.get("reference")
        if isinstance(reference, str) and "/" in reference:
            yield reference
        for value in node.values():
            yield from _references(value)
    elif isinstance(node, list):
        for value in node:
            yield from _references(value)


def keep_extract(found: Extract, finess: str, actor: str, *, now: int) -> Change[None]:
    """Keep what is extracted of a dossier, by whom and for whom; submit this before it is written."""

    def change(unit: Unit) -> None:
        what = f"structure {finess[:20]}, dossier {found.number}"
        record_audit(actor, "extract dossiers", what, now=now).apply(unit)
        keep_accesses(unit.connection, list(found.decided), now)
        keep_readings(unit.connection, found.fetched, now, read=False)

    return Change(change, note="extraction")


class Extraction:
    """A folder that is written dossier by dossier: a FHIR Bundle and files for each, one CSV of all.

    Files are named by our own identifiers, and are the owner's alone to read. Raises NotEmpty, OSError.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if any(folder.iterdir()):
            raise NotEmpty(f"{folder} is not empty: name a new folder")
        self._folder = folder
        self.dossiers = self.resources = 0
        self._add((HEADS,))

    def add(self, view: View, one: Extract) -> None:
        """Write what there is of one dossier."""
        name = f"dossier-{one.number}"
        (self._folder / name).mkdir(mode=0o700)
        rows: list[tuple[str, ...]] = []
        for each in one.files:
            file = f"{name}/{each.logical_id}.{EXTENSIONS.get(said(each.resource, 'contentType'), 'bin')}"
            _keep(self._folder / file, content_of(view, each))
            rows.append(_row(one.number, each, file))
        entries: list[Json] = [
            {"fullUrl": f"urn:uuid:{each.logical_id}", "resource": shown(each)} for each in one.resources
        ]
        bundle: Resource = {"resourceType": "Bundle", "type": "collection", "entry": entries}
        _keep(self._folder / name / "bundle.json", orjson.dumps(bundle, option=orjson.OPT_INDENT_2))
        rows += [_row(one.number, each, f"{name}/bundle.json") for each in one.resources]
        self._add(rows)
        self.dossiers += 1
        self.resources += len(rows)

    def _add(self, rows: Iterable[tuple[str, ...]]) -> None:
        place = self._folder / "resources.csv"
        with place.open("a", encoding="utf-8", newline="") as file:
            place.chmod(0o600)
            csv.writer(file, delimiter=";", lineterminator="\r\n").writerows(rows)


def _row(number: int, one: Found, file: str) -> tuple[str, ...]:
    thing = one.thing
    happened = instant(thing.at) if thing is not None and thing.at is not None else ""
    category = thing.category.value if thing is not None else ""
    return (str(number), one.type, one.logical_id, category, happened, instant(one.at), str(one.version), file)


def _keep(path: Path, content: bytes) -> None:
    with path.open("xb") as file:
        path.chmod(0o600)
        file.write(content)
