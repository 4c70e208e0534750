"""When an INS that a message carries may be used, and the identity status that PID-32 says (PAM 2.11 §6.6.15, RNIV).

PID-32 folds the four RNIV statuses into two codes: VALI with an INS is *qualifiée*, VALI alone *validée*, PROV is
*provisoire* (or *récupérée*, whose INS may not be sent). An INS that may not be used stays an ordinary identifier of
the patient, with a Finding; nothing downstream can take it for an INS by mistake.
"""

from __future__ import annotations

from typing import NamedTuple

from mappings.contracts import Environment
from mappings.hl7v2.datatypes import identifier, is_removal
from mappings.hl7v2.er7 import Segment
from mappings.hl7v2.notebook import Notebook
from schemas.coding import Identifier
from schemas.identifiers import InsEnvironment, MatriculeVerdict, check_matricule, ins_authority, ins_is_at_home
from schemas.identity import IdentityAttribute, IdentityStatus, Ins

_ATTRIBUTES = {
    "HOMA": IdentityAttribute.HOMONYM,
    "DOUT": IdentityAttribute.DOUBTFUL,
    "FICT": IdentityAttribute.FICTITIOUS,
}
_BLOCKING = frozenset({IdentityAttribute.DOUBTFUL, IdentityAttribute.FICTITIOUS})
_HOMES = {
    Environment.PRODUCTION: InsEnvironment.PRODUCTION,
    Environment.TEST: InsEnvironment.TEST,
}


class Identifiers(NamedTuple):
    """PID-3 and PID-32 together: the INS if it may be used, all other identifiers, what the sender removed."""

    ins: Ins | None
    others: tuple[Identifier, ...]
    status: IdentityStatus | None
    attributes: tuple[IdentityAttribute, ...]
    ins_removed: bool


def is_ins(candidate: Identifier) -> bool:
    """Say whether an identifier is typed as an INS: a billing number (NH) shares the OID, not the type."""
    return candidate.type is not None and (candidate.type == "INS" or candidate.type.startswith("INS-N"))


def read_identifiers(notes: Notebook, pid: Segment) -> Identifiers:
    """Read PID-3 (PID-2 and PID-4 of old senders when it is empty) under the status of PID-32."""
    syntax = notes.syntax
    validated, provisional, attributes = _reliability(notes, pid)
    others: list[Identifier] = []
    candidates: list[Identifier] = []
    removed = False
    for raw in pid.repetitions(3):
        found = identifier(raw, syntax)
        if found is None:
            if is_removal(raw, syntax):
                removed = True
        elif is_ins(found):
            candidates.append(found)
        else:
            others.append(found)
    if not (others or candidates or removed):
        old = (identifier(raw, syntax) for n in (2, 4) for raw in pid.repetitions(n))
        others.extend(found for found in old if found is not None)
    else:
        notes.leave_fields(pid, 2, 4)
    ins: Ins | None = None
    for candidate in sorted(candidates, key=_is_provisional_number):
        usable = _usable(notes, candidate, validated=validated, attributes=attributes, where=pid.where(3))
        if usable is not None and ins is None:
            ins = usable
        else:
            if usable is not None:
                notes.warn("hl7v2.ins.several", pid.where(3), "several INS were sent; only the first NIR is used")
            others.append(candidate)
    status: IdentityStatus | None = None
    if validated:
        status = IdentityStatus.QUALIFIED if ins is not None else IdentityStatus.VALIDATED
    elif provisional:
        status = IdentityStatus.PROVISIONAL
    return Identifiers(ins, tuple(others), status, attributes, removed)


def _is_provisional_number(candidate: Identifier) -> bool:
    """Sort NIA after NIR: when both are there, the NIR counts."""
    authority = ins_authority(candidate.system)
    return authority is None or authority.kind != "NIR"


def _reliability(notes: Notebook, pid: Segment) -> tuple[bool, bool, tuple[IdentityAttribute, ...]]:
    validated = provisional = False
    attributes: list[IdentityAttribute] = []
    for raw in pid.repetitions(32):
        code = notes.syntax.code(raw.split(notes.syntax.component, 1)[0])
        if code == "VALI":
            validated = True
        elif code == "PROV":
            provisional = True
        elif code in _ATTRIBUTES:
            attributes.append(_ATTRIBUTES[code])
        elif code and code != "VIDE":
            notes.info("hl7v2.identity.status", pid.where(32), "PID-32 has a code that is no RNIV status or attribute")
    return validated and not provisional, provisional, tuple(attributes)


def _usable(
    notes: Notebook,
    candidate: Identifier,
    *,
    validated: bool,
    attributes: tuple[IdentityAttribute, ...],
    where: str,
) -> Ins | None:
    authority = ins_authority(candidate.system)
    environment = notes.context.environment
    matricule = check_matricule(candidate.value)
    if authority is None:
        what, why = "authority", "its assigning authority is not one of the INS"
    elif not validated:
        what, why = "not_validated", "the identity is not validated (PID-32 is not VALI)"
    elif not _BLOCKING.isdisjoint(attributes):
        what, why = "attribute", "the identity is doubtful or fictitious"
    elif environment is not None and not ins_is_at_home(authority.oid, _HOMES[environment]):
        what, why = "environment", "test and real identities do not mix here"
    elif matricule.verdict is not MatriculeVerdict.OK:
        what, why = "matricule", "the number is not a matricule with its key"
    else:
        return Ins(matricule=matricule.value, oid=authority.oid)
    notes.warn(f"hl7v2.ins.{what}", where, f"the INS is kept as an identifier only: {why}")
    return None
