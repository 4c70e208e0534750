"""Documents inside ORU and MDM (ANS profile of CDA in HL7v2, fact sheet §6): the file, its wishes, its recipients.

What the sender asks is said three times (ORC-1, OBX-11, the event of an MDM); a contradiction is an error Finding.
Recipients come from PRT only, never from the CDA. The CDA itself is read elsewhere; here it is only asked for its id.
"""

from __future__ import annotations

import base64
import re
from functools import lru_cache
from typing import NamedTuple

from mappings.hl7v2.attachments import attachment_of, payload_of
from mappings.hl7v2.datatypes import address, coded, coding, coding_system, entity, organization, professional, telecom
from mappings.hl7v2.er7 import Segment
from mappings.hl7v2.groups import Order, PatientGroup, Result
from mappings.hl7v2.lab_reports import visit_of
from mappings.hl7v2.notebook import Notebook
from mappings.hl7v2.syntax import NULL
from mappings.hl7v2.values import value_of
from schemas.actors import Organization, Professional, Recipient, Telecom
from schemas.attachment import Attachment
from schemas.coding import Coding
from schemas.document import Document, DocumentOperation, Wishes

META = "MetaDMPMSS"
_WISHES = {
    "DESTDMP": "dmp",
    "DESTMSSANTEPS": "mssante_professionals",
    "DESTMSSANTEPAT": "mssante_patient",
    "MASQUE_PS": "masked_to_professionals",
    "INVISIBLE_PATIENT": "hidden_from_patient",
    "INVISIBLE_REP_LEGAUX": "hidden_from_representatives",
    "INVISIBLE_REPRESENTANTS_LEGAUX": "hidden_from_representatives",
    "CONNEXION_SECRETE": "secret_connection",
    "MODIF_CONF_CODE": "update_visibility",
    "MODIF_CONFIDENTIALITYCODE": "update_visibility",
    "ACK_RECEPTION": "reception_receipt",
    "ACK_LECTURE_MSS": "reading_receipt",
    "ACK_LECTURE": "reading_receipt",
}
_BODIES = {"CORPSMAIL_PS": "mail_body_professionals", "CORPSMAIL_PATIENT": "mail_body_patient"}
_OBSOLETE = frozenset({"COMP_LOT"})
_META_CODES = frozenset({*_WISHES, *_BODIES, *_OBSOLETE})
_ORC = {"NW": "create", "RO": "replace", "CA": "delete"}
_OBX = {"F": "create", "C": "replace", "D": "delete"}
_EVENTS = {"T02": "create", "T10": "replace", "T04": "delete", "T11": "delete"}
_BASE_EVENTS = {"T02": "create", "T04": "replace", "T06": "create", "T08": "replace", "T10": "replace", "T11": "delete"}
"""What the events of MDM mean outside the French profile, where T04 is a change of status and T08 an edition."""
_FINAL = frozenset({"AU", "LA"})
_YES = {"Y": True, "O": True, "N": False}

_CDA_HEAD = 16_384
_CDA_ID = re.compile(rb"<(?:\w+:)?ClinicalDocument\b.*?<(?:\w+:)?id\b([^>]*)>", re.DOTALL)
_CDA_PARENT = re.compile(
    rb"<(?:\w+:)?relatedDocument\b[^>]*typeCode=[\"']RPLC[\"'][^>]*>.*?<(?:\w+:)?id\b([^>]*)>", re.DOTALL
)
_ATTRIBUTE = re.compile(rb"\b(root|extension)\s*=\s*[\"']([^\"']*)[\"']")


class DocumentReading(NamedTuple):
    """A document, and who sends it."""

    document: Document
    author: Professional | None
    recipients: tuple[Recipient, ...]


class _Participants(NamedTuple):
    sender: Professional | None
    organization: Organization | None
    recipients: tuple[Recipient, ...]
    reply_to: str | None


