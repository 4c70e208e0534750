"""An archive as a person reads it: its files, and the metadata of each document under their XDS names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from mappings.archive import Archive
from mappings.cda import FORMAT as CDA, is_cda
from mappings.contracts import FormatError, Piece, Position
from mappings.notes import Notes
from mappings.xdm.layout import METADATA, base, subsets
from mappings.xds.ebrim_reading import read_submission
from mappings.xds.view import shown_objects
from mappings.xml_source import parse_xml


def positions(content: bytes) -> list[Position]:
    """List the names and the (compressed) contents of the entries with their byte spans."""
    found: list[Position] = []
    times: Counter[str] = Counter()
    for entry in Archive(content).entries:
        times[entry.name] += 1
        where = entry.name if times[entry.name] == 1 else f"{entry.name} ({times[entry.name]})"
        if entry.end > entry.start:
            found.append(Position(where, entry.start, entry.end))
        if entry.name_end > entry.name_start:
            found.append(Position(f"{where} name", entry.name_start, entry.name_end))
    return sorted(found, key=lambda one: one.start)


def pieces(content: bytes) -> tuple[Piece, ...]:
    """Show the submission sets: their metadata by official name, and each document as its own format shows it."""
    archive = Archive(content)
    found: list[Piece] = []
    for subset in subsets(archive, Notes()):
        inside: list[Piece] = []
        if subset.metadata is not None:
            inside.append(_metadata(archive.read(subset.metadata), subset.metadata.name))
        for entry in subset.files:
            text = archive.read(entry)
            children = _cda_pieces(text) if is_cda(text) else ()
            inside.append(
                Piece(base(entry.name), "Document", f"{len(text)} octets", depth=1, children=_deeper(children, 2))
            )
        found.append(Piece(subset.folder or "/", "Lot de soumission", "", depth=0, children=tuple(inside)))
    return tuple(found)


def _metadata(content: bytes, name: str) -> Piece:
    try:
        submission = read_submission(parse_xml(content.lstrip(), code="xdm.metadata", where=name), Notes(), name)
    except FormatError as problem:
        return Piece(METADATA, "Métadonnées", problem.code, depth=1)
    return Piece(METADATA, "Métadonnées", "", depth=1, children=tuple(shown_objects(submission)))


def _cda_pieces(content: bytes) -> Sequence[Piece]:
    try:
        return CDA.pieces(content)
    except FormatError:
        return ()


def _deeper(shown: Sequence[Piece], by: int) -> tuple[Piece, ...]:
    """Move pieces of another format down to where they stand here."""
    return tuple(
        Piece(one.where, one.name, one.text, one.type, one.depth + by, _deeper(one.children, by)) for one in shown
    )
