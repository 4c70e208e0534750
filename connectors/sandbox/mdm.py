"""A CDA on its way: MDM^T02, or T10 for a new version, with the wishes about its delivery (ANS profile 2.1)."""

from __future__ import annotations

import base64
from datetime import datetime

from connectors.sandbox.adt import Movement, Visit
from connectors.sandbox.cda import HOSPITAL_FINESS
from connectors.sandbox.er7 import AUTHORITY, message, msh, pid, professional, segment, stamp
from connectors.sandbox.people import HOSPITAL_NAME, PRESCRIBER, Person

_WISHES = (
    ("MASQUE_PS", "N"),
    ("INVISIBLE_PATIENT", "N"),
    ("INVISIBLE_REP_LEGAUX", "N"),
    ("CONNEXION_SECRETE", "N"),
    ("MODIF_CONF_CODE", "N"),
    ("DESTDMP", "Y"),
    ("DESTMSSANTEPS", "N"),
    ("DESTMSSANTEPAT", "N"),
)


def mdm(
    person: Person,
    visit: Visit,
    movement: Movement,
    cda: bytes,
    *,
    document_id: str,
    kind: tuple[str, str],
    control_id: str,
    at: datetime,
    replaces: str = "",
) -> bytes:
    """Write one MDM^T02 around a CDA; `kind` is its type, a LOINC code with its label.

    With the id of a document that it `replaces`, the message is MDM^T10, and event, order and result all say so.
    """
    event, control, status = ("T10", "RO", "C") if replaces else ("T02", "NW", "F")
    kind_field = f"{kind[0]}^{kind[1]}^LN"
    sender = f"{HOSPITAL_NAME}^^^^^ASIP-SANTE-ST&1.2.250.1.71.4.2.2&ISO^FINEG^^^{HOSPITAL_FINESS}"
    obx = {1: "1", 2: "ED", 3: kind_field, 5: f"^text^XML^Base64^{base64.b64encode(cda).decode()}", 11: status}
    segments = [
        msh(
            f"MDM^{event}^MDM_T02",
            sender="DPI-FICTIF",
            facility=HOSPITAL_NAME,
            control_id=control_id,
            at=at,
            version="2.6",
            profile="2.1^CISIS_CDA_HL7_V2",
        ),
        segment("EVN", {2: stamp(at), 6: stamp(at)}),
        pid(person, account=visit.account),
        segment(
            "PV1",
            {
                1: "1",
                2: visit.patient_class,
                3: f"{movement.unit.code}^{movement.room}^{movement.bed}^{AUTHORITY}^O",
                7: professional(PRESCRIBER),
                19: f"{visit.number}^^^{AUTHORITY}^VN",
            },
        ),
        segment("ORC", {1: control}),
        segment("OBR", {1: "1", 4: kind_field}),
        segment("TXA", {1: "1", 2: kind[0], 3: "TEXT", 12: document_id, 13: replaces, 17: "AU"}),
        segment("OBX", obx),
        segment("PRT", {2: "UC", 4: "SB^Send by^participation", 5: professional(PRESCRIBER), 8: sender}),
    ]
    for rank, (code, wish) in enumerate(_WISHES, start=2):
        fields = {1: str(rank), 2: "CWE", 3: f"{code}^^MetaDMPMSS", 5: f"{wish}^^expandedYes-NoIndicator", 11: "F"}
        segments.append(segment("OBX", fields))
    return message(segments)
