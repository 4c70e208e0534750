"""What leaves about an Item that a person attached: never the INS of whoever the sender took the patient for."""

from __future__ import annotations

from router.identity.attached import attached
from schemas.identity import PatientIdentity
from schemas.item import IdentityItem, Item

BY_PERSON = "person"
"""What recognised the patient, when a person did (`Decision.by`)."""


def attached_by_person(item: Item, known: PatientIdentity) -> Item:
    """Give the Item to write for a destination, its patient completed by the register's identity.

    The rules held this Item because what was sent and what is known do not agree: an INS that is not the register's
    own is taken away with the status that vouches for it. The other words of the sender stay.
    """
    sent = item.patient
    if isinstance(item, IdentityItem) or sent.ins is None or sent.ins == known.ins:
        return attached(item, known)
    bare = sent.model_copy(update={"ins": None, "status": None})
    return attached(item.model_copy(update={"patient": bare}), known)
