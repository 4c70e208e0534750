"""The segment H: who writes to whom, in which version, and what follows from it (hprim 3.5, H)."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from mappings.authority import authority_of
from mappings.contracts import ReadContext
from mappings.french_time import read_stamp
from mappings.hprim_sante.parties import address, organization, telecoms
from mappings.hprim_sante.syntax import Segment
from mappings.notes import Notes
from schemas.actors import Organization
from schemas.coding import Identifier

CONTEXTS = frozenset({"ADM", "ORM", "ORA", "REG", "ORU", "FAC", "ERR"})
FROM_LABORATORY = frozenset({"ORU", "FAC"})
_VERSION = re.compile(r"H?2\.(\d)")
_LETTERS = re.compile(r"[^A-Z]")


@dataclass(frozen=True, slots=True)
class Exchange:
    """What the header says, with the reader's context and notes.

    `minor` is the version after `H2.`, None when it is not given. `sent_at` is H.13. `laboratory` and `requester` are
    the sender and the receiver, whichever way the message goes.
    """

    context: ReadContext
    notes: Notes
    kind: str
    minor: int | None
    link: str | None
    control_id: str | None
    test: bool | None
    sent_at: str | None
    sender: Organization | None
    receiver: Organization | None

    @property
    def laboratory(self) -> Organization | None:
        """The laboratory's side."""
        return self.sender if self.kind in FROM_LABORATORY else self.receiver

    @property
    def requester(self) -> Organization | None:
        """The hospital's or practice's side."""
        return self.receiver if self.kind in FROM_LABORATORY else self.sender

    def assigned(self, value: str, kind: str, by: Organization | None) -> Identifier:
        """Make an identifier that one of the two sides assigned."""
        return Identifier(system=authority_of(by), value=value, type=kind, assigner=by.name if by else None)

    def stamp(self, segment: Segment, number: int, text: str | None = None) -> str | None:
        """Read a date and time; one that cannot be read is unread and noted, never guessed."""
        raw = segment.text_of(number) if text is None else text.strip()
        if not raw:
            return None
        moment = read_stamp(raw, self.context.timezone)
        if moment is None:
            self.notes.warning("hprim.date.unreadable", segment.where(number), "the date cannot be read")
            self.notes.leave(segment.where(number), raw)
        return moment


def read_header(header: Segment, context: ReadContext, notes: Notes) -> Exchange:
    """Read the segment H. The password (H.3) is not kept anywhere."""
    kind = header.text_of(6).upper()
    version, link = header.components(12, 2)
    found = _VERSION.match(version)
    if found is None:
        notes.warning("hprim.version.unknown", header.where(12), "the version is not H2.0 to H2.5")
    if kind not in CONTEXTS:
        notes.error("hprim.context.unknown", header.where(6), "the context is none of the recommendation")
    for number in (4, 9):
        if not header.text_of(number):
            notes.warning("hprim.header.field_missing", header.where(number), "sender or receiver is missing")
    if header.raw(3):
        notes.info("hprim.header.password", header.where(3), "a password is there: it is not kept")
    mode = header.text_of(11).upper()
    exchange = Exchange(
        context=context,
        notes=notes,
        kind=kind,
        minor=int(found[1]) if found else None,
        link=_LETTERS.sub("", link.upper()) or None,
        control_id=header.text_of(2) or None,
        test={"T": True, "D": True, "P": False}.get(mode),
        sent_at=None,
        sender=_sender(header),
        receiver=organization(header, 9),
    )
    if mode and exchange.test is None:
        notes.leave(header.where(11), mode)
    return replace(exchange, sent_at=exchange.stamp(header, 13))


def _sender(header: Segment) -> Organization | None:
    sender, place, telephones = organization(header, 4), address(header, 5), telecoms(header, 7)
    if sender is None and not (place or telephones):
        return None
    return (sender or Organization()).model_copy(update={"address": place, "telecoms": telephones})
