"""Patients known to the coordination dossier: registration, blind tokens, look-up."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass, field

from sqlalchemy import Connection, delete, insert, or_, select, update

from router.identity.comparison import first_given_name
from router.journal import tables
from router.journal.asking import ask_about
from router.journal.operations import IDENTITY_PLACE, Change
from router.journal.sealing import Sealer, loose
from router.journal.unit import Unit
from schemas.coding import Identifier
from schemas.identifiers import NOT_AN_INS
from schemas.identity import PatientIdentity, Sex
from schemas.traits import loosened

_FIND = (
    "SELECT patient_token.token, patient_token.patient_id, patient_token.kind, patient.merged_into FROM patient_token"
    " JOIN patient ON patient.id = patient_token.patient_id WHERE patient_token.token IN"
)
_LOAD = "SELECT id, updated_at, in_coordination, sealed_identity, merged_into FROM patient WHERE id IN"

KEPT_KIND = "former"
"""Kind of the tokens that outlive an update: matricules that were this person's."""

REMEMBERED = 5000
"""Patients that a worker keeps opened; the row's time of change says whether one is still right."""


@dataclass(frozen=True, slots=True)
class Patient:
    """A person known to the dossier.

    `updated_at` says of which state of the row this was made; `merged_into` is the survivor of one that was merged.
    """

    id: int
    in_coordination: bool
    identity: PatientIdentity
    updated_at: int = 0
    merged_into: int | None = None


@dataclass(frozen=True, slots=True)
class Registration:
    """What a registration did: the patient's number, and whether it is new.

    `conflict` is true when the identity's numbers belong to several known patients: nothing was then changed.
    """

    patient_id: int
    created: bool
    conflict: bool = False


def normal_value(value: str) -> str:
    """Fold an identifier for comparison: no blanks at its ends, upper case."""
    return value.strip().upper()


def identifier_token(sealer: Sealer, system: str, value: str) -> int:
    """Make the token of (assigning authority, identifier)."""
    return sealer.token("identifier", system, normal_value(value))


def ins_token(sealer: Sealer, matricule: str) -> int:
    """Make the token of an INS matricule."""
    return sealer.token("ins", matricule)


def matching_identifiers(identity: PatientIdentity, sender: str = "") -> list[tuple[str, str]]:
    """Give the (authority, value) pairs that may recognise a person: never a billing or insured number.

    An identifier sent without an authority belongs to its sender: `sender` is that authority's URI, or empty.
    """
    pairs = [
        (identifier.system, identifier.value)
        for identifier in identity.identifiers
        if identifier.system and identifier.value and _recognises(identifier)
    ]
    if sender:
        pairs += [(sender, one.value) for one in identity.identifiers if not one.system and one.type in {None, "PI"}]
    return pairs


def _recognises(identifier: Identifier) -> bool:
    # A stay's number, a billing number or a received but unusable INS say nothing certain of the person.
    return identifier.type not in NOT_AN_INS and identifier.type not in {"INS", "AN", "VN"}


def trait_tokens(sealer: Sealer, identity: PatientIdentity) -> list[int]:
    """Make the tokens of (family name, birth date, sex), one for each name: few people share one."""
    if not identity.birth_date or identity.sex not in (Sex.FEMALE, Sex.MALE):
        return []
    born, sex = identity.birth_date, identity.sex.value
    return [sealer.token("traits", name, born, sex) for name in _family_names(identity)]


def near_tokens(sealer: Sealer, identity: PatientIdentity) -> list[int]:
    """Make the tokens under which a person is found though one trait is mistyped: by what is left of the traits."""
    first = loosened(first_given_name(identity) or "").partition(" ")[0]
    if not first:
        return []
    tokens = [sealer.token("near", "named", name, first) for name in _family_names(identity)]
    if identity.birth_date and identity.sex is not None:
        tokens.append(sealer.token("near", "born", identity.birth_date, identity.sex.value, first))
    return tokens


def _family_names(identity: PatientIdentity) -> Iterator[str]:
    for name in dict.fromkeys((identity.birth_name, identity.used_name, identity.family_name)):
        if name and (folded := loosened(name)):
            yield folded


def patient_tokens(sealer: Sealer, identity: PatientIdentity) -> dict[int, str]:
    """Give the blind index of a patient: token to kind."""
    found = {identifier_token(sealer, *pair): "identifier" for pair in matching_identifiers(identity)}
    for identifier in identity.identifiers:
        found.setdefault(sealer.token("value", loose(identifier.value)), "value")
    if identity.ins is not None:
        found[ins_token(sealer, identity.ins.matricule)] = "ins"
        found[sealer.token("value", loose(identity.ins.matricule))] = "value"
    for name in {identity.birth_name, identity.used_name, identity.family_name} - {None, ""}:
        found[sealer.token("name", loose(name or ""))] = "name"
    found |= dict.fromkeys(trait_tokens(sealer, identity), "traits")
    found |= dict.fromkeys(near_tokens(sealer, identity), "near")
    return found


def search_tokens(sealer: Sealer, text: str) -> list[int]:
    """Give the tokens under which a text typed by a person may be found: a name, an identifier, a report's number."""
    folded = loose(text)
    if not folded:
        return []
    return [sealer.token("value", folded), sealer.token("name", folded)]


