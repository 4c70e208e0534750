"""An archive as a person reads it: its files, and the metadata of each document under their XDS names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import fields

from mappings.archive import Archive
from mappings.cda import FORMAT as CDA, is_cda
from mappings.contracts import FormatError, Piece, Position
from mappings.notes import Notes
from mappings.xdm.layout import METADATA, base, subsets
from mappings.xds.ebrim_reading import read_submission
from mappings.xds.model import Author, Code, DocumentEntry, Submission, SubmissionSet, metadata_name
from mappings.xml_source import parse_xml

_FRENCH = {
    "unique_id": "Identifiant unique",
    "patient_id": "Identifiant du patient",
    "source_patient_id": "Identifiant local du patient",
    "source_patient_info": "Traits du patient",
    "type_code": "Type de document",
    "class_code": "Classe de document",
    "format_code": "Format",
    "practice_setting_code": "Cadre d'exercice",
    "healthcare_facility_type_code": "Secteur d'activité",
    "confidentiality_codes": "Confidentialité",
    "event_codes": "Actes",
    "title": "Titre",
    "comments": "Commentaire",
    "language_code": "Langue",
    "creation_time": "Date de création (UTC)",
    "service_start_time": "Début de l'acte (UTC)",
    "service_stop_time": "Fin de l'acte (UTC)",
    "authors": "Auteurs",
    "legal_authenticator": "Responsable",
    "hash": "Empreinte SHA-1",
    "size": "Taille en octets",
    "uri": "Fichier",
    "mime_type": "Type MIME",
    "submission_time": "Date de soumission (UTC)",
    "source_id": "Système émetteur",
    "content_type_code": "Type d'activité",
    "intended_recipients": "Destinataires",
    "entry_uuid": "Identifiant de l'entrée",
    "availability_status": "Statut",
    "repository_unique_id": "Entrepôt",
    "logical_id": "Identifiant logique",
    "version": "Version",
    "reference_ids": "Références",
    "extra": "Autres métadonnées",
}


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
    return Piece(METADATA, "Métadonnées", "", depth=1, children=tuple(_objects(submission)))


def _objects(submission: Submission) -> Iterator[Piece]:
    if submission.submission_set is not None:
        yield _object(submission.submission_set, "Lot")
    for entry in submission.entries:
        yield _object(entry, "Document")
    for link in submission.associations:
        kind = link.type.rpartition(":")[2]
        yield Piece(link.id, "Association", f"{link.source} → {link.target}", type=kind, depth=2)


def _object(item: DocumentEntry | SubmissionSet, name: str) -> Piece:
    children: list[Piece] = []
    for field in fields(item):
        values = getattr(item, field.name)
        values = values if isinstance(values, tuple) else (values,)
        for rank, value in enumerate(one for one in values if one is not None):
            where = f"{item.entry_uuid}.{metadata_name(field.name)}" + (f"[{rank}]" if len(values) > 1 else "")
            children.append(Piece(where, _FRENCH.get(field.name, field.name), _shown(value), depth=3))
    return Piece(item.entry_uuid, name, item.title or "", depth=2, children=tuple(children))


def _shown(value: object) -> str:
    match value:
        case Code():
            return " — ".join(part for part in (value.code, value.label) if part)
        case Author():
            texts = (value.person, *value.institutions, *value.roles, *value.specialties)
            return " ; ".join(text for text in texts if text)
        case (str(name), tuple(values)):
            return f"{name} = {' '.join(str(one) for one in values)}"
        case _:
            return str(value)


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
