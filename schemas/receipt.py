"""What a partner answers about something that was sent: taken over, published, delivered, read, or refused."""

from __future__ import annotations

from enum import StrEnum

from schemas.actors import Professional
from schemas.base import Frozen, PartialDateTime
from schemas.coding import Coding
from schemas.finding import Severity


class ReceiptStage(StrEnum):
    """How far what was sent has come, in the order of its way.

    `accepted`: the next system has taken it over (HL7v2 ACK, XDS response); `published`: the DMP holds it (ZAM^Z01);
    `delivered`: it lies in the recipient's mailbox (ZAM^Z02, DSN); `read`: the recipient has it (ZAM^Z03, MDN).
    """

    ACCEPTED = "accepted"
    PUBLISHED = "published"
    DELIVERED = "delivered"
    READ = "read"


class ReceiptError(Frozen):
    """One reason of a refusal: `code` is the partner's own (DMP, SMTP, 900 to 906), `condition` the general one.

    `where` is the place in what was sent, as the partner wrote it; `text` is meant for people and may hold health data.
    """

    severity: Severity = Severity.ERROR
    condition: Coding | None = None
    code: Coding | None = None
    where: str | None = None
    text: str | None = None


class Receipt(Frozen):
    """An answer about one thing that was sent.

    `about` is its identity at its sender (MSH-10, Message-ID, XDS uniqueId), `answer` the partner's own word (`AA`,
    `AR`, `Y`, `N`…). `recipient` is who got or read it, when the answer is about one of several.
    """

    stage: ReceiptStage
    positive: bool
    about: str | None = None
    answer: str | None = None
    recipient: Professional | None = None
    at: PartialDateTime | None = None
    errors: tuple[ReceiptError, ...] = ()
