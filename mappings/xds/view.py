"""XDS metadata as a person reads them: each under its official name."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields

from mappings.contracts import Piece
from mappings.notes import Notes
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


def pieces(content: bytes) -> tuple[Piece, ...]:
    """Show the objects of a request or of an answer. Raises FormatError when it is not XML."""
    submission = read_submission(parse_xml(content.lstrip(), code="xds.metadata"), Notes())
    return (Piece("RegistryObjectList", "Métadonnées", "", depth=1, children=tuple(shown_objects(submission))),)


def shown_objects(submission: Submission) -> Iterator[Piece]:
    """Show the submission set, the documents and what relates them."""
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
