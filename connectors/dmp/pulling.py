"""Which documents of a patient are new in the DMP (fact sheet dmp §5, usage of 26/05/2026).

The first time, the approved documents of the last two years; later, what was submitted since: submission sets, their
members, and those documents by batches. Signatures, former versions and what is masked are not taken.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from connectors.dmp.answers import Listed, Refusal, Trouble
from connectors.dmp.client import DmpClient
from connectors.dmp.queries import (
    APPROVED,
    Query,
    find_documents,
    find_submission_sets,
    get_associations,
    get_documents_and_associations,
)
from connectors.dmp.settings import DmpSourceSettings
from connectors.pace import Throttle
from mappings.xds import vocabulary
from mappings.xds.ebrim_writing import metadata_xml
from mappings.xds.model import Association, DocumentEntry, Submission
from mappings.xds.signature import is_signature
from mappings.xds.writing import NAMED

DAYS_OF_YEAR = 365.25
MASKED = "MASQUE_PS"
FOREVER = float("inf")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A document that is there: its entry, and what it replaces by uniqueId where that was told."""

    entry: DocumentEntry
    replaces: str | None = None

    @property
    def unique_id(self) -> str:
        """The document's own identity."""
        return self.entry.unique_id or ""

    def metadata(self) -> bytes:
        """Write what was said of it, as METADATA.XML."""
        links: tuple[Association, ...] = ()
        if self.replaces:
            target = f"{NAMED}{self.replaces}"
            links = (Association("as01", vocabulary.REPLACES, self.entry.entry_uuid, target),)
        return metadata_xml(Submission(None, (self.entry,), links))


@dataclass(slots=True)
class Choice:
    """What a search came to: candidates, and what was left, counted by reason."""

    candidates: list[Candidate] = field(default_factory=list)
    left: dict[str, int] = field(default_factory=dict)

    def leave(self, why: str) -> None:
        """Count one that is not taken."""
        self.left[why] = self.left.get(why, 0) + 1


class Searcher:
    """Looks for documents of one patient after the other, at a measured pace."""

    def __init__(
        self, client: DmpClient, settings: DmpSourceSettings, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._client = client
        self._settings = settings
        self._throttle = Throttle(settings.per_minute, clock)

    async def turn(self) -> None:
        """Wait for the next call's place."""
        await self._throttle.turn(FOREVER)

    async def search(self, patient: str, since: datetime | None, now: datetime) -> Choice | Trouble | Refusal:
        """Find what may be new; `since` is when the last search of this patient began, None for the first."""
        if since is None:
            oldest = now - timedelta(days=self._settings.years * DAYS_OF_YEAR)
            found = await self._ask(patient, find_documents(patient, since=_stamp(oldest)))
            return found if isinstance(found, Trouble | Refusal) else self._choose([found])
        members = await self._members(patient, since - timedelta(minutes=self._settings.overlap_minutes))
        if isinstance(members, Trouble | Refusal):
            return members
        batches: list[Listed] = []
        for batch in _batches(members, self._settings.batch):
            found = await self._ask(patient, get_documents_and_associations(batch))
            if isinstance(found, Trouble | Refusal):
                return found
            batches.append(found)
        return self._choose(batches)

    async def _members(self, patient: str, since: datetime) -> list[str] | Trouble | Refusal:
        sets = await self._ask(patient, find_submission_sets(patient, _stamp(since)))
        if isinstance(sets, Trouble | Refusal):
            return sets
        members: dict[str, None] = {}
        for batch in _batches(sets.sets, self._settings.batch):
            found = await self._ask(patient, get_associations(batch))
            if isinstance(found, Trouble | Refusal):
                return found
            wanted = set(batch)
            members |= {
                one.target: None
                for one in found.submission.associations
                if one.type == vocabulary.HAS_MEMBER and one.source in wanted
            }
        return list(members)

    async def _ask(self, patient: str, query: Query) -> Listed | Trouble | Refusal:
        await self.turn()
        return await self._client.search(patient, query)

    def _choose(self, found: Sequence[Listed]) -> Choice:
        choice = Choice()
        names = {entry.entry_uuid: entry.unique_id for one in found for entry in one.entries}
        replaced = {
            link.source: names.get(link.target)
            for one in found
            for link in one.submission.associations
            if link.type == vocabulary.REPLACES
        }
        seen: set[str] = set()
        for entry in (entry for one in found for entry in one.entries):
            if is_signature(entry) or not entry.unique_id or entry.unique_id in seen:
                continue
            if entry.availability_status != APPROVED:
                choice.leave("former versions")
                continue
            seen.add(entry.unique_id)
            if not self._settings.masked and any(code.code == MASKED for code in entry.confidentiality_codes):
                choice.leave("masked")
                continue
            choice.candidates.append(Candidate(entry, replaced.get(entry.entry_uuid)))
        return choice


def _batches(values: Sequence[str], size: int) -> list[Sequence[str]]:
    return [values[at : at + size] for at in range(0, len(values), size)]


def _stamp(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y%m%d%H%M%S")
