"""Who may do what with a thing of a dossier: one pure function that decides every read and every push, with its rule.

The rules are those of L.1110-4 and L.1110-12 CSP as the project's fact sheet orders them: dossier, oppositions, circle,
period, consent outside the team, visibility, habilitations, matrix. The first that denies is the one that is told;
somebody who is a member twice is allowed what one of the two allows.

`router.dossier.visible` is the same decision put to a query.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from router.dossier.context import Context, Granted, Reader, ReaderKind, Seat, Thing
from router.dossier.matrix import Condition
from schemas.circle import MemberState, RoleFamily
from schemas.consent import ConsentKind
from schemas.dossier import DossierState
from schemas.habilitation import Action, DataCategory, HolderKind
from schemas.visibility import Mark


class Rule(StrEnum):
    """The rule that decided: stable codes, shown in words by the dashboard (`dossier_rule` in its texts)."""

    MATRIX = "matrix"
    EMERGENCY = "emergency"
    AUDITOR = "auditor"
    NO_DOSSIER = "no_dossier"
    NOT_ACTIVE = "dossier_not_active"
    CLOSED = "dossier_closed"
    NOT_INFORMED = "opening_consent"
    OPPOSED_TOTAL = "opposition_total"
    OPPOSED_MEMBER = "opposition_member"
    OPPOSED_CATEGORY = "opposition_category"
    NOT_MEMBER = "not_in_circle"
    ENDED = "membership_ended"
    NOT_STARTED = "membership_not_started"
    SUSPENDED = "membership_suspended"
    NOT_NAMED = "reader_not_named"
    OUTSIDE_PERIOD = "outside_period"
    OUTSIDE_TEAM = "consent_outside_team"
    HOSPITAL = "hospital_notification"
    VERY_RESTRICTED = "very_restricted"
    MASKED_HEALTH = "masque_ps"
    MASKED_SOCIAL = "masque_psocial"
    MASKED_THIRD = "masque_pt"
    MASKED_PATIENT = "invisible_patient"
    MASKED_REPRESENTATIVE = "invisible_representants_legaux"
    HIDDEN = "restriction"
    NON_HEALTH = "matrix_non_health"
    PREFERENCE = "matrix_preference"
    TOOL = "habilitation_tool"
    STRUCTURE = "habilitation_structure"
    PROFESSIONAL = "habilitation_professional"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The decision: `rule` decided, `reason` says it in one sentence without data; `member` is whose seat it was."""

    allowed: bool
    rule: Rule
    reason: str
    member: int | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """One way in which a reader stands towards a dossier: a seat in the circle, an emergency, or as the person."""

    family: RoleFamily
    seat: Seat | None = None
    emergency: bool = False

    @property
    def is_pcp(self) -> bool:
        """Whether it is the person's own general practitioner."""
        return self.seat is not None and self.seat.member.is_pcp

    @property
    def member(self) -> int | None:
        """The number of the seat."""
        return self.seat.id if self.seat is not None else None

    @property
    def since(self) -> int | None:
        """The first moment of which things are shown; None: all."""
        return None if self.seat is None or self.seat.member.backlog else self.seat.start

    @property
    def until(self) -> int | None:
        """The first moment of which things are shown no more; None: none."""
        return self.seat.end if self.seat is not None else None


_REASONS = {
    Rule.MATRIX: "the matrix decides for this role and category",
    Rule.EMERGENCY: "an emergency access is open",
    Rule.AUDITOR: "an auditor reads, and does nothing else",
    Rule.NO_DOSSIER: "this person has no dossier",
    Rule.NOT_ACTIVE: "the dossier is not active",
    Rule.CLOSED: "the dossier is closed",
    Rule.NOT_INFORMED: "no consent to the opening of the dossier stands",
    Rule.OPPOSED_TOTAL: "the person opposes any sharing",
    Rule.OPPOSED_MEMBER: "the person opposes sharing with this member",
    Rule.OPPOSED_CATEGORY: "the person opposes sharing this category",
    Rule.NOT_MEMBER: "the reader is not in the circle",
    Rule.ENDED: "the membership has ended",
    Rule.NOT_STARTED: "the membership has not begun",
    Rule.SUSPENDED: "the membership is suspended or void",
    Rule.NOT_NAMED: "a structure reads through somebody who is named",
    Rule.OUTSIDE_PERIOD: "it is of another time than the membership",
    Rule.OUTSIDE_TEAM: "the member is not of the care team, and no consent covers this",
    Rule.HOSPITAL: "the person does not wish hospital events to be told",
    Rule.VERY_RESTRICTED: "it is for its author and the general practitioner only",
    Rule.MASKED_HEALTH: "it is masked to professionals",
    Rule.MASKED_SOCIAL: "it is masked to social professionals",
    Rule.MASKED_THIRD: "it is masked to third persons",
    Rule.MASKED_PATIENT: "it is not to be seen by the patient",
    Rule.MASKED_REPRESENTATIVE: "it is not to be seen by the legal representatives",
    Rule.HIDDEN: "it was hidden, or kept to others, in this dossier",
    Rule.NON_HEALTH: "this role does not see things of medical content",
    Rule.PREFERENCE: "this member did not ask to be told of events",
    Rule.TOOL: "the tool is not habilitated for this",
    Rule.STRUCTURE: "the structure is not habilitated for this",
    Rule.PROFESSIONAL: "the professional is not habilitated for this",
}


