"""The national extractions of the Annuaire Santé (C2): `|` between columns, one header, read by the columns' names.

Two are known: the mailboxes (`Extraction_Correspondance_MSSante`, 31 columns) and the professionals' activities
(`PS_LibreAcces_Personne_activite`, 56 columns and a `|` at the end). Labels vary between years: accents, case and
punctuation are not looked at. A ZIP may hold other texts; those whose header is neither are left aside.

    annuaire.columns         the header lacks a column that is needed, or it is no extraction
    annuaire.truncated       the last line is cut
    annuaire.malformed       too many lines have another number of columns than the header
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from connectors.annuaire.entries import Entry
from connectors.annuaire.opening import OpenText, lines
from mappings.contracts import FormatError

BOM = b"\xef\xbb\xbf"
MOST_MALFORMED = 0.01
FEW = 10
"""Lines of another shape that are told and left out: a hundredth of the file, or this many."""

RPPS_KIND, ADELI_KIND = "8", "0"
FINESS_KIND = "1"


class ExtractKind(StrEnum):
    """Which extraction a text is."""

    MAILBOXES = "mailboxes"
    PROFESSIONALS = "professionals"


_MAILBOXES = {
    "kind": "type de bal",
    "address": "adresse bal",
    "person": "identifiant pp",
    "structure": "identification structure",
    "structure_kind": "type identifiant structure",
    "service": "service de rattachement",
    "civility": "civilite d exercice",
    "family": "nom d exercice",
    "given": "prenom d exercice",
    "profession": "code profession",
    "profession_name": "libelle profession",
    "specialty": "libelle savoir faire",
    "structure_name": "raison sociale structure bal",
    "sign": "enseigne commerciale structure bal",
    "line": "l6ligneacheminement",
    "postal_code": "code postal",
}
_PROFESSIONALS = {
    "person": "identifiant pp",
    "civility": "libelle civilite d exercice",
    "family": "nom d exercice",
    "given": "prenom d exercice",
    "profession": "code profession",
    "profession_name": "libelle profession",
    "specialty": "libelle savoir faire",
    "siret": "numero siret site",
    "finess": "numero finess site",
    "technical": "identifiant technique de la structure",
    "structure_name": "raison sociale site",
    "sign": "enseigne commerciale site",
    "postal_code": "code postal",
    "city": "libelle commune",
}
_NEEDED = {
    ExtractKind.MAILBOXES: ("kind", "address", "person", "structure", "family", "given"),
    ExtractKind.PROFESSIONALS: ("person", "family", "given", "profession"),
}
_NAMES: dict[ExtractKind, Mapping[str, str]] = {
    ExtractKind.MAILBOXES: _MAILBOXES,
    ExtractKind.PROFESSIONALS: _PROFESSIONALS,
}
_ADDRESS = re.compile(r"[^\s@|<>\"]{1,128}@[A-Za-z0-9.-]{1,190}")


@dataclass(slots=True)
class Tally:
    """What one text gave. `malformed` lines have another shape; `recoded` ones were not UTF-8."""

    kind: ExtractKind
    name: str
    lines: int = 0
    entries: int = 0
    malformed: int = 0
    recoded: int = 0
    without_address: int = 0
    read: int = field(default=0, repr=False)


@dataclass(frozen=True, slots=True)
class Extract:
    """A text that is one of the extractions; `entries` reads it line by line and keeps `tally`."""

    tally: Tally
    size: int
    entries: Iterator[Entry]


def extract_of(text: OpenText) -> Extract | None:
    """Recognise a text by its header, None when it is neither. Raises FormatError when a needed column is missing."""
    counted = _Counted(text.pieces)
    stream = lines(counted.pieces())
    first, _ = next(stream, (b"", False))
    header = first.removeprefix(BOM).decode("utf-8", "replace").split("|")
    if header and header[-1] == "":
        header.pop()
    names = [_plain(name) for name in header]
    kind = _kind(names)
    if kind is None:
        return None
    columns = _columns(kind, names, text.name)
    tally = Tally(kind, text.name)
    return Extract(tally, text.size, _entries(kind, columns, len(header), stream, tally, counted))


class _Counted:
    """Counts the bytes that went by, for the progress."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self.count = 0

    def pieces(self) -> Iterator[bytes]:
        for piece in self._pieces:
            self.count += len(piece)
            yield piece


