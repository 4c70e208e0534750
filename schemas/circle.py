"""The circle of care of a person: who takes part, as what, from when to when (FHIR CareTeam, ANS "cercle de soins").

A member who leaves and comes back is two members, each with its own period (CDS `participant.period`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Annotated

from pydantic import StringConstraints, model_validator

from schemas.actors import Organization, Professional, Telecom
from schemas.base import Frozen, PartialDateTime
from schemas.coding import Coding, Identifier
from schemas.tables import rows

PCP = "PCP"
"""Role of the general practitioner whom the person chose (TRE_R259, "médecin traitant")."""

RPPS_SYSTEMS = frozenset({"https://rpps.esante.gouv.fr", "http://rpps.esante.gouv.fr"})
IDNPS_SYSTEM = "urn:oid:1.2.250.1.71.4.2.1"
FINESS_SYSTEMS = frozenset({"http://finess.esante.gouv.fr", "https://finess.esante.gouv.fr"})
IDNST_SYSTEM = "urn:oid:1.2.250.1.71.4.2.2"
_FINESS_TYPES = frozenset({"FINEG", "FINEJ", "FINESS"})


class RoleFamily(StrEnum):
    """The columns of the habilitation matrix. `patient` is the person themself, who is no member of the circle."""

    PHYSICIAN = "physician"
    HEALTH = "health"
    MEDICO_SOCIAL = "medico_social"
    SOCIAL = "social"
    RELATIVE = "relative"
    COORDINATION = "coordination"
    PATIENT = "patient"


class MemberState(StrEnum):
    """State of a membership; the words are FHIR's. Only `active` and `proposed` ones can ever read."""

    PROPOSED = "proposed"
    ACTIVE = "active"
    SUSPENDED = "suspended"
    INACTIVE = "inactive"
    ENTERED_IN_ERROR = "entered-in-error"


class Channel(StrEnum):
    """How a member is told of something. `sms` and `email` are ordinary channels: no health data goes through them."""

    WEBHOOK = "webhook"
    PUSH = "push"
    MSSANTE = "mssante"
    SMS = "sms"
    EMAIL = "email"

    @property
    def is_ordinary(self) -> bool:
        """Whether anybody on the way may read it."""
        return self in {Channel.SMS, Channel.EMAIL}


