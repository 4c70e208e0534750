"""The delivery wishes of a document (OBX MetaDMPMSS of the ANS profile, fact sheet §6), and the bodies of its mails."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from mappings.hl7v2.attachments import payload_of
from mappings.hl7v2.groups import Result
from mappings.hl7v2.notebook import Notebook
from schemas.document import Wishes

META = "MetaDMPMSS"


class Wish(NamedTuple):
    """A wish: its field in `Wishes`, the label that OBX-3 gives it, whether the profile wants it in every message."""

    field: str
    label: str
    required: bool = True


WISHES = {
    "MASQUE_PS": Wish("masked_to_professionals", "Masqué aux professionnels de Santé"),
    "INVISIBLE_PATIENT": Wish("hidden_from_patient", "Document Non Visible par le patient"),
    "INVISIBLE_REP_LEGAUX": Wish("hidden_from_representatives", "Non visible par les représentants Légaux du patient"),
    "CONNEXION_SECRETE": Wish("secret_connection", "Connexion Secrete"),
    "MODIF_CONF_CODE": Wish("update_visibility", "Modification Confidentiality Code"),
    "DESTDMP": Wish("dmp", "Destinataire DMP"),
    "DESTMSSANTEPS": Wish(
        "mssante_professionals", "Destinataire (Professionnel de Santé, organisation ou BAL applicative)"
    ),
    "DESTMSSANTEPAT": Wish("mssante_patient", "Destinataire Patient"),
    "ACK_RECEPTION": Wish("reception_receipt", "Accusé de réception", required=False),
    "ACK_LECTURE_MSS": Wish("reading_receipt", "Accusé de lecture", required=False),
}
"""The wishes, in the order that the profile asks for."""

BODIES = {
    "CORPSMAIL_PS": Wish("mail_body_professionals", "Corps du mail pour un PS"),
    "CORPSMAIL_PATIENT": Wish("mail_body_patient", "Corps du mail pour le patient"),
}
NO_REPLY = "FIN"
"""NTE-4 after DESTMSSANTEPAT: the patient may not reply."""

_ALIASES = {
    "INVISIBLE_REPRESENTANTS_LEGAUX": "INVISIBLE_REP_LEGAUX",
    "MODIF_CONFIDENTIALITYCODE": "MODIF_CONF_CODE",
    "ACK_LECTURE": "ACK_LECTURE_MSS",
}
_OBSOLETE = frozenset({"COMP_LOT"})
_CODES = frozenset({*WISHES, *_ALIASES, *BODIES, *_OBSOLETE})
_YES = {"Y": True, "O": True, "N": False}


def is_meta(notes: Notebook, result: Result) -> bool:
    """Say whether an OBX is delivery metadata; old senders leave the coding system out."""
    return _names_meta(result.obx.raw(3), notes.syntax.component)


@lru_cache(maxsize=4096)
def _names_meta(raw: str, component: str) -> bool:
    return META in raw or raw.split(component, 1)[0].strip() in _CODES


def read_wishes(notes: Notebook, lines: list[Result]) -> tuple[Wishes | None, dict[str, str]]:
    """Read the wishes, and the mail bodies by their field."""
    said: dict[str, bool] = {}
    bodies: dict[str, str] = {}
    for result in lines:
        obx = result.obx
        code = notes.syntax.code(obx.raw(3).split(notes.syntax.component, 1)[0])
        code = _ALIASES.get(code, code)
        if code in BODIES:
            text = read_mail(notes, result)
            if text is not None:
                bodies[BODIES[code].field] = text
            continue
        answer = _YES.get(obx.code(5).upper())
        if code in WISHES and answer is not None:
            said[WISHES[code].field] = answer
        else:
            if code not in _OBSOLETE:
                notes.warn("hl7v2.document.wish", obx.where(5), "this delivery wish is not known or is neither Y nor N")
            notes.leave(obx)
        for nte in result.notes:
            if nte.code(4) == NO_REPLY:
                said["patient_may_not_reply"] = True
            else:
                notes.leave(nte)
    return (Wishes(**said) if said else None), bodies


def read_mail(notes: Notebook, result: Result) -> str | None:
    """Read the body of a mail: base64 has its own character set, UTF-8 or the Windows one."""
    found = payload_of(notes, result.obx)
    if found is None:
        notes.leave_fields(result.obx, 5)
        return None
    try:
        return found[1].decode("utf-8")
    except UnicodeDecodeError:
        return found[1].decode("cp1252", "replace")
