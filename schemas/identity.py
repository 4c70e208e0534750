"""A patient's identity as the national rules (RNIV, INS referential) see it."""

from __future__ import annotations

from enum import StrEnum

from schemas.actors import Address, Professional, Telecom
from schemas.base import Frozen, PartialDate, PartialDateTime
from schemas.coding import Coding, Identifier


class IdentityStatus(StrEnum):
    """The four RNIV statuses. Only `qualified` lets an INS be used or sent."""

    PROVISIONAL = "provisional"
    RETRIEVED = "retrieved"
    VALIDATED = "validated"
    QUALIFIED = "qualified"


class IdentityAttribute(StrEnum):
    """RNIV attributes beside the status; `doubtful` and `fictitious` forbid the use of an INS."""

    HOMONYM = "homonym"
    DOUBTFUL = "doubtful"
    FICTITIOUS = "fictitious"


class Sex(StrEnum):
    """Administrative sex: F, M, or U when it is not known (`I` of the INS referential is read as U)."""

    FEMALE = "F"
    MALE = "M"
    UNKNOWN = "U"


class Ins(Frozen):
    """An INS: the 15-character matricule with its key, and the OID that says NIR, NIA, test or demonstration.

    Readers put here only an INS that the sender's format may assert (HL7v2: PID-32 VALI; HPRIM Santé 2.5);
    what they received and may not use stays in `PatientIdentity.identifiers` with a Finding.
    """

    matricule: str
    oid: str


class PatientIdentity(Frozen):
    """Who the message says that it is about: exactly what was sent, None where nothing was.

    `birth_name`/`birth_given_names` are the traits of the civil status, `used_name`/`used_given_name` those of
    daily life, `family_name`/`given_name` a name whose kind the sender did not state (HPRIM Médecin).
    `birth_place` is the COG code (commune or country) and `birth_place_name` its label.
    `deleted` lists the fields of this model that the sender explicitly removed (HL7v2 `""`).
    """

    ins: Ins | None = None
    status: IdentityStatus | None = None
    attributes: tuple[IdentityAttribute, ...] = ()
    identifiers: tuple[Identifier, ...] = ()
    birth_name: str | None = None
    birth_given_names: tuple[str, ...] = ()
    first_given_name: str | None = None
    used_name: str | None = None
    used_given_name: str | None = None
    family_name: str | None = None
    given_name: str | None = None
    civility: str | None = None
    birth_date: PartialDate | None = None
    birth_date_corrected: bool | None = None
    sex: Sex | None = None
    birth_place: str | None = None
    birth_place_name: str | None = None
    addresses: tuple[Address, ...] = ()
    telecoms: tuple[Telecom, ...] = ()
    marital_status: Coding | None = None
    citizenships: tuple[str, ...] = ()
    deceased: bool | None = None
    deceased_at: PartialDateTime | None = None
    confidential: bool | None = None
    general_practitioner: Professional | None = None
    deleted: tuple[str, ...] = ()
