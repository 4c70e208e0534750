"""Whether an INS may leave about a patient of the register (EXI ID 29): the one rule that everything outbound asks."""

from __future__ import annotations

from router.journal.sealing import Sealer
from schemas.identity import IdentityAttribute, IdentityStatus, Ins, PatientIdentity

UNSURE = frozenset({IdentityAttribute.DOUBTFUL, IdentityAttribute.FICTITIOUS})


def barred(known: PatientIdentity) -> bool:
    """Say whether no INS at all may leave about this patient.

    So it is for a doubtful or fictitious one, and for one whose status says anything but «qualified, with an INS». A
    register that states no status takes no position: what a sender asserts under its own qualification may pass.
    """
    if not UNSURE.isdisjoint(known.attributes):
        return True
    return known.status is not None and not (known.status is IdentityStatus.QUALIFIED and known.ins is not None)


def may_leave(known: PatientIdentity, ins: Ins) -> bool:
    """Say whether this INS may leave about this patient: never another one than the register's own."""
    return not barred(known) and known.ins in (None, ins)


def published_token(sealer: Sealer, ins: Ins) -> int:
    """Make the token under which Deliveries remember the INS with which they were prepared."""
    return sealer.token("published", ins.matricule, ins.oid)


def leaving_token(sealer: Sealer, identity: PatientIdentity) -> int | None:
    """Give the token of the INS that leaves with this identity, None when there is none.

    Whatever its status: most writers leave out an INS that is not qualified, some write what they are given.
    """
    return None if identity.ins is None else published_token(sealer, identity.ins)


def allows(sealer: Sealer, known: PatientIdentity, token: int) -> bool:
    """Say whether what was prepared under an INS may leave now."""
    if barred(known):
        return False
    return known.ins is None or published_token(sealer, known.ins) == token
