"""What the person agreed to or opposes (L.1110-4 CSP), with the proof of it, and emergency access.

Records are never changed: a withdrawal is added to one, and of two that speak of the same the later one counts.
"""

from __future__ import annotations

from enum import StrEnum

from schemas.base import Frozen, PartialDateTime
from schemas.habilitation import DataCategory


class ConsentKind(StrEnum):
    """What a record is about. An opposition that is `given` stands; a consent that is not given was refused."""

    OPENING = "opening-information"
    """The person was informed and agrees that a dossier is opened."""
    SHARE = "share-outside-team"
    """Sharing with members who are not of the "équipe de soins"."""
    OPPOSITION_TOTAL = "opposition-total"
    OPPOSITION_MEMBER = "opposition-member"
    OPPOSITION_CATEGORY = "opposition-category"
    HOSPITAL = "hospital-notification"
    """Telling the circle of hospital events; refused, they are not told."""


class ConsentChannel(StrEnum):
    """How it was collected."""

    PAPER = "paper"
    DIGITAL = "digital"
    ORAL = "oral"


class Consent(Frozen):
    """One record: `members` are numbers of members and `categories` the data that it covers; empty is all of them."""

    kind: ConsentKind
    given: bool = True
    at: PartialDateTime
    collected_by: str
    channel: ConsentChannel
    proof: str | None = None
    valid_until: PartialDateTime | None = None
    members: tuple[int, ...] = ()
    categories: tuple[DataCategory, ...] = ()

    def covers(self, member: int | None, category: DataCategory | None) -> bool:
        """Say whether it speaks of this member and this category (None: whoever, whatever)."""
        by_member = not self.members or member is None or member in self.members
        return by_member and (not self.categories or category is None or category in self.categories)


class EmergencyAccess(Frozen):
    """A break-glass access ("bris de glace"): who, why, until when. Told to the general practitioner."""

    who: str
    why: str
    at: PartialDateTime
    until: PartialDateTime