def may(reader: Reader, action: Action, thing: Thing, context: Context) -> Verdict:
    """Decide whether a reader may do this with a thing of a dossier, and by which rule."""
    standings = standings_of(reader, action, context)
    if isinstance(standings, Verdict):
        return standings
    first: Verdict | None = None
    for standing in standings:
        denied = denied_for(reader, action, thing.category, standing, context) or _denied_thing(
            reader, action, thing, standing, context
        )
        if denied is None:
            rule = Rule.EMERGENCY if standing.emergency else Rule.MATRIX
            return verdict(rule, allowed=True, member=standing.member)
        # A seat says more than an emergency about why not.
        first = first or verdict(denied, member=standing.member)
    return first or verdict(Rule.NOT_MEMBER)


def verdict(rule: Rule, *, allowed: bool = False, member: int | None = None) -> Verdict:
    """Give the verdict of a rule."""
    return Verdict(allowed, rule, _REASONS[rule], member)


def standings_of(reader: Reader, action: Action, context: Context) -> tuple[Standing, ...] | Verdict:
    """Give how a reader stands towards the dossier, or the verdict where nothing of it is open to them at all."""
    if context.state is None:
        return verdict(Rule.NO_DOSSIER)
    if reader.kind is ReaderKind.AUDITOR:
        return verdict(Rule.AUDITOR, allowed=action is Action.READ)
    if context.state is not DossierState.ACTIVE:
        return verdict(Rule.CLOSED if context.state is DossierState.CLOSED else Rule.NOT_ACTIVE)
    if not context.agreed(ConsentKind.OPENING):
        return verdict(Rule.NOT_INFORMED)
    if reader.kind is ReaderKind.PATIENT:
        return (Standing(RoleFamily.PATIENT),)
    if context.agreed(ConsentKind.OPPOSITION_TOTAL):
        return verdict(Rule.OPPOSED_TOTAL)
    if opposed(context) & (reader.keys | reader.structures):
        return verdict(Rule.OPPOSED_MEMBER)
    seats, why = _seats_of(reader, context)
    if action in {Action.READ, Action.WRITE} and (reader.kind is ReaderKind.STRUCTURE or not reader.name.strip()):
        return verdict(Rule.NOT_NAMED)
    found = [Standing(seat.family, seat) for seat in seats]
    if action is Action.READ and _has_emergency(reader, context):
        found.append(Standing(RoleFamily.HEALTH, emergency=True))
    return tuple(found) or verdict(why)


def _seats_of(reader: Reader, context: Context) -> tuple[list[Seat], Rule]:
    """Give the seats through which a reader may act now, and why not where there is none."""
    seats: list[Seat] = []
    why = Rule.NOT_MEMBER
    for seat in context.seats:
        own = seat.keys & reader.keys
        through = seat.member.is_structure and seat.keys & reader.structures
        if not own and not through:
            continue
        if seat.member.state not in {MemberState.ACTIVE, MemberState.PROPOSED}:
            why = Rule.SUSPENDED
        elif seat.end is not None and seat.end <= context.now:
            why = Rule.ENDED
        elif seat.start > context.now:
            why = Rule.NOT_STARTED
        else:
            seats.append(seat)
    return seats, why


def opposed(context: Context) -> frozenset[str]:
    """Give the keys of those with whom the person opposes sharing, whichever of their seats was named."""
    keys: frozenset[str] = frozenset()
    for seat in context.seats:
        if context.agreed(ConsentKind.OPPOSITION_MEMBER, seat.id):
            keys |= seat.keys
    return keys


def _has_emergency(reader: Reader, context: Context) -> bool:
    if reader.kind is not ReaderKind.PROFESSIONAL:
        return False
    return any(one.keys & reader.keys and one.at <= context.now < one.until for one in context.emergencies)