def _kind(names: Sequence[str]) -> ExtractKind | None:
    if "adresse bal" in names:
        return ExtractKind.MAILBOXES
    if "identifiant pp" in names and ("code mode exercice" in names or "numero finess site" in names):
        return ExtractKind.PROFESSIONALS
    return None


def _columns(kind: ExtractKind, names: Sequence[str], where: str) -> dict[str, int]:
    columns = {}
    for field_name, label in _NAMES[kind].items():
        rank = next((rank for rank, name in enumerate(names) if name == label), None)
        if rank is None:
            # «Code postal (coord. structure)»: the first column that begins so.
            rank = next((rank for rank, name in enumerate(names) if name.startswith(label + " coord")), None)
        if rank is not None:
            columns[field_name] = rank
    missing = [_NAMES[kind][name] for name in _NEEDED[kind] if name not in columns]
    if missing:
        raise FormatError("annuaire.columns", where, f"the header has no column {', '.join(map(repr, missing))}")
    return columns


def _entries(
    kind: ExtractKind,
    columns: dict[str, int],
    width: int,
    stream: Iterator[tuple[bytes, bool]],
    tally: Tally,
    counted: _Counted,
) -> Iterator[Entry]:
    make = _mailbox if kind is ExtractKind.MAILBOXES else _activity
    for line, ended in stream:
        if not line:
            continue
        tally.lines += 1
        tally.read = counted.count
        try:
            cells = line.decode("utf-8").split("|")
        except UnicodeDecodeError:
            tally.recoded += 1
            cells = line.decode("cp1252", "replace").split("|")
        if len(cells) == width + 1 and cells[-1] == "":
            cells.pop()
        if len(cells) != width:
            if not ended:
                raise FormatError("annuaire.truncated", f"line {tally.lines + 1}", f"{tally.name} is cut")
            tally.malformed += 1
            if tally.malformed > max(FEW, MOST_MALFORMED * tally.lines):
                said = f"{tally.name}: {tally.malformed} lines have not the {width} columns of the header"
                raise FormatError("annuaire.malformed", f"line {tally.lines + 1}", said)
            continue
        entry = make({name: cells[rank].strip() for name, rank in columns.items()})
        if entry is None:
            tally.without_address += 1
            continue
        tally.entries += 1
        yield entry
    if tally.entries == 0:
        raise FormatError("annuaire.empty", tally.name, "the extraction has a header and nothing else")


def _mailbox(cells: dict[str, str]) -> Entry | None:
    address = cells["address"].lower()
    if _ADDRESS.fullmatch(address) is None:
        return None
    line = cells.get("line", "")
    postal_code = cells.get("postal_code", "")
    return Entry(
        address=address,
        kind=cells["kind"].upper(),
        rpps=cells["person"],
        civility=cells.get("civility", ""),
        family=cells["family"],
        given=cells["given"],
        profession=cells.get("profession", ""),
        profession_name=cells.get("profession_name", ""),
        specialty=cells.get("specialty", ""),
        structure=cells["structure"],
        structure_name=cells.get("structure_name", "") or cells.get("sign", ""),
        service=cells.get("service", ""),
        postal_code=postal_code,
        city=line.removeprefix(postal_code).strip(),
    )


def _activity(cells: dict[str, str]) -> Entry | None:
    if not cells["person"]:
        return None
    return Entry(
        rpps=cells["person"],
        civility=cells.get("civility", ""),
        family=cells["family"],
        given=cells["given"],
        profession=cells["profession"],
        profession_name=cells.get("profession_name", ""),
        specialty=cells.get("specialty", ""),
        structure=cells.get("finess", "") or cells.get("siret", "") or cells.get("technical", ""),
        structure_name=cells.get("structure_name", "") or cells.get("sign", ""),
        postal_code=cells.get("postal_code", ""),
        city=cells.get("city", ""),
    )


def _plain(label: str) -> str:
    bare = unicodedata.normalize("NFKD", label)
    letters = "".join(sign for sign in bare if not unicodedata.combining(sign)).lower()
    return re.sub(r"[^a-z0-9]+", " ", letters).strip()
