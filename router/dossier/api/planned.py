"""Steps of a request that may be done, before anything is."""

from __future__ import annotations

from dataclasses import dataclass, field

from router.dossier.api.care_teams import TeamChange
from router.dossier.api.outcomes import Refused
from router.dossier.api.steps import Step
from router.dossier.store.elements import Resource
from router.dossier.store.indexing import Indexed
from router.dossier.store.searching import Found


@dataclass(slots=True)
class Planned:
    """A step that may be done: what will be kept under which reference, or what is there already."""

    step: Step
    key: str
    found: Found | None = None
    patient: Found | None = None
    resource: Resource | None = None
    indexed: Indexed | None = None
    status: int = 200
    version: int = 0
    at: int = 0
    team: TeamChange | None = None
    """What a CareTeam changes in the circle."""

    absorbed: bool = False
    """A relative who becomes a member by the CareTeam of the same request: the circle makes the resource."""


@dataclass(slots=True)
class Written:
    """What came of a request: what was done, or why nothing was."""

    done: list[Planned] = field(default_factory=list)
    refused: Refused | None = None
