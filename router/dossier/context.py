"""What a decision looks at: the reader, the thing, and the dossier as it is at one moment. Values only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from router.dossier.matrix import Matrix, default_matrix
from schemas.circle import Member, RoleFamily
from schemas.consent import Consent, ConsentKind
from schemas.dossier import DossierState
from schemas.habilitation import DataCategory, Habilitation
from schemas.visibility import Mark, Restriction


class ReaderKind(StrEnum):
    """As what somebody asks."""

    PROFESSIONAL = "professional"
    STRUCTURE = "structure"
    """A structure with nobody named: it may be told and sent things, and reads nothing."""
    RELATIVE = "relative"
    PATIENT = "patient"
    """The person themself, in their own dossier: whoever builds this Reader has made sure of it."""
    AUDITOR = "auditor"
    """Who controls the use of the data: reads, and does nothing else."""


@dataclass(frozen=True, slots=True)
class Reader:
    """Who asks.

    `keys` recognise the person and `structures` those for whom they act (`schemas.circle.party_keys`). `tool` is the
    name of the coordination tool through which they come, empty when none. `tokens` are the blind tokens of the keys,
    by which what they wrote themselves is recognised (`router.dossier.readers`). `name` is what the audit says.
    """

    kind: ReaderKind
    name: str
    keys: frozenset[str] = frozenset()
    structures: frozenset[str] = frozenset()
    tool: str = ""
    tokens: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Thing:
    """What is asked for: its category and marks; when it happened (microseconds; None: it has no date).

    `author` is the blind token of who wrote it, `thing` that of what it is a version of: restrictions are by that.
    """

    category: DataCategory
    marks: Mark = Mark.NONE
    at: int | None = None
    author: int | None = None
    thing: int | None = None


@dataclass(frozen=True, slots=True)
class Seat:
    """A membership: its number, the member, and its period in microseconds (`end` is the first moment after it)."""

    id: int
    member: Member
    start: int
    end: int | None
    keys: frozenset[str]

    @property
    def family(self) -> RoleFamily:
        """The column of the matrix."""
        return self.member.family


@dataclass(frozen=True, slots=True)
class ConsentRecord:
    """A consent or opposition with its number and moments; `until` and `withdrawn` None where there is none."""

    id: int
    consent: Consent
    at: int
    until: int | None = None
    withdrawn: int | None = None

    def stands(self, now: int) -> bool:
        """Say whether it counts at this moment."""
        ended = self.until is not None and self.until <= now
        return self.at <= now and not ended and (self.withdrawn is None or self.withdrawn > now)


@dataclass(frozen=True, slots=True)
class Emergency:
    """A break-glass access that was opened: by whom, from when to when."""

    id: int
    keys: frozenset[str]
    at: int
    until: int


@dataclass(frozen=True, slots=True)
class Granted:
    """A habilitation with its moments, and the keys of its holder and of the structures that it is tied to."""

    id: int
    habilitation: Habilitation
    keys: frozenset[str]
    structures: frozenset[str]
    start: int
    end: int | None

    def stands(self, now: int) -> bool:
        """Say whether it counts at this moment."""
        return self.start <= now and (self.end is None or self.end > now)


@dataclass(frozen=True, slots=True)
class Context:
    """A dossier at one moment; `state` None is that there is none. Unknown is never taken for allowed."""

    now: int
    state: DossierState | None
    seats: tuple[Seat, ...] = ()
    consents: tuple[ConsentRecord, ...] = ()
    restrictions: Mapping[int, tuple[Restriction, ...]] = field(default_factory=dict)
    emergencies: tuple[Emergency, ...] = ()
    habilitations: tuple[Granted, ...] = ()
    matrix: Matrix = field(default_factory=default_matrix)

    def agreed(self, kind: ConsentKind, member: int | None = None, category: DataCategory | None = None) -> bool | None:
        """Give what the latest record of a kind that speaks of this says; None when none stands."""
        standing = [
            one
            for one in self.consents
            if one.consent.kind is kind and one.stands(self.now) and one.consent.covers(member, category)
        ]
        return max(standing, key=lambda one: (one.at, one.id)).consent.given if standing else None