def register(identity: PatientIdentity, *, in_coordination: bool, now: int) -> Change[Registration]:
    """Register a person, or update the one who has the same (authority, identifier) or INS.

    A matricule that an update replaces stays in the index as a former one: a message under it is held, not unknown.
    Only somebody merged into another having these numbers is a conflict: nothing says whose identity this would be.
    """

    def change(unit: Unit) -> Registration:
        # Keeping needs the index of this module; only a registration needs keeping.
        from router.identity.flows_keeping import index, keep_identity, next_change, patient_now, sealed, touch
        from router.identity.flows_published import Cause

        connection = unit.connection
        tokens = patient_tokens(unit.sealer, identity)
        strong = [token for token, kind in tokens.items() if kind in {"identifier", "ins"}]
        hits = look_up(connection, strong)
        known = sorted(set().union(*hits.active.values()))
        before = patient_now(unit, known[0]) if len(known) == 1 else None
        if len(known) > 1 or (before is not None and not _is_its_own(connection, before.id, strong)):
            return Registration(known[0], created=False, conflict=True)
        if before is not None:
            keep_identity(unit, before.id, before.identity, identity, Cause(now, "registered"))
            touch(unit, before.id, now=now, in_coordination=in_coordination)
            return Registration(before.id, created=False)
        added = (
            insert(tables.patient)
            .values(
                created_at=now,
                updated_at=next_change(unit, now),
                in_coordination=in_coordination,
                sealed_identity=sealed(unit, identity),
            )
            .returning(tables.patient.c.id)
        )
        number: int = connection.execute(added).scalar_one()
        index(unit, number, identity)
        return Registration(number, created=True)

    return Change(change, note="register patient")


def _is_its_own(connection: Connection, number: int, tokens: Sequence[int]) -> bool:
    """Say whether a patient has one of these tokens itself, and not only through somebody merged into it."""
    row = tables.patient_token.c
    mine = select(row.token).where(row.patient_id == number, row.token.in_(tokens), row.kind != KEPT_KIND).limit(1)
    return connection.execute(mine).first() is not None


def clear_tokens(connection: Connection, number: int, tokens: dict[int, str]) -> None:
    """Remove a patient's tokens before the new ones come; a matricule in use becomes a former one unless it stays."""
    row = tables.patient_token.c
    mine = row.patient_id == number
    connection.execute(update(tables.patient_token).where(mine, row.kind == "ins").values(kind=KEPT_KIND))
    connection.execute(
        delete(tables.patient_token).where(mine, or_(row.kind != KEPT_KIND, row.token.in_(list(tokens))))
    )


def remember_former(patient_id: int, matricules: Sequence[str]) -> Change[None]:
    """Put matricules that were a patient's into the index; the one in use, which INSi may repeat, is left as it is."""

    def change(unit: Unit) -> None:
        row = tables.patient_token.c
        tokens = {ins_token(unit.sealer, matricule) for matricule in matricules}
        present = select(row.token).where(row.patient_id == patient_id, row.token.in_(tokens))
        tokens -= set(unit.connection.execute(present).scalars())
        if tokens:
            rows = [{"token": token, "patient_id": patient_id, "kind": KEPT_KIND} for token in sorted(tokens)]
            unit.connection.execute(insert(tables.patient_token), rows)

    return Change(change, note="former matricules")


@dataclass(slots=True)
class Hits:
    """What a look-up found: token to the patients that have it, and to those for whom it is a former matricule.

    Who was merged is found as its survivor; `merged` are those who were found so.
    """

    active: dict[int, set[int]] = field(default_factory=dict)
    former: dict[int, set[int]] = field(default_factory=dict)
    merged: set[int] = field(default_factory=set)

    def keep(self, numbers: Set[int]) -> None:
        """Forget whoever is not among these patients."""
        for found in (*self.active.values(), *self.former.values()):
            found &= numbers


def look_up(connection: Connection, tokens: Sequence[int]) -> Hits:
    """Look tokens up in the index."""
    hits = Hits()
    for token, patient_id, kind, survivor in ask_about(connection, _FIND, tokens):
        found = hits.former if kind == KEPT_KIND else hits.active
        found.setdefault(token, set()).add(patient_id if survivor is None else survivor)
        if survivor is not None:
            hits.merged.add(patient_id)
    return hits


def load_patients(
    connection: Connection, sealer: Sealer, ids: Iterable[int], remembered: dict[tuple[int, int], Patient] | None = None
) -> dict[int, Patient]:
    """Load patients by their numbers; `remembered` keeps those opened before, by number and time of change."""
    wanted = list(ids)
    if not wanted:
        return {}
    cache = {} if remembered is None else remembered
    found: dict[int, Patient] = {}
    for number, updated_at, in_coordination, sealed, merged_into in ask_about(connection, _LOAD, wanted):
        patient = cache.get((number, updated_at))
        if patient is None:
            if len(cache) >= REMEMBERED:
                cache.clear()
            identity = PatientIdentity.model_validate_json(sealer.open(sealed, IDENTITY_PLACE))
            patient = Patient(number, bool(in_coordination), identity, updated_at, merged_into)
            cache[number, updated_at] = patient
        found[number] = patient
    return found
