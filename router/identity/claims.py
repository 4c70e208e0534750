"""What the INS of a message is worth: the first fact of the decision table."""

from __future__ import annotations

from router.identity.decisions import Policy
from schemas.coding import Identifier
from schemas.identifiers import (
    NOT_AN_INS,
    InsEnvironment,
    MatriculeVerdict,
    check_matricule,
    ins_authority,
    ins_is_at_home,
)
from schemas.identity import IdentityStatus, PatientIdentity
from schemas.identity_status import ins_usable


def worth_of_ins(identity: PatientIdentity, environment: InsEnvironment | None, policy: Policy) -> str:
    """Say what the INS of a message is worth (`decisions.VALUES`).

    Readers keep an INS that its sender may not assert among the identifiers: such a claim counts under `rniv`, and is
    left alone under `register`, as is a doubt of the sender's where an identifier recognises the patient anyway.
    """
    ins = identity.ins
    register = policy is Policy.REGISTER
    if ins is not None:
        if environment is not None and not ins_is_at_home(ins.oid, environment):
            return "foreign"
        status = identity.status
        usable = status is IdentityStatus.QUALIFIED if register else ins_usable(status, identity.attributes)
        return "qualified" if usable else "unqualified"
    if register:
        return "none"
    claims = {_claim(identifier, environment) for identifier in identity.identifiers}
    return next((worth for worth in ("foreign", "bare", "unqualified") if worth in claims), "none")


def _claim(identifier: Identifier, environment: InsEnvironment | None) -> str:
    kind = identifier.type or ""
    if kind in NOT_AN_INS:
        return ""
    typed = kind == "INS" or kind.startswith("INS-N")
    authority = ins_authority(identifier.system)
    if authority is None:
        numbered = check_matricule(identifier.value).verdict in (MatriculeVerdict.OK, MatriculeVerdict.NO_KEY)
        return "bare" if typed or (not kind and not identifier.system and numbered) else ""
    at_home = environment is None or ins_is_at_home(authority.oid, environment)
    return "unqualified" if at_home else "foreign"
