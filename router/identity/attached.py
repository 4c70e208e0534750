"""The identity under which an Item leaves, once its patient is known for certain.

A hospital, a laboratory and a practice know one person by different numbers. If each message left under its sender's
number alone, the receiver would make three patients of one; so the register completes what the sender wrote.
"""

from __future__ import annotations

from mappings.recollection import Recollection
from router.identity.standing import UNSURE, may_leave
from schemas.identity import IdentityStatus, PatientIdentity
from schemas.item import IdentityItem, Item

_STRICT = ("birth_name", "birth_given_names", "first_given_name", "birth_date", "sex", "birth_place")
"""The traits that an INS consists of, beside its number; they are taken together, never one by one."""


_COMPLETED: Recollection[PatientIdentity] = Recollection(2000)
"""Identities as they may leave: readers and the register give the same objects for the same person again."""


def attached(item: Item, known: PatientIdentity) -> Item:
    """Give the Item to write for a destination: its patient completed by the register's identity.

    The Item itself, as it was read, is what the journal keeps. An identity event leaves as it came: it is about the
    numbers themselves, and completing it could restore one that its sender withdraws. An INS that the register bars, or
    another one than its own, leaves with neither, whatever the sender asserts.
    """
    if isinstance(item, IdentityItem):
        patient = _allowed(item.patient, known)
    else:
        sent = item.patient
        patient = _COMPLETED.of(sent, known) or _COMPLETED.keep(_allowed(completed(sent, known), known), sent, known)
    return item if patient is item.patient else item.model_copy(update={"patient": patient})


def _allowed(patient: PatientIdentity, known: PatientIdentity) -> PatientIdentity:
    return patient if patient.ins is None or may_leave(known, patient.ins) else _stripped(patient, known)


def without_ins(item: Item) -> Item:
    """Give an Item to write without the INS that its sender asserts, and without the status that vouches for it."""
    if item.patient.ins is None:
        return item
    patient = item.patient.model_copy(update={"ins": None, "status": None})
    return item.model_copy(update={"patient": patient})


def _stripped(sent: PatientIdentity, known: PatientIdentity) -> PatientIdentity:
    """Take away an INS that may not leave about this patient; what is said instead is the register's own status."""
    doubts = tuple(one for one in known.attributes if one in UNSURE and one not in sent.attributes)
    status = IdentityStatus.PROVISIONAL if doubts else known.status
    if status is IdentityStatus.QUALIFIED:
        status = IdentityStatus.VALIDATED  # this number is not the one that it was qualified with
    return sent.model_copy(update={"ins": None, "status": status, "attributes": sent.attributes + doubts})


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
    sure = not UNSURE & {*sent.attributes, *known.attributes}
    asserted = sent.ins == known.ins and sent.status is IdentityStatus.QUALIFIED
    if usable and sure and not asserted:
        changes |= {"ins": known.ins, "status": known.status}
        changes |= {name: getattr(known, name) for name in _STRICT if getattr(known, name)}
    return sent.model_copy(update=changes) if changes else sent
