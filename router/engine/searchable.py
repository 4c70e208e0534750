"""What of an Item a person may type to find it: its numbers, its mail, and its patient while it has none."""

from __future__ import annotations

from mappings.contracts import Correspondence
from router.journal.sealing import Sealer, loose
from schemas.actors import Organization
from schemas.document import Document
from schemas.identity import PatientIdentity
from schemas.item import Item
from schemas.lab import LabReport
from schemas.note import LiaisonNote
from schemas.receipt import Receipt
from schemas.stay import Stay


def searchable(item: Item, mail: Correspondence | None = None) -> list[str | None]:
    """Give the numbers of what an Item holds and of what it replaces, and the names of the mail that brought it."""
    found = [*_numbers(item), item.replaces]
    if mail is not None:
        found += [mail.message_id, mail.thread, mail.in_reply_to]
    return list(dict.fromkeys(found))


def _numbers(item: Item) -> list[str | None]:
    content = item.content
    if isinstance(content, LabReport):
        return [content.report_id, content.order_id, content.visit.value if content.visit is not None else None]
    if isinstance(content, Stay):
        return [one.value for one in (content.visit, content.account) if one is not None]
    if isinstance(content, Document):
        visit = content.visit.value if content.visit is not None else None
        numbers = [content.document_id, content.set_id, content.report_id, content.replaces_id]
        return [*numbers, content.order_id, visit]
    if isinstance(content, LiaisonNote):
        return [content.note_id, content.thread, content.in_reply_to]
    if isinstance(content, Receipt):
        return [content.about]
    return []


def sender_token(sealer: Sealer, text: str) -> int:
    """Make the token of a sender's name or number."""
    return sealer.token("sender", loose(text))


def sender_tokens(sealer: Sealer, sender: Organization | None) -> set[int]:
    """Make the tokens of whoever sent an Item: a filter by sender finds them."""
    if sender is None:
        return set()
    return {sender_token(sealer, one) for one in (sender.name, *(one.value for one in sender.identifiers)) if one}


def identity_tokens(sealer: Sealer, identity: PatientIdentity) -> set[int]:
    """Make the tokens of a person's numbers and names."""
    values = [one.value for one in identity.identifiers]
    if identity.ins is not None:
        values.append(identity.ins.matricule)
    names = [identity.birth_name, identity.used_name, identity.family_name]
    return {sealer.token("value", loose(value)) for value in values} | {
        sealer.token("name", loose(name)) for name in names if name
    }
