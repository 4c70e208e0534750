"""The identity under which an Item leaves, once its patient is known for certain.

A hospital, a laboratory and a practice know one person by different numbers. If each message left under its sender's
number alone, the receiver would make three patients of one; so the register completes what the sender wrote.
"""

from __future__ import annotations

from schemas.identity import IdentityAttribute, IdentityStatus, PatientIdentity
from schemas.item import IdentityItem, Item

_UNSURE = frozenset({IdentityAttribute.DOUBTFUL, IdentityAttribute.FICTITIOUS})
_STRICT = ("birth_name", "birth_given_names", "first_given_name", "birth_date", "sex", "birth_place")
"""The traits that an INS consists of, beside its number; they are taken together, never one by one."""


def attached(item: Item, known: PatientIdentity) -> Item:
    """Give the Item to write for a destination: its patient completed by the register's identity.

    The Item itself, as it was read, is what the journal keeps. An identity event leaves as it came: it is about the
    numbers themselves, and completing it could restore one that its sender withdraws.
    """
    if isinstance(item, IdentityItem):
        return item
    patient = completed(item.patient, known)
    return item if patient is item.patient else item.model_copy(update={"patient": patient})


def completed(sent: PatientIdentity, known: PatientIdentity) -> PatientIdentity:
    """Add to a sent identity the numbers that the register holds, and its INS where RNIV lets it be used.

    The INS comes with its status and strict traits, and only from a qualified identity that neither side says to be
    doubtful or fictitious. The same object is given back when there is nothing to add.
    """
    changes: dict[str, object] = {}
    have = {(one.system, one.value) for one in sent.identifiers}
    more = tuple(one for one in known.identifiers if (one.system, one.value) not in have)
    if more:
        changes["identifiers"] = sent.identifiers + more
    usable = known.ins is not None and known.status is IdentityStatus.QUALIFIED
    sure = not _UNSURE & {*sent.attributes, *known.attributes}
    asserted = sent.ins == known.ins and sent.status is IdentityStatus.QUALIFIED
    if usable and sure and not asserted:
        changes |= {"ins": known.ins, "status": known.status}
        changes |= {name: getattr(known, name) for name in _STRICT if getattr(known, name)}
    return sent.model_copy(update=changes) if changes else sent
