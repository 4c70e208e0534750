"""Declaring a patient of the register doubtful, and taking that back.

A doubtful identity is provisional and its INS may not be used (EXI ID 24): what leaves about the person carries no INS
until the doubt is lifted.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from router.identity.flows_keeping import keep_identity
from router.identity.flows_published import Cause
from router.journal import tables
from router.journal.operations import IDENTITY_PLACE
from router.journal.unit import Unit
from schemas.identity import IdentityAttribute, IdentityStatus, PatientIdentity
from schemas.identity_status import StatusEvent, after, attributes_agree


def declare_doubtful(unit: Unit, patient_id: int, *, now: int) -> dict[str, Any]:
    """Mark a patient as doubtful; gives what must be remembered to take it back: nothing if it was doubtful already.

    A fictitious identity stays as it is: that attribute stands alone, and forbids as much.
    """
    identity = _load(unit, patient_id)
    attributes = (*identity.attributes, IdentityAttribute.DOUBTFUL)
    if IdentityAttribute.DOUBTFUL in identity.attributes or not attributes_agree(attributes):
        return {}
    status = None if identity.status is None else after(identity.status, StatusEvent.DOUBT)
    doubtful = identity.model_copy(update={"attributes": attributes, "status": status})
    keep_identity(unit, patient_id, identity, doubtful, Cause(now, "declared doubtful"))
    return {"doubtful": True, "status_before": identity.status.value if identity.status is not None else None}


def lift_doubt(unit: Unit, patient_id: int, remembered: dict[str, Any], *, now: int) -> None:
    """Take back what `declare_doubtful` did, unless the register has said something else since."""
    if not remembered.get("doubtful"):
        return
    if unit.connection.execute(select(tables.patient.c.id).where(tables.patient.c.id == patient_id)).scalar() is None:
        return
    identity = _load(unit, patient_id)
    if IdentityAttribute.DOUBTFUL not in identity.attributes:
        return
    attributes = tuple(one for one in identity.attributes if one is not IdentityAttribute.DOUBTFUL)
    status = identity.status
    if status in {None, IdentityStatus.PROVISIONAL}:
        before = remembered.get("status_before")
        status = IdentityStatus(before) if before is not None else None
    sure = identity.model_copy(update={"attributes": attributes, "status": status})
    keep_identity(unit, patient_id, identity, sure, Cause(now, "doubt lifted"))


def _load(unit: Unit, patient_id: int) -> PatientIdentity:
    column = tables.patient.c
    sealed = unit.connection.execute(select(column.sealed_identity).where(column.id == patient_id)).scalar_one()
    return PatientIdentity.model_validate_json(unit.sealer.open(sealed, IDENTITY_PLACE))
