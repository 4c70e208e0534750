"""Who sends a document, who shall get it, and how: PRT, and the OBX MetaDMPMSS with their mails (fact sheet §6)."""

from __future__ import annotations

import base64

from mappings.contracts import WriteContext
from mappings.hl7v2.document_wishes import BODIES, META, NO_REPLY, WISHES
from mappings.hl7v2.pen import Pen
from mappings.hl7v2.written_profile import ANSWERS, LPS
from mappings.hl7v2.written_types import xad, xcn, xon, xtn
from schemas.actors import Address, Organization, Professional, Recipient, Telecom
from schemas.coding import Coding
from schemas.document import Document, Wishes
from schemas.finding import Severity
from schemas.item import DocumentItem
from schemas.value_sets import code_system_url

_ROLES = {"SB": "Send by", "RCT": "Result Copies To", "REPLY": "Reply To"}
_LPS_WISHES = frozenset(
    {"MASQUE_PS", "INVISIBLE_PATIENT", "INVISIBLE_REP_LEGAUX", "MODIF_CONF_CODE", "ACK_LECTURE_MSS"}
)
_VISIBILITY = code_system_url("1.2.250.1.213.1.1.4.13")
_LABELS = {
    "MASQUE_PS": "masked_to_professionals",
    "INVISIBLE_PATIENT": "hidden_from_patient",
    "INVISIBLE_REPRESENTANTS_LEGAUX": "hidden_from_representatives",
}
"""Confidentiality codes of TRE_A07 that are wishes in HL7v2."""


def is_visibility(label: Coding) -> bool:
    """Say whether a label says who shall not see the document, which HL7v2 says as a wish."""
    return label.code in _LABELS and code_system_url(label.system or "") == _VISIBILITY


def write_delivery(pen: Pen, item: DocumentItem) -> None:
    """Write the PRT: sender, recipients, reply address."""
    _write_sender(pen, item)
    for one in dict.fromkeys((*item.recipients, *item.content.recipients)):
        _write_recipient(pen, one)
    if item.content.reply_to:
        pen.begin("PRT")
        _participation(pen, "REPLY", telecoms=(Telecom(kind="mssante", value=item.content.reply_to),))


def _write_sender(pen: Pen, item: DocumentItem) -> None:
    document = item.content
    wanted = document.wishes is not None and document.wishes.dmp
    person = item.author or (document.author if wanted else None)
    place = (item.author.organization if item.author else None) or document.author_organization
    place = place or (item.sender if wanted else None)
    if person is None and place is None:
        if wanted:
            pen.begin("PRT")
            pen.note(Severity.WARNING, "hl7v2.write.sender", "the DMP asks who sends; the item does not say")
        return
    pen.begin("PRT")
    if place is not None and place is item.sender:
        message = "nothing says from where the document is sent; the sender of the item was written"
        pen.note(Severity.INFO, "hl7v2.write.sender", message)
    _participation(pen, "SB", person, place, person.telecoms if person else ())


def _write_recipient(pen: Pen, given: Recipient) -> None:
    pen.begin("PRT")
    if given.role not in (None, "", "RCT"):
        pen.lost("the role of a recipient")
    person, place = given.professional, given.organization
    if person is not None and person.organization is not None and place is not None:
        pen.lost("the organisation of a professional")
    place = place or (person.organization if person else None)
    main: Professional | Organization | None = person if person is not None else place
    if person is not None and place is not None and (place.telecoms or place.address):
        pen.lost("the address of an organisation")
    if main is not None:
        _participation(pen, "RCT", person, place, main.telecoms, main.address)


def _participation(
    pen: Pen,
    role: str,
    person: Professional | None = None,
    place: Organization | None = None,
    telecoms: tuple[Telecom, ...] = (),
    address: Address | None = None,
) -> None:
    where = place.model_copy(update={"address": None, "telecoms": ()}) if place is not None else None
    pen.segment(
        "PRT",
        {
            2: "UC",
            4: f"{role}^{_ROLES[role]}^participation",
            5: xcn(pen, person, with_place=True, with_telecoms=True),
            8: xon(pen, where),
            14: xad(pen, address) if address is not None else "",
            15: "~".join(xtn(pen, one) for one in telecoms),
        },
    )


def wishes_of(document: Document, own: Document) -> Wishes | None:
    """Give the wishes, with those that labels of visibility say; a CDA says its own labels itself."""
    known = {one.code for one in own.confidentiality}
    said = {
        _LABELS[label.code]: True
        for label in document.confidentiality
        if is_visibility(label) and label.code not in known
    }
    if not said:
        return document.wishes
    return (document.wishes or Wishes()).model_copy(update=said)


def write_metadata(
    pen: Pen, document: Document, own: Document, rank: int, context: WriteContext, *, profile: str, mdm: bool
) -> None:
    """Write the wishes and the mails, from the OBX of this rank on."""
    lps = LPS in profile
    if lps and document.mail_body_professionals:
        pen.begin("OBX")
        named = pen.components((pen.text(context.identity), pen.text(document.title)))
        pen.segment("OBX", {1: str(rank), 2: "ED", 3: named, 5: _mail(document.mail_body_professionals), 11: "F"})
        rank += 1
    wishes = wishes_of(document, own)
    if wishes is not None:
        rank = _write_wishes(pen, wishes, rank, lps=lps, mdm=mdm)
    elif profile:
        pen.note(Severity.WARNING, "hl7v2.write.wishes", "the profile asks for delivery wishes; the item has none")
    for code, body in BODIES.items():
        text: str | None = getattr(document, body.field)
        if not text or (lps and body.field == "mail_body_professionals"):
            continue
        pen.begin("OBX")
        named = pen.components((code, pen.text(body.label), META))
        word = "^text^^Base64^" if mdm else "^TEXT^^Base64^"
        pen.segment("OBX", {1: str(rank), 2: "ED", 3: named, 5: _mail(text, word), 11: "F"})
        rank += 1


def _mail(text: str, word: str = "^text^^Base64^") -> str:
    return word + base64.b64encode(text.encode("utf-8")).decode("ascii")


def _write_wishes(pen: Pen, wishes: Wishes, rank: int, *, lps: bool, mdm: bool) -> int:
    silent = False
    for code, wish in WISHES.items():
        answer: bool | None = getattr(wishes, wish.field)
        if lps and code not in _LPS_WISHES:
            if answer:
                pen.begin("OBX")
                pen.lost(f"the wish {code}")
            continue
        if answer is None and not wish.required:
            continue
        silent = silent or answer is None
        pen.begin("OBX")
        named = pen.components((code, pen.text(wish.label), META))
        kind = "CWE" if mdm else "CE"
        pen.segment("OBX", {1: str(rank), 2: kind, 3: named, 5: ANSWERS[bool(answer)], 11: "F"})
        rank += 1
        if code == "DESTMSSANTEPAT" and wishes.patient_may_not_reply:
            pen.begin("NTE")
            pen.segment("NTE", {1: "1", 4: NO_REPLY})
    if silent:
        pen.note(Severity.INFO, "hl7v2.write.wishes", "wishes that the item does not state were written as N")
    return rank
