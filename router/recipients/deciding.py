"""Whom one Item is written to: every reason gathered, each person once, and a word for whoever cannot be reached.

Pure but for the look-ups that it is given. Nobody is written to on a guess: a professional known by name alone is not
looked up, and a patient has one mailbox, that of a qualified INS of their own (a minor's is the minor's).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace

from router.dossier.classifying import category_of_document, marks_of_document
from router.recipients.circles import NO_CIRCLE, Circle
from router.recipients.mailboxes import Box, Known, mailbox_of_person, mailbox_of_structure, whose
from router.recipients.rules import Audience, Reason, Rules, Send
from schemas.actors import Organization, Professional, Recipient, Telecom
from schemas.circle import party_keys
from schemas.document import Wishes
from schemas.finding import Finding, Severity
from schemas.habilitation import DataCategory
from schemas.identity_status import ins_usable
from schemas.item import DocumentItem, Item, LabReportItem, NoteItem, StayItem
from schemas.mailboxes import is_patient_address
from schemas.visibility import Mark


@dataclass(frozen=True, slots=True)
class Asked:
    """What is decided about: the Item as it would leave, and whose it is (None: nobody's for certain)."""

    item: Item
    general_practitioner: Professional | None = None
    patient_id: int | None = None
    circle: Circle = NO_CIRCLE


@dataclass(frozen=True, slots=True)
class Policy:
    """How one destination decides: the reasons that it serves, its tables, the domain of patients' mailboxes.

    `allowed` says whether a domain is one of MSSanté's; None when that is not known.
    """

    to: tuple[Reason, ...]
    rules: Rules
    patient_domain: str = "patient.mssante.fr"
    allowed: Callable[[str], bool] | None = None


@dataclass(frozen=True, slots=True)
class Chosen:
    """Somebody to write to, for these reasons; `held` says why a person has to let it go first, if so."""

    address: str
    audience: Audience
    reasons: tuple[Reason, ...]
    recipient: Recipient
    findings: tuple[Finding, ...] = ()
    held: str = ""


@dataclass(frozen=True, slots=True)
class Left:
    """Somebody who should have it and cannot, or that nobody may: `code` is stable, `key` tells two of them apart."""

    code: str
    message: str
    key: str
    reasons: tuple[Reason, ...] = ()

    @property
    def finding(self) -> Finding:
        """The Finding that says so."""
        return Finding(severity=Severity.WARNING, code=self.code, where="recipients", message=self.message)


@dataclass(frozen=True, slots=True)
class Outcome:
    """Whom to write to, in a stable order, and who is left out and why. One of the two is never empty."""

    chosen: tuple[Chosen, ...]
    left: tuple[Left, ...]


@dataclass(frozen=True, slots=True)
class _Candidate:
    """Somebody with a reason: as the sender, the register or the circle knows them."""

    reason: Reason
    rpps: str = ""
    finess: str = ""
    address: str = ""
    keys: frozenset[str] = frozenset()
    recipient: Recipient = field(default_factory=Recipient)


def decide(asked: Asked, policy: Policy, known: Known) -> Outcome:
    """Decide about one Item for one destination."""
    category = category_of(asked.item)
    wishes = asked.item.content.wishes if isinstance(asked.item, DocumentItem) else None
    audiences = policy.rules.audiences(wishes)
    if category is None:
        return _nobody("recipients.none", "this kind of item is not mailed to anybody")
    if audiences is None:
        return _nobody(
            "recipients.wishes",
            "the sender's wishes contradict each other (visibility, MSSanté recipients): ask for a correction",
        )
    if not audiences:
        return _nobody("recipients.not_wanted", "the sender wishes it to be mailed to nobody")
    made = _Gathering(policy, known)
    if Audience.PROFESSIONAL in audiences:
        masked = isinstance(asked.item, DocumentItem) and bool(marks_of_document(asked.item.content) & Mark.MASQUE_PS)
        for candidate in _professionals(asked, category, policy, asked.patient_id is not None):
            if masked and candidate.reason is not Reason.CIRCLE:
                said = "it is masked to professionals: only the rules of the dossier let one of them have it"
                made.leave(Left("recipients.masked", said, "masked", (candidate.reason,)))
            else:
                made.professional(candidate, asked)
    if Audience.PATIENT in audiences:
        _patient(asked, category, wishes, policy, made)
    if not made.chosen and not made.left:
        said = "nobody is to have it: the sender names nobody, and no practitioner or circle is known"
        return _nobody("recipients.none", said)
    return Outcome(tuple(made.chosen.values()), tuple(made.left.values()))


def category_of(item: Item) -> DataCategory | None:
    """Give the category of data of an Item, None for kinds that are not mailed."""
    if isinstance(item, DocumentItem):
        return category_of_document(item.content)
    if isinstance(item, LabReportItem):
        return DataCategory.LAB
    if isinstance(item, StayItem):
        return DataCategory.EVENTS
    return DataCategory.NOTES if isinstance(item, NoteItem) else None


def _nobody(code: str, message: str) -> Outcome:
    return Outcome((), (Left(code, message, code),))


# --- professionals


def _professionals(asked: Asked, category: DataCategory, policy: Policy, known: bool) -> Iterator[_Candidate]:
    """Give everybody with a reason; the sender's own words first, for they may hold the very address."""
    for reason in (Reason.NAMED, Reason.PRACTITIONER, Reason.CIRCLE):
        if reason not in policy.to or policy.rules.send(reason, category) is not Send.YES:
            continue
        if reason is Reason.NAMED:
            yield from _named(asked.item)
        elif reason is Reason.PRACTITIONER and known and asked.general_practitioner is not None:
            yield _candidate(reason, Recipient(professional=asked.general_practitioner))
        elif reason is Reason.CIRCLE:
            for member in asked.circle.members:
                keys = {f"rpps|{member.rpps}"} if member.rpps else {f"finess|{member.finess}"}
                recipient = Recipient(professional=Professional(name=member.name or None))
                yield _Candidate(reason, member.rpps, member.finess, member.mailbox.lower(), frozenset(keys), recipient)


def _recipients(item: Item) -> tuple[Recipient, ...]:
    own: tuple[Recipient, ...] = item.content.recipients if isinstance(item, DocumentItem) else ()
    return tuple(dict.fromkeys((*item.recipients, *own)))


def _named_addresses(item: Item) -> Iterator[str]:
    for one in _recipients(item):
        yield from _addresses(one.professional, one.organization)


def _named(item: Item) -> Iterator[_Candidate]:
    for one in _recipients(item):
        candidate = _candidate(Reason.NAMED, one)
        # A patient's address is no professional's: the rules of the patient decide about it.
        if not is_patient_address(candidate.address):
            yield candidate


def _candidate(reason: Reason, recipient: Recipient) -> _Candidate:
    professional, organization = recipient.professional, recipient.organization
    place = (professional.organization if professional is not None else None) or organization
    keys = party_keys(professional.identifiers) if professional is not None else frozenset[str]()
    places = party_keys(place.identifiers) if place is not None else frozenset[str]()
    rpps = next((key.partition("|")[2] for key in sorted(keys) if key.startswith("rpps|")), "")
    finess = next((key.partition("|")[2] for key in sorted(places) if key.startswith("finess|")), "")
    address = next(_addresses(professional, organization), "")
    return _Candidate(reason, rpps, finess, address, keys or places, recipient)


def _addresses(*parties: Professional | Organization | None) -> Iterator[str]:
    for party in parties:
        for telecom in party.telecoms if party is not None else ():
            address = telecom.value.strip().lower()
            if telecom.kind == "mssante" or (telecom.kind == "email" and "mssante" in address.rpartition("@")[2]):
                yield address


# --- the patient


def _patient(asked: Asked, category: DataCategory, wishes: Wishes | None, policy: Policy, made: _Gathering) -> None:
    item = asked.item
    named = {one for one in _named_addresses(item) if is_patient_address(one)}
    asks = bool(named) or (wishes is not None and wishes.mssante_patient is True)
    send = policy.rules.send(Reason.PATIENT, category)
    if Reason.PATIENT not in policy.to or send is Send.NO or (send is Send.ASKED and not asks):
        return
    marks = marks_of_document(item.content) if isinstance(item, DocumentItem) else Mark.NONE
    ins = item.patient.ins
    address = f"{ins.matricule}@{policy.patient_domain}".lower() if ins is not None else ""
    if marks & Mark.INVISIBLE_PATIENT:
        made.leave_patient("hidden_from_patient", "it is hidden from the patient: it does not go to their mailbox")
    elif asked.patient_id is None or not address or not ins_usable(item.patient.status, item.patient.attributes):
        said = "the patient's mailbox is that of a qualified INS, and this identity is not qualified"
        made.leave_patient("patient_not_qualified", said)
    elif asked.circle.no_patient:
        made.leave_patient("patient_opposed", "the patient opposes mail to their own mailbox")
    elif named - {address}:
        made.leave_patient("other_patient", "the sender names the mailbox of another patient than this one")
    else:
        # Nothing is said of the patient beside the address: the mail itself names them.
        recipient = Recipient(professional=Professional(telecoms=(Telecom(kind="mssante", value=address),)))
        made.choose(Chosen(address, Audience.PATIENT, (Reason.PATIENT,), recipient), "patient")


# --- each of them once


class _Gathering:
    """Who is chosen, by address, and who is left, by what tells them apart; a person is one, however often named."""

    def __init__(self, policy: Policy, known: Known) -> None:
        self._policy = policy
        self._known = known
        self.chosen: dict[str, Chosen] = {}
        self.left: dict[str, Left] = {}
        self._people: dict[str, str] = {}

    def professional(self, candidate: _Candidate, asked: Asked) -> None:
        rpps = candidate.rpps or (whose(self._known, candidate.address) if candidate.address else "")
        keys = candidate.keys | {f"rpps|{rpps}"}
        if asked.circle.no_professionals or keys & asked.circle.opposed:
            said = "the patient opposes that this be sent to " + (
                "professionals" if asked.circle.no_professionals else "one of these recipients"
            )
            self.leave(Left("recipients.opposed", said, "opposed", (candidate.reason,)))
            return
        if rpps and rpps in self._people:
            self._again(self._people[rpps], candidate.reason)
            return
        box = self._box(candidate, rpps)
        if box is None:
            self.leave(_unreachable(candidate))
            return
        recipient = _addressed(candidate.recipient, box.address)
        self.choose(
            Chosen(box.address, Audience.PROFESSIONAL, (candidate.reason,), recipient, _chosen_among(box)), rpps
        )

    def choose(self, chosen: Chosen, person: str) -> None:
        if chosen.address in self.chosen:
            self._again(chosen.address, *chosen.reasons)
        else:
            self.chosen[chosen.address] = self._checked(chosen)
        if person:
            self._people[person] = chosen.address
            # Who could not be reached for one reason is, for another.
            self.left.pop(f"rpps|{person}", None)

    def leave_patient(self, code: str, message: str) -> None:
        self.leave(Left(f"recipients.{code}", message, code, (Reason.PATIENT,)))

    def leave(self, left: Left) -> None:
        before = self.left.get(left.key)
        reasons = tuple(dict.fromkeys((*(before.reasons if before is not None else ()), *left.reasons)))
        self.left[left.key] = replace(before or left, reasons=reasons)

    def _again(self, address: str, *reasons: Reason) -> None:
        before = self.chosen[address]
        self.chosen[address] = replace(before, reasons=tuple(dict.fromkeys((*before.reasons, *reasons))))

    def _box(self, candidate: _Candidate, rpps: str) -> Box | None:
        if candidate.address:
            return Box(candidate.address)
        if rpps:
            return mailbox_of_person(self._known, rpps, candidate.finess)
        return mailbox_of_structure(self._known, candidate.finess) if candidate.finess else None

    def _checked(self, chosen: Chosen) -> Chosen:
        if self._policy.allowed is None or self._policy.allowed(chosen.address):
            return chosen
        said = "the domain of this address is not in the white list of MSSanté: correct it, or send it all the same"
        finding = Finding(severity=Severity.WARNING, code="recipients.domain", where="recipients", message=said)
        return replace(chosen, findings=(*chosen.findings, finding), held=f"held: {said}")


def _unreachable(candidate: _Candidate) -> Left:
    if candidate.rpps:
        said = f"no MSSanté mailbox is known for the professional with RPPS {candidate.rpps}"
        return Left("recipients.no_mailbox", said, f"rpps|{candidate.rpps}", (candidate.reason,))
    if candidate.finess:
        said = f"no MSSanté mailbox, or more than one, is known for the structure with FINESS {candidate.finess}"
        return Left("recipients.no_mailbox", said, f"finess|{candidate.finess}", (candidate.reason,))
    said = "a recipient is named without address, RPPS or FINESS: nobody is looked up by name alone"
    return Left("recipients.unknown", said, f"unknown|{candidate.recipient.model_dump_json()}", (candidate.reason,))


def _chosen_among(box: Box) -> tuple[Finding, ...]:
    if box.among < 2:
        return ()
    said = f"one of {box.among} mailboxes of this professional was chosen"
    return (Finding(severity=Severity.INFO, code="recipients.among", where="recipients", message=said),)


def _addressed(recipient: Recipient, address: str) -> Recipient:
    """Give a recipient with this one address, and nobody else's."""
    telecoms = (Telecom(kind="mssante", value=address),)
    if recipient.professional is not None:
        alone = recipient.professional.model_copy(update={"telecoms": telecoms, "organization": None})
        return Recipient(professional=alone, role=recipient.role)
    organization = (recipient.organization or Organization()).model_copy(update={"telecoms": telecoms})
    return Recipient(organization=organization, role=recipient.role)


def addressed_to(item: Item, recipients: Iterable[Recipient]) -> Item:
    """Give the Item with these recipients alone, wherever its model names some."""
    changes: dict[str, object] = {"recipients": tuple(recipients)}
    if isinstance(item, DocumentItem) and item.content.recipients:
        changes["content"] = item.content.model_copy(update={"recipients": ()})
    return item.model_copy(update=changes)