ClockTime = Annotated[str, StringConstraints(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]
"""A time of day, `HH:MM`, in the zone of the router."""


class Preferences(Frozen):
    """How a member wishes to be told: the first of `channels` is used.

    `events` says whether hospital events are told: None is the usual of the family (a relative is told only when they
    asked for it). Between `quiet_from` and `quiet_to` only urgent notices are sent; others wait.
    """

    channels: tuple[Channel, ...] = ()
    events: bool | None = None
    quiet_from: ClockTime | None = None
    quiet_to: ClockTime | None = None


class Relative(Frozen):
    """Somebody close to the person, or a helper (FHIR RelatedPerson): relation as RoleCode (JDV_J11)."""

    identifiers: tuple[Identifier, ...] = ()
    family_name: str
    given_name: str | None = None
    relation: Coding | None = None
    legal_representative: bool = False
    telecoms: tuple[Telecom, ...] = ()


class Member(Frozen):
    """A member of a circle.

    The member is `professional` (with the structure where they act in `organization`), `relative`, or else
    `organization` as a whole: then its named staff act through it. `role` is PCP or a class of TRE_R260, `profession`
    a code of TRE_G15, R85, R94 or R95. `in_care_team` with its `basis` says that L.1110-12 CSP holds: outside the
    "équipe de soins", nothing is shared without consent. `backlog` lets them see what is older than their period.
    """

    state: MemberState = MemberState.ACTIVE
    family: RoleFamily
    role: Coding | None = None
    profession: Coding | None = None
    professional: Professional | None = None
    organization: Organization | None = None
    relative: Relative | None = None
    start: PartialDateTime
    end: PartialDateTime | None = None
    in_care_team: bool = False
    basis: str | None = None
    backlog: bool = False
    preferences: Preferences = Preferences()

    @model_validator(mode="after")
    def _is_somebody(self) -> Member:
        if self.professional is None and self.organization is None and self.relative is None:
            raise ValueError("a member is a professional, an organization or a relative")
        if self.professional is not None and self.relative is not None:
            raise ValueError("a member is a professional or a relative, not both")
        if (self.family is RoleFamily.RELATIVE) != (self.relative is not None):
            raise ValueError("the family relative is that of relatives, and theirs only")
        if self.family is RoleFamily.PATIENT:
            raise ValueError("the person themself is no member of their circle")
        return self

    @property
    def is_pcp(self) -> bool:
        """Whether this is the person's own general practitioner."""
        return self.role is not None and self.role.code == PCP

    @property
    def is_structure(self) -> bool:
        """Whether a whole structure is the member, and its staff act through it."""
        return self.professional is None and self.relative is None

    @property
    def identifiers(self) -> tuple[Identifier, ...]:
        """The identifiers of whoever is the member."""
        party = self.professional or self.relative or self.organization
        return party.identifiers if party is not None else ()

    @property
    def rpps(self) -> str | None:
        """The RPPS number of a professional, 11 digits."""
        found = (key for key in party_keys(self.identifiers) if key.startswith("rpps|"))
        return next((key.partition("|")[2] for key in found), None)

    @property
    def mailbox(self) -> str | None:
        """The MSSanté address: the professional's own, else that of the structure."""
        for party in (self.professional, self.organization):
            for telecom in party.telecoms if party is not None else ():
                if telecom.kind == "mssante":
                    return telecom.value
        return None

    @property
    def label(self) -> str:
        """A name to show."""
        if self.professional is not None:
            one = self.professional
            parts = (one.civility, one.given_name, one.family_name) if one.family_name else (one.name,)
            return " ".join(part for part in parts if part) or (self.rpps or "")
        if self.relative is not None:
            return " ".join(part for part in (self.relative.given_name, self.relative.family_name) if part)
        return (self.organization.name or "") if self.organization is not None else ""


def party_keys(identifiers: Iterable[Identifier]) -> frozenset[str]:
    """Give what recognises a professional, a structure or a relative: `kind|value`, the same however it is written.

    RPPS is met under its own system and as national identifier (IDNPS: `8` before the number); FINESS likewise.
    """
    return frozenset(key for one in identifiers if (key := _key(one)))


def _key(identifier: Identifier) -> str:
    value = "".join(identifier.value.split()).upper()
    system, kind = identifier.system or "", identifier.type or ""
    if not value:
        return ""
    if system == IDNPS_SYSTEM or kind == "IDNPS":
        if value[0] == "8" and len(value) == 12:
            return f"rpps|{value[1:]}"
        # HL7v2 also writes the eleven digits under this authority, and says by the type that they are the RPPS.
        return f"rpps|{value}" if kind == "RPPS" else f"idnps|{value}"
    if system in RPPS_SYSTEMS or kind == "RPPS":
        return f"rpps|{value}"
    if kind in _FINESS_TYPES and value.isalnum() and len(value) == 9:
        return f"finess|{value}"  # whatever its system: the national one of structures holds it bare, too
    if system == IDNST_SYSTEM or kind == "IDNST":
        return f"finess|{value[1:]}" if value[0] == "1" and len(value) == 10 else f"idnst|{value}"
    if system in FINESS_SYSTEMS or kind in _FINESS_TYPES or system == "urn:oid:1.2.250.1.71.4.2.2":
        return f"finess|{value}"
    return f"{system}|{value}" if system else ""


def family_of(profession: Coding | None, role: Coding | None = None) -> RoleFamily | None:
    """Give the family that goes with a profession or a role, None when a person must say it.

    The table is `schemas/data/role_families.csv`: a line without a code is for its whole system.
    """
    if role is not None and role.code == PCP:
        return RoleFamily.PHYSICIAN
    if profession is None:
        return None
    for code in (profession.code, ""):
        for row in rows("role_families.csv"):
            if row["code"] == code and _same_system(profession.system, row):
                return RoleFamily(row["family"])
    return None


def _same_system(system: str | None, row: Mapping[str, str]) -> bool:
    bare = (system or "").removeprefix("urn:oid:")
    return bare in {row["oid"], row["name"]} or (f"/{row['name']}" in bare and bool(row["name"]))
