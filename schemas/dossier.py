"""The coordination dossier: the shared space of one person (MOS `DossierPersonnePriseCharge`).

There is no FHIR profile for it. One person has one dossier, and one circle of care in it.
"""

from __future__ import annotations

from enum import StrEnum

from schemas.actors import Organization
from schemas.base import Frozen, PartialDateTime
from schemas.coding import Coding, Identifier


class DossierState(StrEnum):
    """Life of a dossier: nothing of it is visible to anybody in the circle unless it is active."""

    PROPOSED = "proposed"
    ACTIVE = "active"
    SUSPENDED = "suspended"
    CLOSED = "closed"


class CoordinationTool(StrEnum):
    """The tools in which a dossier is to be mirrored."""

    SICODOM = "sicodom"
    PARCOURS = "parcours"
    SPICO = "spico"
    MESPATIENTS = "mespatients"
    OTHER = "other"


class Dossier(Frozen):
    """A dossier as a person opened it.

    `key` is its UUID; `identifiers` are its numbers in the coordination tools, one each. `owner` is the responsible
    structure (DAC, SSIAD…), `topics` the pathways that it belongs to. Its circle and its consents are apart.
    """

    key: str
    identifiers: tuple[Identifier, ...] = ()
    owner: Organization
    tools: tuple[CoordinationTool, ...] = (CoordinationTool.OTHER,)
    state: DossierState = DossierState.PROPOSED
    opened_on: PartialDateTime
    closed_on: PartialDateTime | None = None
    inclusion_reason: str | None = None
    topics: tuple[Coding, ...] = ()