def is_meta(notes: Notebook, result: Result) -> bool:
    """Say whether an OBX is delivery metadata; old senders leave the coding system out."""
    return _names_meta(result.obx.raw(3), notes.syntax.component)


@lru_cache(maxsize=4096)
def _names_meta(raw: str, component: str) -> bool:
    return META in raw or raw.split(component, 1)[0].strip() in _META_CODES


def is_document(notes: Notebook, order: Order) -> bool:
    """Say whether an order of an ORU carries a document to be sent on, rather than results with a file."""
    profile = notes.message.header.raw(21)
    for result in order.results:
        if is_meta(notes, result):
            return True
        if result.obx.fields[2:3] == ["ED"]:
            parts = notes.syntax.components(result.obx.raw(5)[:64])
            if "CISIS_CDA" in profile or (len(parts) > 2 and parts[2].strip().upper() == "XML"):
                return True
    return False


def read_document(notes: Notebook, patient: PatientGroup, order: Order, event: str) -> DocumentReading:
    """Read one document with its wishes and recipients. `event` is the trigger (`R01`, `T02`…)."""
    obr, txa = order.obr, order.txa
    syntax = notes.syntax
    files, lines, texts = _parted(notes, order)
    attachments: list[Attachment] = []
    named: tuple[Coding | None, str | None] = (None, None)
    ids: tuple[str | None, str | None] = (None, None)
    for result in files:
        codes = coded(result.obx.raw(3), syntax)
        found = attachment_of(notes, result.obx, codes.text)
        if found is None:
            notes.leave_fields(result.obx, 5)
            continue
        attachments.append(found[0])
        if len(attachments) == 1:
            named = (codes.codes[0] if codes.codes else None, codes.text)
            ids = _ids_in_cda(found[1])
    if texts and not attachments:
        attachments.append(_typed_text(notes, texts))
    elif not attachments and event != "T11":
        notes.error("hl7v2.document.no_content", "OBX-5", "the message carries no document")
    kind = named[0] or (coding(obr.raw(4), syntax) if obr is not None else None)
    if kind is None and txa is not None and txa.code(2):
        kind = Coding(code=txa.code(2))
    wishes, bodies = _wishes(notes, lines)
    who = _participants(notes, order)
    operation = _operation(notes, order, files, event, french=_is_french(notes, lines))
    order_id = entity(syntax.components(obr.first(2)), syntax) if obr is not None else None
    report_id = entity(syntax.components(obr.first(3)), syntax) if obr is not None else None
    document = Document(
        document_id=_document_id(notes, txa, 12) or ids[0],
        replaces_id=_document_id(notes, txa, 13) or (ids[1] if operation is DocumentOperation.REPLACE else None),
        operation=operation,
        status=_status(txa),
        type=kind,
        title=named[1] or (kind.display if kind else None),
        created_at=(notes.time(txa, 4) or notes.time(txa, 6)) if txa is not None else None,
        author=_person(notes, txa, 9, 5),
        author_organization=who.organization,
        legal_authenticator=_person(notes, txa, 22, 10),
        confidentiality=_confidentiality(txa),
        order_id=order_id.value if order_id else None,
        report_id=report_id.value if report_id else None,
        visit=visit_of(notes, patient),
        wishes=wishes,
        reply_to=who.reply_to,
        mail_body_professionals=bodies.get("mail_body_professionals"),
        mail_body_patient=bodies.get("mail_body_patient"),
        recipients=who.recipients,
        comment=_comment(notes, order),
        attachments=tuple(attachments),
    )
    return DocumentReading(document, who.sender, who.recipients)


