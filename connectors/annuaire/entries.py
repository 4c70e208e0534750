"""What the directory says, as values: one line of an extraction or one mailbox of the API, and who is found in them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum


class MailboxKind(StrEnum):
    """Kinds of MSSanté mailboxes (TRE_R257)."""

    PERSON = "PER"
    ORGANIZATION = "ORG"
    APPLICATION = "APP"
    PRACTICE = "CAB"


@dataclass(frozen=True, slots=True)
class Entry:
    """One line: a mailbox of somebody at some place, or an activity of somebody without a mailbox.

    `rpps` is 11 digits (or another national number of a professional, without its prefix); `structure` is a FINESS
    number where there is one, else SIRET or what the directory calls it. `red` is the red list: such a mailbox is given
    to who asks for that very person or address, and never listed.
    """

    address: str = ""
    kind: str = ""
    rpps: str = ""
    civility: str = ""
    family: str = ""
    given: str = ""
    profession: str = ""
    profession_name: str = ""
    specialty: str = ""
    structure: str = ""
    structure_name: str = ""
    service: str = ""
    postal_code: str = ""
    city: str = ""
    red: bool = False


@dataclass(frozen=True, slots=True)
class Mailbox:
    """A mailbox with the place that it belongs to; one that is tied to a person alone has none."""

    address: str
    kind: str
    structure: str = ""
    structure_name: str = ""
    service: str = ""
    red: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """Where somebody acts."""

    structure: str
    name: str
    postal_code: str
    city: str


@dataclass(frozen=True, slots=True)
class Correspondent:
    """A professional (`rpps`), or a structure (`rpps` empty), with its places and mailboxes in a stable order."""

    rpps: str
    civility: str
    family: str
    given: str
    professions: tuple[str, ...]
    specialties: tuple[str, ...]
    places: tuple[Place, ...]
    mailboxes: tuple[Mailbox, ...]
    profession: str = ""
    """The code (TRE_G15) of the first profession that has one."""

    @property
    def name(self) -> str:
        """The name to show: a person's, else the structure's."""
        names = " ".join(part for part in (self.civility, self.given, self.family) if part)
        return names or next((place.name for place in self.places if place.name), "")

    def listed(self) -> Correspondent:
        """Give what may be listed: without the mailboxes of the red list."""
        return replace(self, mailboxes=tuple(one for one in self.mailboxes if not one.red))


def gathered(entries: list[Entry]) -> list[Correspondent]:
    """Put together the lines of each person, and those of each structure, in the order of their first line."""
    groups: dict[tuple[str, str], list[Entry]] = {}
    for entry in entries:
        groups.setdefault(_whose(entry), []).append(entry)
    return [_correspondent(group) for group in groups.values()]


def _whose(entry: Entry) -> tuple[str, str]:
    if entry.rpps:
        return "person", entry.rpps
    if entry.family:
        return "name", f"{entry.family}/{entry.given}/{entry.address}"
    return "structure", entry.structure or entry.structure_name or entry.address


def _correspondent(group: list[Entry]) -> Correspondent:
    mailboxes = {
        Mailbox(one.address, one.kind, one.structure, one.structure_name, one.service, one.red): None
        for one in group
        if one.address
    }
    places = {
        Place(one.structure, one.structure_name, one.postal_code, one.city): None
        for one in group
        if one.structure or one.structure_name
    }
    first = group[0]
    named = next((one for one in group if one.family), first)
    return Correspondent(
        rpps=first.rpps,
        civility=next((one.civility for one in group if one.civility), ""),
        family=named.family,
        given=named.given,
        professions=_professions(group),
        specialties=tuple(dict.fromkeys(one.specialty for one in group if one.specialty)),
        places=tuple(sorted(places, key=lambda place: (place.name, place.structure, place.postal_code))),
        mailboxes=tuple(sorted(mailboxes, key=lambda box: (box.kind, box.address, box.structure, box.service))),
        profession=next((one.profession for one in group if one.profession), ""),
    )


def _professions(group: list[Entry]) -> tuple[str, ...]:
    """Give each profession once, by its label where a line has it."""
    names: dict[str, str] = {}
    for one in group:
        if one.profession or one.profession_name:
            code = one.profession or one.profession_name
            names[code] = names.get(code) or one.profession_name
    return tuple(dict.fromkeys(name or code for code, name in names.items()))
