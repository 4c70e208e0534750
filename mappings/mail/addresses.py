"""Who writes a mail and to whom: the options of the partner, and whether the law of MSSanté lets this one be written.

One mail has one recipient. A patient is written to under the INS of a qualified identity alone, which is the address.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from mappings.contracts import Environment, FormatError, WriteContext, WriteRefused
from schemas.actors import Organization, Professional, Recipient, Telecom
from schemas.document import Wishes
from schemas.identity_status import ins_usable
from schemas.item import DocumentItem, LabReportItem, NoteItem
from schemas.mailboxes import domain_of, is_patient_address, matricule_of

_ADDRESS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,250}[A-Za-z0-9])?")
_YES, _NO = frozenset({"1", "true", "yes", "oui"}), frozenset({"0", "false", "no", "non"})
PROFESSIONAL, PATIENT = "professional", "patient"


@dataclass(frozen=True, slots=True)
class Sending:
    """What is settled about a mail before it is composed."""

    sender: str
    label: str
    recipient: str
    recipient_name: str
    to_patient: bool
    reply_to: str | None


def flag(options: Mapping[str, str], name: str, *, default: bool) -> bool:
    """Read an option that is yes or no. Raises FormatError `mail.option`."""
    value = options.get(name, "").strip().lower()
    if not value:
        return default
    if value not in _YES | _NO:
        raise FormatError("mail.option", name, f"the option {name} is yes or no")
    return value in _YES


def settle(item: DocumentItem | LabReportItem | NoteItem, context: WriteContext) -> Sending:
    """Find sender and recipient. Raises WriteRefused where nobody, or not this one, may be written to."""
    options = context.options
    sender = options.get("from", "").strip()
    if not sender:
        raise WriteRefused("mail.write.from", "from", "the option from, the address that writes, is missing")
    _checked(sender, "from")
    if context.environment is Environment.PRODUCTION and not options.get("nil", "").strip():
        message = "MSSanté wants the reference number of the product on every mail: give the option nil"
        raise WriteRefused("mail.write.nil", "nil", message)
    audience = options.get("audience", "").strip().lower()
    if audience not in {"", PROFESSIONAL, PATIENT}:
        raise FormatError("mail.option", "audience", f"the option audience is {PROFESSIONAL} or {PATIENT}")
    recipient, name = _recipient(item, context, audience)
    to_patient = is_patient_address(recipient)
    if audience and (audience == PATIENT) is not to_patient:
        message = "the address is not one of the audience that this destination writes to"
        raise WriteRefused("mail.write.audience", "recipients", message)
    if to_patient:
        _check_patient(item, recipient)
    _check_wishes(item, to_patient=to_patient)
    own = item.content.reply_to if isinstance(item, DocumentItem | NoteItem) else None
    reply_to = options.get("reply_to", "").strip() or own
    if reply_to:
        _checked(reply_to, "reply_to")
    return Sending(sender, options.get("from_label", ""), recipient, name, to_patient, reply_to or None)


def _checked(address: str, where: str) -> None:
    if _ADDRESS.fullmatch(address) is None or ".." in address:
        raise WriteRefused("mail.write.address", where, "this is not a mail address")


def _recipient(item: DocumentItem | LabReportItem | NoteItem, context: WriteContext, audience: str) -> tuple[str, str]:
    """Give the one address to write to, and its name: that of the destination, else the Item's own."""
    fixed = context.options.get("to", "").strip()
    if fixed:
        _checked(fixed, "to")
        return fixed, ""
    found: dict[str, tuple[str, str]] = {}
    for telecom, name in _mailboxes(item):
        if not audience or (audience == PATIENT) is is_patient_address(telecom.value):
            found.setdefault(telecom.value.strip().lower(), (telecom.value.strip(), name))
    domain = context.options.get("patient_domain", "").strip()
    ins = item.patient.ins
    if not found and audience == PATIENT and domain and ins is not None:
        return f"{ins.matricule}@{domain}", ""
    if not found:
        raise WriteRefused("mail.write.no_recipient", "recipients", "nobody is named whose MSSanté address is known")
    if len(found) > 1:
        message = "several addresses are named: each of them has a mail of its own"
        raise WriteRefused("mail.write.several_recipients", "recipients", message)
    ((address, name),) = found.values()
    _checked(address, "recipients")
    return address, name


def _mailboxes(item: DocumentItem | LabReportItem | NoteItem) -> Iterator[tuple[Telecom, str]]:
    own: tuple[Recipient, ...] = item.content.recipients if isinstance(item, DocumentItem) else ()
    for one in (*item.recipients, *own):
        for who in (one.professional, one.organization, one.professional and one.professional.organization):
            if isinstance(who, Professional | Organization):
                for telecom in who.telecoms:
                    if telecom.kind == "mssante" or (telecom.kind == "email" and _is_trusted(telecom.value)):
                        yield telecom, _name(who)


def _is_trusted(address: str) -> bool:
    return "mssante" in domain_of(address).split(".")


def _name(who: Professional | Organization) -> str:
    if isinstance(who, Organization):
        return who.name or ""
    given = " ".join(part for part in (who.civility, who.given_name, who.family_name) if part)
    return given or who.name or ""


def _check_patient(item: DocumentItem | LabReportItem | NoteItem, recipient: str) -> None:
    patient = item.patient
    if patient.ins is None or not ins_usable(patient.status, patient.attributes):
        message = "a patient is written to under a qualified INS alone, and this identity is not qualified"
        raise WriteRefused("mail.write.patient_not_qualified", "patient.ins", message)
    if matricule_of(recipient) != patient.ins.matricule:
        message = "the address is that of another patient than the one whom this is about"
        raise WriteRefused("mail.write.other_patient", "recipients", message)


def _check_wishes(item: DocumentItem | LabReportItem | NoteItem, *, to_patient: bool) -> None:
    """Hold to the combinations of visibility and destination that are legal (fact sheet §4.6)."""
    wishes = item.content.wishes if isinstance(item, DocumentItem) else None
    wishes = wishes or Wishes()
    hidden = wishes.hidden_from_patient if to_patient else wishes.masked_to_professionals
    wanted = wishes.mssante_patient if to_patient else wishes.mssante_professionals
    if hidden or wanted is False:
        whom = "the patient" if to_patient else "professionals"
        message = f"its sender hides this document from {whom}, or does not want it sent to them"
        raise WriteRefused("mail.write.hidden", "content.wishes", message)
