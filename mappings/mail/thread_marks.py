"""The mark in a subject by which an answer finds its thread, though its program named no mail that it answers.

It is the identity of the Delivery, of which the Message-ID is made, and says nothing of anybody: `[ref:32 digits]`.
"""

from __future__ import annotations

import re
from uuid import UUID

from mappings.safe_names import safe_stem
from schemas.mailboxes import domain_of

_MARK = re.compile(r"\[ref:\s*([0-9a-f]{32})\s*\]", re.IGNORECASE)


def message_id(identity: str, sender: str) -> str:
    """Make the Message-ID of a Delivery, without angle brackets: the same for the same identity and sender."""
    return f"{safe_stem(identity)}@{domain_of(sender)}"


def marked(subject: str, identity: UUID) -> str:
    """End a subject with the mark of a Delivery."""
    return f"{subject} [ref:{identity.hex}]"


def answered_by(subject: str, written_to: str) -> str | None:
    """Give the Message-ID that a mark names, None where there is no mark; `written_to` is our own address."""
    found = _MARK.search(subject)
    return message_id(str(UUID(found[1])), written_to) if found is not None and "@" in written_to else None
