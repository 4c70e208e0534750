"""Reports into receipts: DSN (RFC 3464), MDN (RFC 8098 and the ANS's errors), bounces without a structure.

    about        the Message-ID of what was sent, else its envelope identity (ENVID)
    delivered    DSN `delivered`: it lies in the mailbox; MDN `deleted`, `dispatched`, `denied`: nobody says he read it
    accepted     DSN `relayed`, `expanded`, `delayed`: the next hop has it, and more is not known
    read         MDN `processed` or `displayed`

The mail that a report returns is looked at for its Message-ID alone: no document ever comes from it.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from mappings.mail.bodies import decoded, text_of
from mappings.mail.classify import DSN_PART, MDN_PART, MailKind
from mappings.mail.headers import Headers, parse_headers, read_message_ids
from mappings.mail.mime import Part
from mappings.notes import Notes
from schemas.actors import Professional, Telecom
from schemas.base import PartialDateTime
from schemas.coding import Coding
from schemas.finding import Severity
from schemas.mailboxes import domain_of
from schemas.receipt import Receipt, ReceiptError, ReceiptStage

APPLICATION_ERRORS = "urn:x-code-system:applicationErrorCondition"
"""The system of the codes 900 to 906, by the name that HL7 messages give it (ERR-5)."""

ERROR_CODES = {
    "900": "Version de document incorrecte",
    "901": "Auteur non autorisé",
    "902": "Identifiant patient inconnu",
    "903": "INS absente du document",
    "904": "INS ou traits différents de ceux du destinataire",
    "905": "INS incomplète",
    "906": "Autre erreur",
}
"""Why an application did not take a document (guide of transmission by mail, error codes)."""

STATUS_CODES = "urn:ietf:rfc:3463"
_SEE_APPLICATION = Coding(system="urn:x-code-system:messageErrorCondition", code="207", display="Application error")
_ACTIONS = {
    "failed": (ReceiptStage.DELIVERED, False),
    "delivered": (ReceiptStage.DELIVERED, True),
    "relayed": (ReceiptStage.ACCEPTED, True),
    "expanded": (ReceiptStage.ACCEPTED, True),
    "delayed": (ReceiptStage.ACCEPTED, True),
}
_SEEN = frozenset({"processed", "displayed"})
_NOT_SEEN = frozenset({"deleted", "dispatched", "denied"})
_CODE = re.compile(r"\b(90\d)\b")
_SUBJECT_CODE = re.compile(r"\[\s*(\d{3})\s*\]")
_STATUS = re.compile(r"\b([245]\.\d{1,3}\.\d{1,3})\b")
_FAILED_RECIPIENT = re.compile(r"<?([A-Za-z0-9][^\s<>\"(),;:@]{0,200}@[A-Za-z0-9][A-Za-z0-9.-]{1,250})>?")
_RETURNED_ID = re.compile(r"^[ \t>]*Message-ID:[ \t]*(?:\r?\n[ \t]+)?(<[^<>\s]{1,900}>)", re.IGNORECASE | re.MULTILINE)
_MOST_RECIPIENTS = 200
_LONGEST_TEXT = 2000


class ReportReading(NamedTuple):
    """The receipts of a report, and what was read of the places that gave them (for what is left unread)."""

    receipts: tuple[Receipt, ...]
    where: tuple[str, ...]


def read_report(mail: Part, kind: MailKind, notes: Notes) -> ReportReading:
    """Read a report of any form into one receipt a recipient."""
    about = returned_message_id(mail, notes)
    match kind:
        case MailKind.MDN:
            found = _mdn(mail, about, notes)
        case MailKind.DSN:
            found = _dsn(mail, about, notes)
        case MailKind.REFUSAL:
            found = [("", _refusal(mail, about))]
        case _:
            found = []
    found = found or [("", one) for one in _bounce(mail, about, kind, notes)]
    if not found:
        notes.error("mail.report.empty", "", "this is a report, and it does not say about what or about whom")
    if any(receipt.about is None for _, receipt in found):
        notes.error("mail.report.about", "", "the report does not name the mail that it is about")
    return ReportReading(tuple(one for _, one in found), tuple(place for place, _ in found))


def returned_message_id(mail: Part, notes: Notes) -> str | None:
    """Find the Message-ID of the mail that a report returns, whole or by its header."""
    for part in mail.walk():
        if part.is_message and part.children:
            found = part.children[0].headers.message_ids("Message-ID")
        elif part.is_message or part.media_type in {"text/rfc822-headers", "message/global-headers"}:
            content = decoded(part, notes)
            found = parse_headers(content, 0, len(content))[0].message_ids("Message-ID")
        else:
            continue
        if found:
            return found[0]
    return None


# --- delivery status notifications


def _dsn(mail: Part, about: str | None, notes: Notes) -> list[tuple[str, Receipt]]:
    found: list[tuple[str, Receipt]] = []
    for part in mail.walk():
        if part.media_type not in DSN_PART:
            continue
        blocks = _blocks(decoded(part, notes))
        message = blocks[0] if blocks else None
        envelope = message.raw("Original-Envelope-Id") if message is not None else ""
        # One that leaves the block of the message out begins with its recipient.
        recipients = blocks if message is not None and message.has("Action") else blocks[1:]
        if len(recipients) > _MOST_RECIPIENTS:
            notes.error("mail.report.too_many", part.where, "the report is about too many recipients: the rest is left")
        for block in recipients[:_MOST_RECIPIENTS]:
            receipt = _of_recipient(block, about or envelope or None, part.where, notes)
            if receipt is not None:
                at = receipt.at or mail.headers.moment()
                found.append((part.where, receipt.model_copy(update={"at": at})))
    return found


def _of_recipient(block: Headers, about: str | None, where: str, notes: Notes) -> Receipt | None:
    action = block.raw("Action").partition(" ")[0].strip().lower()
    if not action and not block.has("Final-Recipient"):
        return None
    stage, positive = _ACTIONS.get(action, (ReceiptStage.DELIVERED, False))
    if action not in _ACTIONS:
        notes.warning("mail.report.action", where, "the action of a delivery report is not known: read as a failure")
    if action == "delayed":
        notes.warning("mail.report.delayed", where, "the operator could not deliver yet and goes on trying")
    errors: tuple[ReceiptError, ...] = ()
    diagnostic = block.text("Diagnostic-Code")[:_LONGEST_TEXT]
    if not positive or action == "delayed":
        status = _STATUS.search(block.raw("Status")) or _STATUS.search(diagnostic)
        exact = _STATUS.search(diagnostic)
        if status is not None and status[1].endswith(".0.0") and exact is not None:
            status = exact  # «5.0.0» says nothing that the answer of the server does not say better
        code = Coding(system=STATUS_CODES, code=status[1]) if status is not None else None
        severity = Severity.ERROR if not positive else Severity.WARNING
        errors = (ReceiptError(severity=severity, code=code, text=_after_type(diagnostic) or None),)
    who = _address(block.raw("Final-Recipient")) or _address(block.raw("Original-Recipient"))
    at = block.moment("Last-Attempt-Date")
    return _receipt(stage, about, action or "failed", who, positive=positive, errors=errors, at=at)


# --- message disposition notifications


def _mdn(mail: Part, about: str | None, notes: Notes) -> list[tuple[str, Receipt]]:
    found: list[tuple[str, Receipt]] = []
    for part in mail.walk():
        if part.media_type not in MDN_PART:
            continue
        for block in _blocks(decoded(part, notes))[:1]:
            named = block.message_ids("Original-Message-ID")
            receipt = _of_disposition(block, named[0] if named else about, mail, part.where, notes)
            found.append((part.where, receipt.model_copy(update={"at": mail.headers.moment()})))
    return found


def _of_disposition(block: Headers, about: str | None, mail: Part, where: str, notes: Notes) -> Receipt:
    mode, _, rest = block.text("Disposition").partition(";")
    kind, slash, modifier = rest.strip().partition("/")
    answer = kind.strip().lower()
    errors = _errors(block, modifier)
    failed = modifier.strip().lower().startswith(("error", "fail"))
    positive = not errors and not failed and answer in _SEEN | _NOT_SEEN
    if not answer or (not positive and not errors and not failed):
        notes.warning("mail.report.disposition", where, "the disposition is not one of the standard: read as a failure")
    if not positive and not errors:
        errors = _error_of_subject(mail)
    stage = ReceiptStage.DELIVERED if answer in _NOT_SEEN else ReceiptStage.READ
    if answer in _NOT_SEEN:
        notes.info("mail.report.not_read", where, "the recipient has the mail, and nobody says that it was read")
    who = _address(block.raw("Final-Recipient")) or _address(block.raw("Original-Recipient"))
    word = "manual" if mode.lower().startswith("manual") else "automatic"
    said = f"{word} {answer}{'/error' if slash and not positive else ''}".strip() if answer else None
    return _receipt(stage, about, said, who, positive=positive, errors=errors)


def _errors(block: Headers, modifier: str) -> tuple[ReceiptError, ...]:
    """Read the errors: the field `Error` (guide 1.1.3), or what stands behind `Error:` in the disposition (before)."""
    texts = [value for name in ("Error", "Failure") for value in block.all_raw(name)]
    old = modifier.partition(":")[2].strip() if ":" in modifier else ""
    return tuple(_error(text) for text in (*texts, old) if text.strip())


def _error(text: str) -> ReceiptError:
    first, _, severity = text.partition("|")
    code, _, label = first.strip().partition("^")
    label = label.partition("^")[0].strip()
    found = _CODE.search(code)
    if found is None:
        return ReceiptError(text=text.strip()[:_LONGEST_TEXT])
    letter = severity.strip()[:1].upper()
    worst = {"W": Severity.WARNING, "I": Severity.INFO}.get(letter, Severity.ERROR)
    return _application_error(found[1], label, worst)


def _application_error(code: str, label: str = "", severity: Severity = Severity.ERROR) -> ReceiptError:
    coding = Coding(system=APPLICATION_ERRORS, code=code, display=label or ERROR_CODES.get(code))
    return ReceiptError(severity=severity, condition=_SEE_APPLICATION, code=coding)


def _error_of_subject(mail: Part) -> tuple[ReceiptError, ...]:
    found = _SUBJECT_CODE.search(mail.headers.text("Subject"))
    return (_application_error(found[1]),) if found is not None else ()


# --- without a structure


def _refusal(mail: Part, about: str | None) -> Receipt:
    """Read «[KO …][902]»: the sender of the notice is who did not take the document."""
    senders = mail.headers.mailboxes("From")
    who = senders[0].address if senders else None
    errors = _error_of_subject(mail)
    return _receipt(ReceiptStage.READ, about, "KO", who, positive=False, errors=errors, at=mail.headers.moment())


def _bounce(mail: Part, about: str | None, kind: MailKind, notes: Notes) -> list[Receipt]:
    """Read a notice of failure by its words: whom it names before the returned mail, and why."""
    part = next((one for one in mail.walk() if one.media_type in {"text/plain", "text/html"}), None)
    text = text_of(part, notes) if part is not None else ""
    about = about or _named_in(mail, text)
    own = {one.address.lower() for name in ("To", "From", "Cc") for one in mail.headers.mailboxes(name)}
    failed = [one for value in mail.headers.all_raw("X-Failed-Recipients") for one in re.split(r"[,\s]+", value)]
    above = text[: _start_of_original(text)]
    failed += _FAILED_RECIPIENT.findall(above)
    named = dict.fromkeys(one.rstrip(".") for one in failed if "@" in one and one.lower().rstrip(".") not in own)
    if kind is MailKind.MDN:
        return [_receipt(ReceiptStage.READ, about, None, None, positive=False, errors=_error_of_subject(mail))]
    notes.info(
        "mail.report.by_words", part.where if part is not None else "", "this notice of failure has no structure"
    )
    status = _STATUS.search(above)
    code = Coding(system=STATUS_CODES, code=status[1]) if status is not None else None
    errors = (ReceiptError(code=code, text=above.strip()[:_LONGEST_TEXT] or None),)
    at = mail.headers.moment()
    people: list[str | None] = [*named][:_MOST_RECIPIENTS] or [None]
    stage = ReceiptStage.DELIVERED
    return [_receipt(stage, about, "failed", who, positive=False, errors=errors, at=at) for who in people]


def _named_in(mail: Part, text: str) -> str | None:
    """Find what is returned inside the text itself, as old servers do, else what the notice answers to."""
    found = _RETURNED_ID.findall(text)
    if found:
        return read_message_ids(found[-1])[0]
    answered = mail.headers.message_ids("In-Reply-To") or mail.headers.message_ids("References")[-1:]
    return answered[0] if answered else None


def _start_of_original(text: str) -> int:
    found = re.search(
        r"^(?:-{2,}.{0,60}(?:copy|original|message).{0,60}$|Received: |Return-Path: |Message-ID: )",
        text,
        re.MULTILINE | re.IGNORECASE,
    )
    return found.start() if found is not None else len(text)


# --- pieces


def _blocks(content: bytes) -> list[Headers]:
    """Cut the fields of a report into its blocks: one for the message, one for each recipient."""
    blocks: list[Headers] = []
    at, end = 0, len(content)
    while at < end and len(blocks) <= _MOST_RECIPIENTS + 2:
        if content[at : at + 1] in (b"\r", b"\n"):
            at += 1
            continue
        headers, following = parse_headers(content, at, end)
        if headers.fields:
            blocks.append(headers)
        if following <= at:
            line = content.find(b"\n", at)
            following = end if line < 0 else line + 1
        at = following
    return blocks


def _address(value: str) -> str | None:
    """Read the address of `rfc822; somebody@domain`."""
    address = _after_type(value).strip("<> ")
    return address if "@" in address and " " not in address else None


def _after_type(value: str) -> str:
    kind, semicolon, rest = value.partition(";")
    return rest.strip() if semicolon and " " not in kind.strip() else value.strip()


def _receipt(
    stage: ReceiptStage,
    about: str | None,
    answer: str | None,
    who: str | None,
    *,
    positive: bool,
    errors: tuple[ReceiptError, ...] = (),
    at: PartialDateTime | None = None,
) -> Receipt:
    recipient = Professional(telecoms=(mailbox(who),)) if who else None
    return Receipt(
        stage=stage, positive=positive, about=about, answer=answer, recipient=recipient, at=at, errors=errors
    )


def mailbox(address: str) -> Telecom:
    """Give an address its kind: one inside the trusted space (a domain below `mssante`), or any other."""
    kind = "mssante" if "mssante" in domain_of(address).split(".") else "email"
    return Telecom(kind=kind, value=address)
