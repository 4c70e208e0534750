"""Notes: what people write to one another about a patient (*cahier de liaison*, a mail, a conversation)."""

from __future__ import annotations

from schemas.attachment import Attachment
from schemas.base import Frozen, PartialDateTime
from schemas.coding import Coding


class LiaisonNote(Frozen):
    """One entry of a thread, or the answer to one.

    `note_id` is its identity at its sender (a Message-ID without its angle brackets, the masterIdentifier of the ANS's
    cahier de liaison), `thread` that of the first entry of its thread (its own when it begins one), `in_reply_to` that
    of the entry that it answers. `type` is a code of TRE_R234 (GEN, OBS, INTERV…), `visibility` codes of TRE_A07.
    `closed`: the sender wants no answer (`X-MSS-MES: FIN`). `withdrawn`: its author takes it back. The author whom the
    sender identified is on the Item; `sender_address` and `sender_name` are what the envelope says, unverified.
    """

    note_id: str | None = None
    thread: str | None = None
    in_reply_to: str | None = None
    type: Coding | None = None
    subject: str | None = None
    text: str | None = None
    sent_at: PartialDateTime | None = None
    sender_address: str | None = None
    sender_name: str | None = None
    reply_to: str | None = None
    urgent: bool | None = None
    visibility: tuple[Coding, ...] = ()
    closed: bool = False
    withdrawn: bool = False
    attachments: tuple[Attachment, ...] = ()