def denied_for(
    reader: Reader, action: Action, category: DataCategory, standing: Standing, context: Context
) -> Rule | None:
    """Give the rule that denies a whole category to a standing, None when only the thing itself can."""
    if context.agreed(ConsentKind.OPPOSITION_CATEGORY, standing.member, category):
        return Rule.OPPOSED_CATEGORY
    told = action in {Action.TELL, Action.PUSH} and category is DataCategory.EVENTS
    if told and context.agreed(ConsentKind.HOSPITAL, standing.member, category) is False:
        return Rule.HOSPITAL
    seat = standing.seat
    if seat is not None:
        # Somebody invited waits for the person's consent, of the care team or not.
        outside = not seat.member.in_care_team or seat.member.state is MemberState.PROPOSED
        if outside and not context.agreed(ConsentKind.SHARE, seat.id, category):
            return Rule.OUTSIDE_TEAM
    ceiling = _below_ceilings(reader, action, category, context)
    if ceiling is not None:
        return ceiling
    cell = context.matrix.cell(standing.family, category)
    if cell.level.rank < action.needs.rank:
        return Rule.MATRIX
    if cell.condition is Condition.PREFERENCE and not _prefers(standing):
        return Rule.PREFERENCE
    return None


def _prefers(standing: Standing) -> bool:
    return standing.seat is not None and standing.seat.member.preferences.events is True


def _below_ceilings(reader: Reader, action: Action, category: DataCategory, context: Context) -> Rule | None:
    """Give the rule of the habilitation that is missing or does not go so far."""
    by_kind: dict[HolderKind, list[Granted]] = {kind: [] for kind in HolderKind}
    for one in context.habilitations:
        by_kind[one.habilitation.holder].append(one)
    if reader.tool:
        tools = [one for one in by_kind[HolderKind.TOOL] if one.habilitation.name == reader.tool]
        tied = [one for one in tools if not one.structures or one.structures & reader.structures]
        if not _reaches(tied, action, category, context.now):
            return Rule.TOOL
    structures = [one for one in by_kind[HolderKind.STRUCTURE] if one.keys & reader.structures]
    if structures and not _reaches(structures, action, category, context.now):
        return Rule.STRUCTURE
    persons = [one for one in by_kind[HolderKind.PROFESSIONAL] if one.keys & reader.keys]
    if persons and not _reaches(persons, action, category, context.now):
        return Rule.PROFESSIONAL
    return None


def _reaches(granted: Iterable[Granted], action: Action, category: DataCategory, now: int) -> bool:
    return any(
        one.stands(now)
        and (not one.habilitation.categories or category in one.habilitation.categories)
        and one.habilitation.level.rank >= action.needs.rank
        for one in granted
    )


MASKED: tuple[tuple[Mark, Rule], ...] = (
    (Mark.VERY_RESTRICTED, Rule.VERY_RESTRICTED),
    (Mark.MASQUE_PS, Rule.MASKED_HEALTH),
    (Mark.MASQUE_PSOCIAL, Rule.MASKED_SOCIAL),
    (Mark.MASQUE_PT, Rule.MASKED_THIRD),
    (Mark.INVISIBLE_PATIENT, Rule.MASKED_PATIENT),
    (Mark.INVISIBLE_REPRESENTANTS_LEGAUX, Rule.MASKED_REPRESENTATIVE),
    (Mark.MEDICAL, Rule.NON_HEALTH),
)
"""Marks with the rule that each stands for, in the order in which they are told."""


def masks(standing: Standing, category: DataCategory, context: Context, *, author: bool) -> Mark:
    """Give the marks that keep a thing of a category from a standing; an author is kept from fewer.

    What is masked to professionals is masked to all of them, and not to those of health alone: nothing that a doctor
    may not see is for a home help.
    """
    family, kept = standing.family, Mark.NONE
    lay = family in {RoleFamily.PATIENT, RoleFamily.RELATIVE}
    if not author and not standing.is_pcp:
        kept |= Mark.VERY_RESTRICTED
        if not lay:
            kept |= Mark.MASQUE_PS
    if family is RoleFamily.SOCIAL:
        kept |= Mark.MASQUE_PSOCIAL
    if lay:
        kept |= Mark.INVISIBLE_PATIENT
    if family is RoleFamily.RELATIVE:
        kept |= Mark.MASQUE_PT
        relative = standing.seat.member.relative if standing.seat is not None else None
        if relative is not None and relative.legal_representative:
            kept |= Mark.INVISIBLE_REPRESENTANTS_LEGAUX
    if context.matrix.cell(family, category).condition is Condition.NON_HEALTH:
        kept |= Mark.MEDICAL
    return kept


def _denied_thing(reader: Reader, action: Action, thing: Thing, standing: Standing, context: Context) -> Rule | None:
    if thing.at is not None and action is not Action.WRITE:
        since, until = standing.since, standing.until
        if (since is not None and thing.at < since) or (until is not None and thing.at >= until):
            return Rule.OUTSIDE_PERIOD
    author = thing.author is not None and thing.author in reader.tokens
    kept = thing.marks & masks(standing, thing.category, context, author=author)
    for mark, rule in MASKED:
        if kept & mark:
            return rule
    decided = context.restrictions.get(thing.thing, ()) if thing.thing is not None else ()
    if any(one.keeps_from(standing.member, standing.family) for one in decided):
        return Rule.HIDDEN
    return None
