"""What an update (A28, A31, A01) does to an identity of the register: a pure rule, tried alike by worker and writer.

Identifiers are added, complementary traits follow the message. Strict traits follow it only while nobody has checked
them: those of a validated, retrieved or qualified identity are never overwritten, a difference is a task. An INS is
never copied from a message (INS guide, reception of identities).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from router.identity.comparison import compare
from router.identity.patients import matching_identifiers, normal_value
from router.identity.standing import UNSURE
from router.identity.tasks import TaskKind
from schemas.coding import Identifier
from schemas.identifiers import check_matricule, ins_authority
from schemas.identity import IdentityAttribute, IdentityStatus, Ins, PatientIdentity, Sex
from schemas.identity_event import IdentityEvent
from schemas.identity_status import StatusEvent, after, attributes_agree

COMPLEMENTARY = (
    "used_name", "used_given_name", "family_name", "given_name", "civility", "birth_place_name", "addresses",
    "telecoms", "marital_status", "citizenships", "deceased", "deceased_at", "confidential", "general_practitioner",
)  # fmt: skip
STRICT = ("birth_name", "birth_given_names", "first_given_name", "birth_date", "sex", "birth_place")
"""The traits that an INS consists of, beside its number."""

_ANY_STRICT = frozenset(STRICT)
_UNCHECKED = frozenset({None, IdentityStatus.PROVISIONAL})
_LISTS = frozenset({"addresses", "telecoms", "citizenships", "birth_given_names"})


class Update(NamedTuple):
    """The identity as it becomes, why it changes (a stable word), and what somebody has to look at."""

    identity: PatientIdentity
    why: str
    tasks: tuple[TaskKind, ...] = ()


def updated(known: PatientIdentity, sent: PatientIdentity, event: IdentityEvent | None = None) -> Update:
    """Apply what a message says of a person to what the register knows; the same identity when nothing changes."""
    tasks: list[TaskKind] = []
    changes: dict[str, object] = {"identifiers": _identifiers(known, sent, event)}
    changes |= _traits(known, sent, COMPLEMENTARY)
    if known.status in _UNCHECKED and known.ins is None:
        changes |= _traits(known, sent, STRICT)
    elif compare(sent, known).differs or not _ANY_STRICT.isdisjoint(sent.deleted):
        tasks.append(TaskKind.TRAITS)
    why = "updated"
    if _withdrawn(known, sent, event):
        changes |= {"ins": None, "status": _fallen(known, sent)}
        tasks.append(TaskKind.WITHDRAWN)
        why = "withdrawn" if sent.ins is None else "replaced"
    elif sent.ins is not None and sent.ins != known.ins:
        tasks.append(TaskKind.CLAIMED if known.ins is None else TaskKind.OTHER_INS)
    doubt = _attributes(known, sent)
    if doubt != known.attributes:
        changes["attributes"] = doubt
        if not UNSURE.isdisjoint(doubt):
            # The number stays where it is until the doubt is lifted: it may not leave meanwhile.
            status = changes.get("status", known.status)
            changes["status"] = after(status, StatusEvent.DOUBT) if isinstance(status, IdentityStatus) else status
            tasks.append(TaskKind.DOUBT)
            why = "doubt"
    changes = {name: value for name, value in changes.items() if value != getattr(known, name)}
    return Update(known.model_copy(update=changes) if changes else known, why, tuple(tasks))


def pairs(identifiers: Iterable[Identifier]) -> set[tuple[str, str]]:
    """Give (authority, value) of the identifiers that recognise a person, folded for comparison."""
    found = matching_identifiers(PatientIdentity(identifiers=tuple(identifiers)))
    return {(system, normal_value(value)) for system, value in found}


def _identifiers(known: PatientIdentity, sent: PatientIdentity, event: IdentityEvent | None) -> tuple[Identifier, ...]:
    """Add the numbers that recognise the person; a change of number (A47) takes the old one away."""
    gone = pairs(event.absorbed) if event is not None and event.event == "patient.identifier_changed" else set()
    kept = tuple(one for one in known.identifiers if not pairs([one]) or not pairs([one]) <= gone)
    have = pairs(kept) | gone
    new = []
    for one in sent.identifiers:
        pair = pairs([one])
        if pair and not pair <= have:
            new.append(one)
            have |= pair
    return kept + tuple(new)


def _traits(known: PatientIdentity, sent: PatientIdentity, names: Iterable[str]) -> dict[str, object]:
    changes: dict[str, object] = {}
    for name in names:
        value, old = getattr(sent, name), getattr(known, name)
        if name in sent.deleted:
            changes[name] = () if name in _LISTS else None
        elif value in (None, ()) or (name == "sex" and value is Sex.UNKNOWN):
            continue
        elif name == "birth_date" and old and str(old).startswith(str(value)):
            continue  # less precise than what is known
        else:
            changes[name] = value
    return changes


def _withdrawn(known: PatientIdentity, sent: PatientIdentity, event: IdentityEvent | None) -> bool:
    """Say whether the message takes the INS away that the register has: withdrawn, replaced, or a NIA become a NIR."""
    removed = "ins" in sent.deleted or (event is not None and event.ins_removed)
    replaced = [one for one in (former_ins(event) if event is not None else ()) if one != sent.ins]
    if known.ins is None:
        # A register that states no status would let the sender's INS pass: from now on it states one.
        return removed and known.status is None
    if sent.ins == known.ins:
        return False
    numbers = {one.matricule for one in replaced}
    if removed:
        return not numbers or known.ins.matricule in numbers
    if sent.ins is None:
        return False
    return known.ins.matricule in numbers or (_kind(known.ins) == "NIA" and _kind(sent.ins) == "NIR")


def former_ins(event: IdentityEvent) -> list[Ins]:
    """Give the INS among the identifiers that an event replaces."""
    found = []
    for one in event.absorbed:
        authority = ins_authority(one.system)
        if authority is not None and one.type is not None and one.type.startswith("INS") and one.type != "INS-C":
            found.append(Ins(matricule=check_matricule(one.value).value, oid=authority.oid))
    return found


def _kind(ins: Ins) -> str:
    authority = ins_authority(ins.oid)
    return authority.kind if authority is not None else ""


def _fallen(known: PatientIdentity, sent: PatientIdentity) -> IdentityStatus:
    if known.status is None:
        lower = sent.status is IdentityStatus.VALIDATED
        return IdentityStatus.VALIDATED if lower else IdentityStatus.PROVISIONAL
    if sent.status is IdentityStatus.PROVISIONAL:
        return IdentityStatus.PROVISIONAL
    return after(known.status, StatusEvent.VERIFICATION_FAILED)


def _attributes(known: PatientIdentity, sent: PatientIdentity) -> tuple[IdentityAttribute, ...]:
    """Add what the sender declares; only a person takes an attribute away."""
    attributes = known.attributes
    for one in sent.attributes:
        if one in attributes:
            continue
        if attributes_agree((*attributes, one)):
            attributes = (*attributes, one)
        elif one in UNSURE and UNSURE.isdisjoint(attributes):
            attributes = (one,)
    return attributes
