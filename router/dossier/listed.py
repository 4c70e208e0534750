"""A member as the national directory knows them: name, profession, place and mailbox, from the RPPS number alone (S23).

A professional without RPPS is a member under the number that their structure has for them.

NotListed       the directory knows nobody under this number, or could not be asked
"""

from __future__ import annotations

from connectors.annuaire.entries import Correspondent, MailboxKind
from router.directory.service import DirectoryService
from router.faults import Fault
from schemas.actors import Organization, Professional, Telecom
from schemas.circle import PCP, Member, MemberState, RoleFamily, family_of
from schemas.coding import Coding, Identifier

RPPS = "https://rpps.esante.gouv.fr"
G15 = "urn:oid:1.2.250.1.71.1.2.7"
R259 = "urn:oid:2.16.840.1.113883.5.88"

_KINDS = (MailboxKind.PERSON.value, MailboxKind.PRACTICE.value)
"""Mailboxes that a person reads, in the order in which they are chosen."""


class NotListed(Fault):
    """No member can be made of this number."""


async def listed_member(
    directory: DirectoryService,
    rpps: str,
    *,
    start: str,
    gp: bool = False,
    family: RoleFamily | None = None,
    invited: bool = False,
    basis: str = "",
) -> Member:
    """Make a member of whom the directory has under an RPPS number. Raises NotListed with what to do instead."""
    looked = await directory.person(rpps)
    if not looked.found:
        if looked.trouble is not None:
            raise NotListed("The directory could not be asked: try again, or add the member with their name.")
        raise NotListed(
            "The directory knows nobody under this RPPS number. Check it; somebody without RPPS is added under the "
            "number that their structure has for them, with the structure's FINESS number."
        )
    one = looked.found[0]
    profession = Coding(system=G15, code=one.profession, display=_first(one.professions)) if one.profession else None
    role = Coding(system=R259, code=PCP) if gp else None
    known = family or family_of(profession, role)
    if known is None:
        raise NotListed("The directory does not say a profession that the matrix knows: say the role family.")
    return Member(
        state=MemberState.PROPOSED if invited else MemberState.ACTIVE,
        family=known,
        role=role,
        profession=profession,
        professional=Professional(
            identifiers=(Identifier(system=RPPS, value=one.rpps, type="RPPS"),),
            family_name=one.family or None,
            given_name=one.given or None,
            civility=one.civility or None,
            telecoms=_mailbox(one),
        ),
        organization=_place(one),
        start=start,
        in_care_team=bool(basis),
        basis=basis or None,
    )


def _mailbox(one: Correspondent) -> tuple[Telecom, ...]:
    """Give the mailbox of the person themself; that of a whole structure is the structure's."""
    for kind in _KINDS:
        for box in one.mailboxes:
            if box.kind == kind:
                return (Telecom(kind="mssante", value=box.address),)
    return ()


def _place(one: Correspondent) -> Organization | None:
    """Give where they act, when it is one place: of several, a person says which."""
    if len(one.places) != 1:
        return None
    place = one.places[0]
    numbers = (Identifier(value=place.structure, type="FINEG"),) if len(place.structure) == 9 else ()
    return Organization(name=place.name or None, identifiers=numbers)


def _first(names: tuple[str, ...]) -> str | None:
    return names[0] if names else None
