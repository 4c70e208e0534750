"""The decision: attach an Item to a known patient, or hold it, with the reason.

The facts are gathered here, from the blind index and the patients that it finds; `router.identity.decisions` decides on
them. Nothing is ever attached on a guess: by traits alone, a patient is only a candidate.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple

from sqlalchemy import Connection

from mappings.recollection import Recollection
from router.identity.claims import worth_of_ins
from router.identity.comparison import compare, contradicts
from router.identity.decisions import Facts, Policy, decided
from router.identity.patients import (
    Hits,
    Patient,
    identifier_token,
    ins_token,
    load_patients,
    look_up,
    matching_identifiers,
    trait_tokens,
)
from router.journal.sealing import Sealer
from schemas.finding import Finding
from schemas.identifiers import InsEnvironment
from schemas.identity import IdentityAttribute, IdentityStatus, PatientIdentity
from schemas.item import Item


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
    NO_OID = "matricule_without_oid"
    TRAIT_MISSING = "trait_missing"
    LOCAL_NOT_QUALIFIED = "local_not_qualified"
    FORMER_INS = "historic_matricule"
    OTHER_INS = "other_matricule"
    CALL_INSI = "insi_to_call"
    HOMONYMS = "homonyms"
    TRAITS_ONLY = "traits_only"
    OTHER_PATIENT = "document_about_another"
    ALTERED = "content_altered"
    SEVERAL_PATIENTS = "several_patients"
    SIGNATURE = "signature_not_valid"
    UNDECIPHERED = "not_decrypted"
    PARTLY_READ = "partly_read"
    DECLARED = "declared_doubtful"


ALARMS = {
    "document.other_patient": HoldReason.OTHER_PATIENT,
    "xdm.hash.mismatch": HoldReason.ALTERED,
    "mail.encoding.damaged": HoldReason.ALTERED,
    "mail.patients.several": HoldReason.SEVERAL_PATIENTS,
    "mail.signature.invalid": HoldReason.SIGNATURE,
    "mail.decryption.failed": HoldReason.UNDECIPHERED,
    "mail.parts.left": HoldReason.PARTLY_READ,
}
"""Findings of a reader for which nothing of its message goes on, whoever it is about."""

ONLY_A_PERSON = frozenset({*ALARMS.values(), HoldReason.DECLARED})
"""Reasons that no registration lifts: alarms of a reader, and what a person declared."""


REMEMBERED = 2000
"""Identities and comparisons that one Matcher remembers: a pure function's memory, bounded."""

MOST_CANDIDATES = 20
"""Candidates kept with a held Item; the desk looks for more when a person opens it."""


def alarm(findings: Iterable[Finding]) -> HoldReason | None:
    """Give the reason to hold a whole message that its reader found, if it found one."""
    return next((ALARMS[finding.code] for finding in findings if finding.code in ALARMS), None)


class Decision(NamedTuple):
    """A patient, or a reason to hold.

    `by` says what recognised the patient: `identifier` or `ins`. `row` is the row of the decision table, empty for what
    the table did not decide; `candidates` are the patients that it may be about.
    """

    patient: Patient | None
    reason: HoldReason | None
    by: str = ""
    row: str = ""
    candidates: tuple[int, ...] = ()


class Sought(NamedTuple):
    """The tokens by which one identity may be recognised, and what its INS is worth (`decisions.VALUES`)."""

    identifiers: tuple[int, ...]
    ins: int | None
    worth: str


_UNSURE = frozenset({IdentityAttribute.DOUBTFUL, IdentityAttribute.FICTITIOUS})
_NOBODY: frozenset[int] = frozenset()
_REASONS = {reason.value: reason for reason in HoldReason}


