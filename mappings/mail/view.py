"""A mail as a person reads it: its header by official names, its parts, and its documents as their formats show."""

from __future__ import annotations

from collections.abc import Sequence

from mappings.cda import FORMAT as CDA
from mappings.contracts import FormatError, Piece, Position
from mappings.mail.bodies import decoded, text_of
from mappings.mail.files import FileKind, file_of, hprim_format
from mappings.mail.headers import clean, decode_words
from mappings.mail.mime import Part, parse
from mappings.notes import Notes
from mappings.xdm import FORMAT as XDM

_FRENCH = {
    "from": "Expéditeur",
    "sender": "Envoyé par",
    "to": "Destinataires",
    "cc": "Copie à",
    "reply-to": "Répondre à",
    "subject": "Objet",
    "date": "Date",
    "message-id": "Identifiant du message",
    "in-reply-to": "En réponse à",
    "references": "Fil",
    "return-path": "Retour des erreurs à",
    "disposition-notification-to": "Accusé de lecture demandé par",
    "x-mss-codecda": "Types des documents (MSSanté)",
    "x-mss-ins": "INS qualifiée (MSSanté)",
    "x-mss-nil": "Logiciel émetteur (MSSanté)",
    "x-mss-mes": "Réponse du patient (MSSanté)",
    "content-type": "Type de contenu",
    "content-disposition": "Présentation",
    "content-transfer-encoding": "Codage",
    "content-description": "Description",
    "auto-submitted": "Envoi automatique",
}
_REPORTS = frozenset({"message/delivery-status", "message/disposition-notification", "text/rfc822-headers"})
_LONGEST = 20_000


def positions(content: bytes) -> list[Position]:
    """List the values of the header fields, and the bodies of the parts that have no parts."""
    found: list[Position] = []
    for part in parse(content, Notes()).walk(into_messages=True):
        seen: dict[str, int] = {}
        for one in part.headers.fields:
            seen[one.name] = seen.get(one.name, 0) + 1
            rank = f" ({seen[one.name]})" if seen[one.name] > 1 else ""
            if one.end > one.start:
                found.append(Position(f"{part.where} {one.name}{rank}".strip(), one.start, one.end))
        if not part.children and part.end > part.body:
            found.append(Position(f"{part.where} body".strip(), part.body, part.end))
    return sorted(found, key=lambda one: one.start)


def pieces(content: bytes) -> tuple[Piece, ...]:
    """Show the header and the parts; what is encrypted is shown as that."""
    mail = parse(content, Notes())
    return (*_header(mail, 0, everything=True), *_parts(mail, 0))


def _header(part: Part, depth: int, *, everything: bool) -> list[Piece]:
    found: list[Piece] = []
    for one in part.headers.fields:
        name = _FRENCH.get(one.name.lower(), "")
        if not (name or everything):
            continue
        raw = part.content[one.start : one.end].decode("utf-8", "replace")
        found.append(Piece(one.name, name or one.name, clean(decode_words(raw)), depth=depth))
    return found


def _parts(part: Part, depth: int) -> list[Piece]:
    if part.is_message and part.children:
        mail = part.children[0]
        return [*_header(mail, depth, everything=False), *_parts(mail, depth)]
    if part.is_multipart:
        return [_part(child, depth) for child in part.children]
    return [_part(part, depth)]


def _part(part: Part, depth: int) -> Piece:
    where = part.where or "body"
    name = part.filename or _kind(part)
    if part.children:
        return Piece(where, name, "", part.media_type, depth, tuple(_parts(part, depth + 1)))
    notes = Notes()
    if part.media_type in _REPORTS or (part.media_type.startswith("text/") and not part.filename):
        return Piece(where, name, text_of(part, notes)[:_LONGEST], part.media_type, depth)
    content = decoded(part, notes)
    return Piece(where, name, f"{len(content)} octets", part.media_type, depth, _inside(part, content, depth + 1))


def _kind(part: Part) -> str:
    if part.is_message:
        return "Courriel joint"
    if part.media_type in _REPORTS:
        return "Rapport"
    return "Texte" if part.media_type.startswith("text/") else "Partie"


def _inside(part: Part, content: bytes, depth: int) -> tuple[Piece, ...]:
    kind = file_of(part, content).kind
    try:
        match kind:
            case FileKind.XDM:
                return _deeper(XDM.pieces(content), depth)
            case FileKind.CDA:
                return _deeper(CDA.pieces(content), depth)
            case FileKind.HPRIM:
                found = hprim_format(content, 0.0)
                return _deeper(found.pieces(content), depth) if found is not None else ()
            case _:
                return ()
    except FormatError as problem:
        return (Piece(part.where or "body", "Illisible", problem.code, depth=depth),)


def _deeper(shown: Sequence[Piece], by: int) -> tuple[Piece, ...]:
    """Move pieces of another format down to where they stand here."""
    return tuple(
        Piece(one.where, one.name, one.text, one.type, one.depth + by, _deeper(one.children, by)) for one in shown
    )
