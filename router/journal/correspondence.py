"""Mails by conversation: which mail answers which, in the journal's own terms.

A conversation is the first mail of its thread, as each mail names it. Some programs name only what they answer: a mail
that answers one which is known joins the conversation of that one, whatever it says of the thread.
"""

from __future__ import annotations

from dataclasses import dataclass

import orjson
from sqlalchemy import Connection, insert, literal, select, update

from mappings.contracts import Correspondence
from router.journal import tables
from router.journal.receipts import reference_token
from router.journal.sealing import Sealer
from router.journal.unit import Unit

HEAD_PLACE = b"mail.sealed_head"
MOST_RECIPIENTS = 20
LONGEST_SUBJECT = 1_000


@dataclass(frozen=True, slots=True)
class PreparedMail:
    """A mail ready to be kept.

    `flow` is the source that it came by, or the destination that it goes to. `token` is its own name's, `root` that of
    the first mail of its thread, `answers` those of the mails that it follows, the nearest first.
    """

    flow: str
    token: int
    root: int
    answers: tuple[int, ...]
    sealed_head: bytes


def prepared_mail(sealer: Sealer, said: Correspondence, flow: str, otherwise: str) -> PreparedMail:
    """Prepare the head of a mail; `otherwise` names one that has no name of its own."""
    own = reference_token(sealer, said.message_id or otherwise)
    root = reference_token(sealer, said.thread) if said.thread else own
    answers = (reference_token(sealer, said.in_reply_to),) if said.in_reply_to else ()
    head = {
        "message_id": said.message_id,
        "from": said.sender,
        "name": said.sender_name,
        "to": said.recipients[:MOST_RECIPIENTS],
        "subject": said.subject[:LONGEST_SUBJECT],
    }
    return PreparedMail(flow, own, root, (*answers, root), sealer.seal(orjson.dumps(head), HEAD_PLACE))


def keep_mail(
    unit: Unit, mail: PreparedMail, at: int, *, message_id: int | None = None, delivery_id: int | None = None
) -> None:
    """Keep a mail that came (its message) or leaves (its Delivery); one that is read again stays where it was."""
    unit.flush()  # what it belongs to, and what it answers, may be of this very transaction
    column, connection = tables.mail.c, unit.connection
    thread = mail.root
    for token in mail.answers:
        found = connection.execute(
            select(column.thread)
            .where(column.token == token, column.token != mail.token)
            .order_by(column.id.desc())
            .limit(1)
        ).scalar()
        if found is not None:
            thread = found
            break
    values = {"token": mail.token, "thread": thread, "sealed_head": mail.sealed_head}
    if message_id is not None:
        again = update(tables.mail).where(column.message_id == message_id).values(**values)
        if connection.execute(again).rowcount:
            return
    values |= {"message_id": message_id, "delivery_id": delivery_id, "flow": mail.flow, "at": at}
    connection.execute(insert(tables.mail).values(**values))


def mail_again(connection: Connection, delivery_id: int, again: int, now: int) -> None:
    """Keep the mail of a Delivery that is sent anew: the same mail, in the same conversation."""
    column = tables.mail.c
    same = (column.flow, column.token, column.thread, column.sealed_head)
    copied = select(literal(again), literal(now), *same).where(column.delivery_id == delivery_id)
    names = ["delivery_id", "at", *(one.name for one in same)]
    connection.execute(insert(tables.mail).from_select(names, copied))