class Matcher:
    """Decides whose Items are, by one policy, for one environment. Reads the journal, writes nothing.

    `remembered` keeps the patients opened before, for a worker that decides batch after batch.
    """

    def __init__(
        self,
        sealer: Sealer,
        *,
        policy: Policy = Policy.REGISTER,
        environment: InsEnvironment | None = None,
        remembered: dict[tuple[int, int], Patient] | None = None,
    ) -> None:
        self._sealer = sealer
        self._policy = policy
        self._environment = environment
        self._remembered = {} if remembered is None else remembered
        self._looked: Recollection[dict[str, Sought]] = Recollection(REMEMBERED)
        self._compared: Recollection[str] = Recollection(REMEMBERED)

    def decide(self, connection: Connection, wanted: Sequence[tuple[PatientIdentity, str]]) -> list[Decision]:
        """Decide for identities, each with the URI of the authority of identifiers sent without one (or empty)."""
        looked = [self._sought(identity, sender) for identity, sender in wanted]
        tokens = {token for one in looked for token in one.identifiers}
        tokens |= {one.ins for one in looked if one.ins is not None}
        hits = look_up(connection, sorted(tokens))
        numbers = set().union(*hits.active.values(), *hits.former.values())
        patients = load_patients(connection, self._sealer, sorted(numbers), self._remembered)
        if len(patients) < len(numbers):
            hits.keep(patients.keys())  # one was removed between the two statements
        drafts = [_Draft(identity, one, hits) for (identity, _), one in zip(wanted, looked, strict=True)]
        alone = [draft for draft in drafts if self._asks_for_twins(draft)]
        if alone:
            self._find_twins(connection, alone, patients)
        return [self._decide(draft, patients) for draft in drafts]

    def _sought(self, identity: PatientIdentity, sender: str) -> Sought:
        # Readers give the same object for the same text: who comes back is not looked through again.
        by_sender = self._looked.of(identity)
        if by_sender is None:
            by_sender = self._looked.keep({}, identity)
        sought = by_sender.get(sender)
        if sought is None:
            sought = by_sender[sender] = self._tokens_of(identity, sender)
        return sought

    def _tokens_of(self, identity: PatientIdentity, sender: str) -> Sought:
        tokens = tuple(identifier_token(self._sealer, *pair) for pair in matching_identifiers(identity, sender))
        worth = worth_of_ins(identity, self._environment, self._policy)
        ins = identity.ins if worth == "qualified" else None
        return Sought(tokens, None if ins is None else ins_token(self._sealer, ins.matricule), worth)

    def _asks_for_twins(self, draft: _Draft) -> bool:
        """Say whether people with the same traits matter: when no number recognises anybody, or no known matricule."""
        if draft.by_ins or draft.former:
            return False
        return not draft.by_identifier or (self._policy is Policy.RNIV and draft.sought.worth == "qualified")

    def _find_twins(self, connection: Connection, drafts: list[_Draft], patients: dict[int, Patient]) -> None:
        tokens = {id(draft): trait_tokens(self._sealer, draft.identity) for draft in drafts}
        found = look_up(connection, sorted({token for some in tokens.values() for token in some})).active
        missing = set().union(*found.values()) - patients.keys()
        patients |= load_patients(connection, self._sealer, sorted(missing), self._remembered)
        for draft in drafts:
            alike = set().union(*(found.get(token, _NOBODY) for token in tokens[id(draft)])) & patients.keys()
            draft.twins = {number for number in alike if compare(draft.identity, patients[number].identity).same}

    def _decide(self, draft: _Draft, patients: Mapping[int, Patient]) -> Decision:
        rule = decided(self._policy, self._facts(draft, patients))
        if rule.attaches:
            by, numbers = ("identifier", draft.by_identifier) if draft.by_identifier else ("ins", draft.by_ins)
            return Decision(patients[next(iter(numbers))], None, by, rule.row)
        everybody = draft.by_identifier | draft.by_ins | draft.former | draft.twins
        candidates = tuple(sorted(everybody)[:MOST_CANDIDATES])
        return Decision(None, _REASONS[rule.reason], row=rule.row, candidates=candidates)

    def _facts(self, draft: _Draft, patients: Mapping[int, Patient]) -> Facts:
        identity, by_identifier, by_ins = draft.identity, draft.by_identifier, draft.by_ins
        by_matricule = by_ins or draft.former
        by_number = by_matricule or by_identifier
        known = patients[next(iter(by_number))].identity if len(by_number) == 1 else None
        recognised = by_number if by_identifier <= by_number else by_number | by_identifier
        return Facts(
            draft.sought.worth,
            "unsure" if _unsure(identity) else "sure",
            _dossier(recognised or draft.twins, patients),
            _count(by_identifier, contradicted=bool(by_matricule) and by_identifier != by_matricule),
            _count(by_ins) if by_ins or not draft.former else "former",
            _authority(identity, known) if by_ins and known is not None else "none",
            "none" if known is None else self._traits(identity, known),
            "none" if known is None else _status(known),
            _twins(draft.twins, patients),
        )

    def _traits(self, identity: PatientIdentity, known: PatientIdentity) -> str:
        said = self._compared.of(identity, known)
        return said or self._compared.keep(self._comparison(identity, known), identity, known)

    def _comparison(self, identity: PatientIdentity, known: PatientIdentity) -> str:
        if self._policy is Policy.REGISTER:
            return "differ" if contradicts(identity, known) else "same"
        comparison = compare(identity, known)
        return "differ" if comparison.differs else "same" if comparison.same else "missing"


class _Draft:
    """One identity being decided, and whom its tokens found."""

    __slots__ = ("by_identifier", "by_ins", "former", "identity", "sought", "twins")

    def __init__(self, identity: PatientIdentity, looked: Sought, hits: Hits) -> None:
        self.identity = identity
        self.sought = looked
        active = hits.active
        self.by_identifier: set[int] = set().union(*(active.get(token, _NOBODY) for token in looked.identifiers))
        self.by_ins: set[int] = set()
        self.former: set[int] = set()
        if looked.ins is not None:
            self.by_ins = active.get(looked.ins, self.by_ins)
            if not self.by_ins:
                self.former = hits.former.get(looked.ins, self.former)
        self.twins: set[int] = set()


def _count(numbers: set[int], *, contradicted: bool = False) -> str:
    if not numbers:
        return "none"
    if len(numbers) > 1:
        return "several"
    return "other" if contradicted else "one"


def _unsure(identity: PatientIdentity) -> bool:
    return bool(identity.attributes) and not _UNSURE.isdisjoint(identity.attributes)


def _dossier(recognised: set[int], patients: Mapping[int, Patient]) -> str:
    if not recognised:
        return "none"
    return "unsure" if any(_unsure(patients[number].identity) for number in recognised) else "sound"


def _authority(identity: PatientIdentity, known: PatientIdentity) -> str:
    if identity.ins is None or known.ins is None or identity.ins.oid == known.ins.oid:
        return "equal"
    return "differs"


def _status(known: PatientIdentity) -> str:
    return "qualified" if known.status is IdentityStatus.QUALIFIED else "other"


def _twins(numbers: set[int], patients: Mapping[int, Patient]) -> str:
    if not numbers:
        return "none"
    if len(numbers) > 1:
        return "several"
    return "without_ins" if patients[next(iter(numbers))].identity.ins is None else "with_ins"


def authority_of(item: Item) -> str:
    """Give the URI of the authority of identifiers that the sender sent without one: the sender itself."""
    if item.sender is None:
        return ""
    for identifier in item.sender.identifiers:
        return f"urn:x-sender:{identifier.value}"
    return f"urn:x-sender:{item.sender.name}" if item.sender.name else ""
