"""From a person or structure to the one mailbox of theirs that is written to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from connectors.annuaire.entries import Correspondent, Mailbox, MailboxKind


class Known(Protocol):
    """The look-ups of the directory that choosing needs (`connectors.annuaire.directory.Directory`)."""

    def person(self, rpps: str) -> Correspondent | None:
        """Give a professional by RPPS."""

    def structure(self, number: str) -> list[Correspondent]:
        """Give a structure by FINESS, itself first."""

    def at(self, address: str) -> list[Correspondent]:
        """Give whose an address is."""


@dataclass(frozen=True, slots=True)
class Box:
    """An address, and whether it was chosen among several."""

    address: str
    among: int = 1


def mailbox_of_person(known: Known, rpps: str, finess: str) -> Box | None:
    """Choose a professional's mailbox: where they act for this patient, else one tied to them alone, else the first."""
    person = known.person(rpps)
    boxes = [] if person is None else [one for one in person.mailboxes if one.kind in ("", *_PERSONAL)]
    addresses = {one.address for one in boxes}

    def rank(box: Mailbox) -> tuple[bool, bool, str]:
        return not (finess and box.structure == finess), bool(box.structure), box.address

    return Box(min(boxes, key=rank).address, len(addresses)) if boxes else None


def mailbox_of_structure(known: Known, finess: str) -> Box | None:
    """Give a structure's mailbox: that of its application where it has one, else its only one.

    None when there is none, or when several services have each their own: which one is not for a router to guess.
    """
    boxes = [box for one in known.structure(finess) if not one.rpps for box in one.mailboxes]
    applications = {box.address for box in boxes if box.kind == MailboxKind.APPLICATION}
    addresses = sorted(applications or {box.address for box in boxes})
    return Box(addresses[0]) if len(addresses) == 1 else None


def whose(known: Known, address: str) -> str:
    """Give the RPPS number of the one person whose mailbox an address is; empty for a structure's or unknown one."""
    people = {one.rpps for one in known.at(address) if one.rpps}
    return next(iter(people)) if len(people) == 1 else ""


_PERSONAL = (MailboxKind.PERSON.value, MailboxKind.PRACTICE.value)
