"""What happens to an identity itself: creation, update, merge, change of identifier."""

from __future__ import annotations

from schemas.actors import Contact
from schemas.base import Frozen
from schemas.coding import Identifier


class IdentityEvent(Frozen):
    """An identity event: `event` is patient.created, .updated, .merged, .identifier_changed, .linked or .unlinked.

    The Item's `patient` is the survivor; `absorbed` are the identifiers that disappear or are replaced (MRG-1).
    `ins_removed` is true when the sender withdraws every INS of the patient (A47 with `""`).
    """

    event: str
    trigger: str
    absorbed: tuple[Identifier, ...] = ()
    ins_removed: bool = False
    obtained_by: str | None = None
    obtained_on: str | None = None
    contacts: tuple[Contact, ...] = ()
