"""The decision: attach an Item to a known patient, or hold it, with the reason.

First by (assigning authority, identifier), else by INS where the national rules let it be used (RNIV: the sender's
identity is qualified), and in both cases only if no strict trait contradicts. Nothing is ever attached on a guess.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from router.identity.patients import Patient, identifier_token, ins_token, matching_identifiers
from router.journal.sealing import Sealer, loose
from schemas.finding import Finding
from schemas.identifiers import InsEnvironment, ins_is_at_home
from schemas.identity import IdentityAttribute, IdentityStatus, PatientIdentity, Sex


class HoldReason(StrEnum):
    """Why an Item waits: stable codes, shown in words by the dashboard."""

    NO_MATCH = "no_match"
    SEVERAL = "several_candidates"
    TRAITS = "trait_mismatch"
    DISAGREE = "identifier_and_ins_disagree"
    OTHER_ENVIRONMENT = "ins_of_other_environment"
    INS_NOT_QUALIFIED = "ins_not_qualified"
    INS_KIND = "ins_nia_nir_switch"
    ATTRIBUTE = "doubtful_or_fictitious"
    OTHER_PATIENT = "document_about_another"
    ALTERED = "content_altered"
    DECLARED = "declared_doubtful"


ALARMS = {"document.other_patient": HoldReason.OTHER_PATIENT, "xdm.hash.mismatch": HoldReason.ALTERED}
"""Findings of a reader for which nothing of its message goes on, whoever it is about."""

ONLY_A_PERSON = frozenset({*ALARMS.values(), HoldReason.DECLARED})
"""Reasons that no registration lifts: alarms of a reader, and what a person declared."""


def alarm(findings: Iterable[Finding]) -> HoldReason | None:
    """Give the reason to hold a whole message that its reader found, if it found one."""
    return next((ALARMS[finding.code] for finding in findings if finding.code in ALARMS), None)


@dataclass(frozen=True, slots=True)
class Decision:
    """A patient, or a reason to hold; `by` says what recognised the patient: `identifier` or `ins`."""

    patient: Patient | None
    reason: HoldReason | None
    by: str = ""


@dataclass(frozen=True, slots=True)
class Sought:
    """The tokens by which one identity may be recognised."""

    identifiers: tuple[int, ...]
    ins: int | None


def sought(sealer: Sealer, identity: PatientIdentity, sender: str = "") -> Sought:
    """Give the tokens to look up.

    An identifier sent without an authority belongs to its sender: `sender` is that authority's URI, or empty.
    """
    pairs = matching_identifiers(identity)
    if sender:
        pairs += [(sender, one.value) for one in identity.identifiers if not one.system and one.type in {None, "PI"}]
    usable = identity.ins is not None and identity.status is IdentityStatus.QUALIFIED
    return Sought(
        tuple(identifier_token(sealer, *pair) for pair in pairs),
        ins_token(sealer, identity.ins.matricule) if usable and identity.ins is not None else None,
    )


def decide(
    identity: PatientIdentity,
    tokens: Sought,
    found: Mapping[int, set[int]],
    patients: Mapping[int, Patient],
    environment: str | None,
) -> Decision:
    """Decide for one Item, from the patients that its tokens found."""
    if identity.ins is not None and environment is not None:
        at_home = ins_is_at_home(identity.ins.oid, InsEnvironment(environment))
        if not at_home:
            return Decision(None, HoldReason.OTHER_ENVIRONMENT)
    blocked = {IdentityAttribute.DOUBTFUL, IdentityAttribute.FICTITIOUS} & set(identity.attributes)
    by_identifier: set[int] = set().union(*(found.get(token, set()) for token in tokens.identifiers))
    by_ins = found.get(tokens.ins, set()) if tokens.ins is not None else set()
    if len(by_identifier) > 1 or len(by_ins) > 1:
        return Decision(None, HoldReason.SEVERAL)
    if by_identifier and by_ins and by_identifier != by_ins:
        return Decision(None, HoldReason.DISAGREE)
    candidates = by_identifier or by_ins
    if not candidates:
        unusable = identity.ins is not None and identity.status is not IdentityStatus.QUALIFIED
        return Decision(None, HoldReason.INS_NOT_QUALIFIED if unusable else HoldReason.NO_MATCH)
    patient = patients[next(iter(candidates))]
    if not by_identifier:
        if blocked:
            return Decision(None, HoldReason.ATTRIBUTE)
        known = patient.identity.ins
        if known is not None and identity.ins is not None and known.oid != identity.ins.oid:
            return Decision(None, HoldReason.INS_KIND)
    if contradicts(identity, patient.identity):
        return Decision(None, HoldReason.TRAITS)
    return Decision(patient, None, "identifier" if by_identifier else "ins")


def contradicts(sent: PatientIdentity, known: PatientIdentity) -> bool:
    """Say whether a strict trait that both sides state differs: name, first given name, birth date, sex."""
    names = _folded(sent.birth_name, sent.used_name, sent.family_name)
    known_names = _folded(known.birth_name, known.used_name, known.family_name)
    if names and known_names and not names & known_names:
        return True
    given = _folded(sent.first_given_name, sent.used_given_name, sent.given_name, *sent.birth_given_names)
    known_given = _folded(known.first_given_name, known.used_given_name, known.given_name, *known.birth_given_names)
    if given and known_given and not given & known_given:
        return True
    if sent.birth_date and known.birth_date:
        precision = min(len(sent.birth_date), len(known.birth_date))
        if sent.birth_date[:precision] != known.birth_date[:precision]:
            return True
    stated = {Sex.FEMALE, Sex.MALE}
    return sent.sex in stated and known.sex in stated and sent.sex is not known.sex


def _folded(*names: str | None) -> set[str]:
    return {folded for name in names if name and (folded := loose(name))}