def _parted(notes: Notebook, order: Order) -> tuple[list[Result], list[Result], list[Result]]:
    """Part files, metadata and lines of text, and report what of their segments a document has no place for."""
    files: list[Result] = []
    lines: list[Result] = []
    texts: list[Result] = []
    for result in order.results:
        obx = result.obx
        notes.leave_fields(obx, *(n for n in _RESULTS_ONLY if obx.raw(n)))
        if is_meta(notes, result):
            lines.append(result)
            continue
        for nte in result.notes:
            notes.leave(nte)
        (files if obx.code(2) == "ED" else texts).append(result)
    if files:
        for result in texts:
            notes.leave(result.obx)
    if order.obr is not None:
        notes.leave_fields(order.obr, *(n for n in _ORDERS_ONLY if order.obr.raw(n)))
    if order.orc is not None:
        notes.leave_fields(order.orc, *(n for n in (2, 3, 12, 21) if order.orc.raw(n)))
    return files, lines, texts


_RESULTS_ONLY = (4, 6, 7, 8, 13, 14, 15, 16, 17, 19, 23, 24)
_ORDERS_ONLY = (7, 8, 13, 14, 15, 16, 20, 22, 24, 25, 26, 28, 29, 32)


def _typed_text(notes: Notebook, texts: list[Result]) -> Attachment:
    """Make a file of a document that was typed into OBX of type TX, FT or ST."""
    values = (value_of(notes, result.obx)[0] for result in texts)
    lines = [getattr(value, "text", None) or "" for value in values]
    content = "\n".join(lines).encode("utf-8")
    return Attachment(media_type="text/plain", size=len(content), data=base64.b64encode(content).decode("ascii"))


def _wishes(notes: Notebook, lines: list[Result]) -> tuple[Wishes | None, dict[str, str]]:
    said: dict[str, bool] = {}
    bodies: dict[str, str] = {}
    syntax = notes.syntax
    for result in lines:
        obx = result.obx
        code = syntax.code(obx.raw(3).split(syntax.component, 1)[0])
        if code in _BODIES:
            found = payload_of(notes, obx)
            if found is not None:
                bodies[_BODIES[code]] = _mail_text(found[1])
            else:
                notes.leave_fields(obx, 5)
            continue
        answer = _YES.get(obx.code(5).upper())
        if code in _WISHES and answer is not None:
            said[_WISHES[code]] = answer
        elif code not in _OBSOLETE:
            notes.warn("hl7v2.document.wish", obx.where(5), "this delivery wish is not known or is neither Y nor N")
            notes.leave(obx)
        else:
            notes.leave(obx)
        for nte in result.notes:
            if nte.code(4) == "FIN":
                said["patient_may_not_reply"] = True
            else:
                notes.leave(nte)
    return (Wishes(**said) if said else None), bodies


def _mail_text(content: bytes) -> str:
    """Decode a mail body: base64 has its own character set, UTF-8 or the Windows one."""
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return content.decode("cp1252", "replace")


def _participants(notes: Notebook, order: Order) -> _Participants:
    """Read the PRT: sender (SB), recipients (RCT), reply address (REPLY), by the first component of PRT-4."""
    sender: Professional | None = None
    place: Organization | None = None
    recipients: list[Recipient] = []
    reply_to: str | None = None
    for prt in (prt for result in order.results for prt in result.participants):
        role = prt.code(4)
        person = professional(prt.first(5), notes.syntax) if prt.raw(5) else None
        unit = organization(prt.first(8), notes.syntax) if prt.raw(8) else None
        found = (telecom(raw, notes.syntax) for raw in prt.repetitions(15))
        telecoms = tuple(one for one in found if one is not None)
        if role == "SB":
            sender, place = person, unit
            if sender is None and telecoms:
                sender = Professional(telecoms=telecoms)
            elif sender is not None:
                sender = sender.model_copy(update={"telecoms": telecoms})
        elif role == "RCT":
            recipients.append(_recipient(notes, prt, person, unit, telecoms))
        elif role == "REPLY":
            reply_to = telecoms[0].value if telecoms else None
        else:
            notes.leave(prt)
    for prt in order.participants:
        notes.leave(prt)
    return _Participants(sender, place, tuple(recipients), reply_to)


