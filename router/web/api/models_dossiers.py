"""What the API takes and answers about coordination dossiers, as pydantic models. Times are ISO 8601 in UTC."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, Field

from router.dossier.accesses import AccessLine
from router.dossier.circle import MemberLine
from router.dossier.context import ConsentRecord, Granted
from router.dossier.dossiers import HistoryLine
from router.dossier.keeping import DossierLine
from router.dossier.matrices import MatrixVersion
from router.dossier.matrix import CellChange
from router.dossier.may import Rule
from router.dossier.overview import AlertLine, MemberAccess, Overview
from router.dossier.restrictions import RestrictionLine
from router.engine.clock import moment
from schemas.actors import Organization
from schemas.base import PartialDateTime
from schemas.circle import Member, RoleFamily
from schemas.coding import Coding, Identifier
from schemas.consent import Consent, EmergencyAccess
from schemas.dossier import CoordinationTool, Dossier, DossierState
from schemas.habilitation import DataCategory, Habilitation, Level
from schemas.visibility import Restriction

Why = Field("", max_length=400, description="Why: kept in the dossier's history.")


class DossierIn(BaseModel):
    """A dossier to open. Without `consent` (kind `opening-information`) it is only proposed."""

    patient_id: int
    owner: Organization
    tools: tuple[CoordinationTool, ...] = (CoordinationTool.OTHER,)
    identifiers: tuple[Identifier, ...] = ()
    reason: str | None = Field(None, max_length=2000)
    topics: tuple[Coding, ...] = ()
    consent: Consent | None = None
    why: str = Why


class StateIn(BaseModel):
    """A state to give to a dossier."""

    state: DossierState
    why: str = Why


class MemberIn(BaseModel):
    """A member to add, or to change: then with the `version` of the circle that was looked at."""

    member: Member
    version: int | None = None
    why: str = Why


class ListedMemberIn(BaseModel):
    """A professional to add by RPPS number: the directory says the rest.

    `family` is needed where the profession does not say it; `basis` is why they are of the «équipe de soins»; `invited`
    lets them see nothing before the person agreed.
    """

    rpps: str = Field(min_length=11, max_length=12, pattern=r"^[0-9]+$")
    gp: bool = False
    family: RoleFamily | None = None
    invited: bool = False
    basis: str = Field("", max_length=200)
    start: PartialDateTime | None = None
    why: str = Why


class EndIn(BaseModel):
    """The end of a membership: `on` is its last day; null is now."""

    on: str | None = None
    why: str = Why


class ConsentIn(BaseModel):
    """A record to keep."""

    consent: Consent
    why: str = Why


class RestrictionIn(BaseModel):
    """A thing to hide, or to keep to some."""

    item_id: int
    restriction: Restriction
    why: str = Why


class EmergencyIn(BaseModel):
    """An emergency access to open."""

    rpps: str = Field(min_length=1, max_length=20)
    who: str = Field(min_length=1, max_length=120)
    why: str = Field(min_length=1, max_length=400)
    hours: float = Field(2.0, gt=0, le=24)


class WhyIn(BaseModel):
    """Why something is done."""

    why: str = Why


class HabilitationIn(BaseModel):
    """A habilitation to grant."""

    habilitation: Habilitation
    why: str = Why


class MatrixIn(BaseModel):
    """A matrix to let hold, as CSV."""

    matrix: str
    why: str = Why


class DoneOut(BaseModel):
    """The number of what was made or changed, and the version of the circle."""

    number: int
    version: int | None


class DossierOut(BaseModel):
    """A dossier without its circle."""

    id: int
    patient_id: int
    version: int
    updated_at: datetime
    dossier: Dossier


class DossiersOut(BaseModel):
    """A page of open dossiers. `next` goes on from here as `after`; null at the end."""

    dossiers: list[DossierOut]
    next: int | None


class AccessOut(BaseModel):
    """What a member may do with a category, and the rule that decided."""

    category: DataCategory
    level: Level
    rule: Rule
    reason: str


class MemberOut(BaseModel):
    """A member, whether the membership stands, and what they may do with each category."""

    id: int
    standing: bool
    rpps: str | None
    mailbox: str | None
    member: Member
    added_at: datetime
    added_by: str
    accesses: list[AccessOut]


class ConsentOut(BaseModel):
    """A consent or opposition on record."""

    id: int
    consent: Consent
    withdrawn_at: datetime | None


class RestrictionOut(BaseModel):
    """A restriction that stands."""

    id: int
    restriction: Restriction
    at: datetime
    by: str


class AlertOut(BaseModel):
    """An alert, for how many members it was made, and how many of them read it."""

    id: int
    at: datetime
    event: str
    level: str
    notices: int
    read: int
    annulled: bool


class OverviewOut(DossierOut):
    """A dossier with everything around it."""

    members: list[MemberOut]
    consents: list[ConsentOut]
    restrictions: list[RestrictionOut]
    emergencies: list[EmergencyAccess]
    alerts: list[AlertOut]


class HistoryOut(BaseModel):
    """A change of a dossier."""

    id: int
    at: datetime
    actor: str
    action: str
    subject: int | None
    version: int
    why: str


class HistoriesOut(BaseModel):
    """A page of changes, newest first. `next` goes on from here as `before`; null at the end."""

    changes: list[HistoryOut]
    next: int | None


class DecisionOut(BaseModel):
    """Who asked for what, what was decided, and by which rule."""

    id: int
    at: datetime
    reader: str
    member_id: int | None
    item_id: int | None
    action: str
    category: str
    allowed: bool
    rule: str
    tool: str


class DecisionsOut(BaseModel):
    """A page of decisions, newest first. `next` goes on from here as `before`; null at the end."""

    accesses: list[DecisionOut]
    next: int | None


class VerdictOut(BaseModel):
    """What a member may do with an item, and why."""

    allowed: bool
    rule: Rule
    reason: str
    category: DataCategory


class CellOut(BaseModel):
    """A cell of the matrix that changes: `opens` when more is allowed than before."""

    category: DataCategory
    family: RoleFamily
    before: str
    after: str
    opens: bool


class MatrixOut(BaseModel):
    """The matrix that holds, as CSV, and the cells that were just changed."""

    matrix: str
    changes: list[CellOut]


class VersionOut(BaseModel):
    """A matrix that was brought."""

    id: int
    at: datetime
    actor: str
    why: str
    changes: list[CellOut]


class HabilitationOut(BaseModel):
    """A habilitation, and whether it stands."""

    id: int
    standing: bool
    habilitation: Habilitation


def dossier_out(line: DossierLine) -> DossierOut:
    """Put a dossier into its answer."""
    return DossierOut(
        id=line.id,
        patient_id=line.patient_id,
        version=line.version,
        updated_at=moment(line.updated_at),
        dossier=line.body,
    )


def overview_out(found: Overview) -> OverviewOut:
    """Put a whole dossier into its answer."""
    return OverviewOut(
        **dossier_out(found.line).model_dump(),
        members=[_member_out(one) for one in found.members],
        consents=[_consent_out(one) for one in found.consents],
        restrictions=[_restriction_out(one) for one in found.restrictions],
        emergencies=list(found.emergencies),
        alerts=[_alert_out(one) for one in found.alerts],
    )


def _member_out(one: MemberAccess) -> MemberOut:
    line: MemberLine = one.line
    return MemberOut(
        id=line.seat.id,
        standing=line.standing,
        rpps=line.rpps,
        mailbox=line.mailbox,
        member=line.seat.member,
        added_at=moment(line.added_at),
        added_by=line.added_by,
        accesses=[
            AccessOut(category=each.category, level=each.level, rule=each.rule, reason=each.reason)
            for each in one.accesses
        ],
    )


def _consent_out(one: ConsentRecord) -> ConsentOut:
    return ConsentOut(
        id=one.id, consent=one.consent, withdrawn_at=None if one.withdrawn is None else moment(one.withdrawn)
    )


def _restriction_out(one: RestrictionLine) -> RestrictionOut:
    return RestrictionOut(id=one.id, restriction=one.restriction, at=moment(one.at), by=one.by)


def _alert_out(one: AlertLine) -> AlertOut:
    return AlertOut(
        id=one.id,
        at=moment(one.at),
        event=one.event,
        level=one.level,
        notices=one.notices,
        read=one.read,
        annulled=one.annulled,
    )


def history_out(one: HistoryLine) -> HistoryOut:
    """Put a change into its answer."""
    return HistoryOut(
        id=one.id,
        at=moment(one.at),
        actor=one.actor,
        action=one.action,
        subject=one.subject,
        version=one.version,
        why=one.why,
    )


def decision_out(one: AccessLine) -> DecisionOut:
    """Put a decision into its answer."""
    return DecisionOut(
        id=one.id,
        at=moment(one.at),
        reader=one.reader,
        member_id=one.member_id,
        item_id=one.item_id,
        action=one.action.value,
        category=one.category,
        allowed=one.allowed,
        rule=one.rule,
        tool=one.tool,
    )


def cell_out(one: CellChange) -> CellOut:
    """Put a cell that changes into its answer."""
    return CellOut(
        category=one.category, family=one.family, before=one.before.text, after=one.after.text, opens=one.opens
    )


def version_out(one: MatrixVersion) -> VersionOut:
    """Put a matrix that was brought into its answer."""
    return VersionOut(
        id=one.id, at=moment(one.at), actor=one.actor, why=one.why, changes=[cell_out(each) for each in one.changes]
    )


def habilitation_out(one: Granted, now: int) -> HabilitationOut:
    """Put a habilitation into its answer."""
    return HabilitationOut(id=one.id, standing=one.stands(now), habilitation=one.habilitation)