def _recipient(
    notes: Notebook,
    prt: Segment,
    person: Professional | None,
    unit: Organization | None,
    telecoms: tuple[Telecom, ...],
) -> Recipient:
    where = address(prt.first(14), notes.syntax) if prt.raw(14) else None
    if person is not None:
        person = person.model_copy(update={"telecoms": telecoms, "address": where})
    elif unit is not None:
        unit = unit.model_copy(update={"telecoms": telecoms, "address": where})
    else:
        person = Professional(telecoms=telecoms, address=where)
    return Recipient(professional=person, organization=unit, role=prt.code(4))


def _is_french(notes: Notebook, lines: list[Result]) -> bool:
    """Recognise the ANS profile: it is named in MSH-21, or its metadata are there."""
    return bool(lines) or "CISIS_CDA" in notes.message.header.raw(21)


def _operation(notes: Notebook, order: Order, files: list[Result], event: str, *, french: bool) -> DocumentOperation:
    """Read the operation from where it is said; in the ANS profile the OBX decides, and they must all agree."""
    if not french and event in _BASE_EVENTS:
        return DocumentOperation(_BASE_EVENTS[event])
    said: dict[str, str] = {}
    if event in _EVENTS:
        said["MSH-9"] = _EVENTS[event]
    if order.orc is not None and (asked := _ORC.get(order.orc.code(1))):
        said[order.orc.where(1)] = asked
    for result in files:
        if asked := _OBX.get(result.obx.code(11)):
            said[result.obx.where(11)] = asked
    if len(set(said.values())) > 1:
        notes.error(
            "hl7v2.document.operation", ", ".join(said), "the operation (send, replace, delete) is said differently"
        )
    return DocumentOperation(said[next(reversed(said))]) if said else DocumentOperation.CREATE


def _document_id(notes: Notebook, txa: Segment | None, n: int) -> str | None:
    """Read TXA-12 or 13: an OID, or extension and root; a second component that is no OID does not count."""
    if txa is None or not txa.raw(n) or txa.raw(n) == NULL:
        return None
    parts = [notes.syntax.code(part) for part in notes.syntax.components(txa.first(n))]
    root = parts[2] if len(parts) > 2 else ""
    return f"{root}^{parts[0]}" if root and parts[0] else parts[0] or None


def _ids_in_cda(content: bytes) -> tuple[str | None, str | None]:
    """Find the id of a CDA and of the document that it replaces, without parsing it."""
    head = content[:_CDA_HEAD]
    own = _CDA_ID.search(head)
    parent = _CDA_PARENT.search(content) if b"RPLC" in content else None
    return _id_of(own), _id_of(parent)


def _id_of(found: re.Match[bytes] | None) -> str | None:
    if found is None:
        return None
    said = {name: value.decode("utf-8", "replace") for name, value in _ATTRIBUTE.findall(found[1])}
    root, extension = said.get(b"root", ""), said.get(b"extension", "")
    return f"{root}^{extension}" if root and extension else root or None


def _status(txa: Segment | None) -> str | None:
    """Read TXA-17 as a FHIR docStatus."""
    code = txa.code(17) if txa is not None else ""
    return ("final" if code in _FINAL else "preliminary") if code else None


def _person(notes: Notebook, txa: Segment | None, *fields: int) -> Professional | None:
    if txa is None:
        return None
    given = [n for n in fields if txa.raw(n) and txa.raw(n) != NULL]
    if not given:
        return None
    if given[1:]:
        notes.leave_fields(txa, *given[1:])
    return professional(txa.first(given[0]), notes.syntax)


def _confidentiality(txa: Segment | None) -> tuple[Coding, ...]:
    code = txa.code(18) if txa is not None else ""
    return (Coding(system=coding_system("HL70272"), code=code),) if code else ()


def _comment(notes: Notebook, order: Order) -> str | None:
    texts = [notes.syntax.text(nte.raw(3)) for nte in order.notes if nte.raw(3) not in ("", NULL)]
    return "\n".join(texts) or None
