"""What the maps do to a reading: results get their LOINC codes, and what was asked of the maps is noted.

Every Item has a blind token of each local code that it uses, and one of each code with the target that it was given:
the messages that a new mapping concerns are those with the first and without the second (`router.codes.affected`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from mappings.concept_map import Sighting, Term, apply_map, code_owner
from mappings.contracts import Reading
from router.codes.maps import CodeMaps
from router.journal.sealing import Sealer
from router.journal.store import Store
from router.journal.unmapped import UnmappedCode
from schemas.coding import Coding
from schemas.item import Item, LabReportItem

REMEMBERED = 8192
"""Tokens and codes that are kept: a sender's codes are the same from message to message."""


class ItemCodes(NamedTuple):
    """The local codes and units of one Item, and whose they are."""

    owner: str
    sightings: tuple[Sighting, ...]


NO_CODES = ItemCodes("", ())


class CodeReader:
    """Applies the maps in force to what a worker reads. Not shared between threads."""

    def __init__(self, maps: CodeMaps, sealer: Sealer) -> None:
        self._maps = maps
        self._sealer = sealer
        self._tokens: dict[tuple[object, ...], int] = {}
        self._known: dict[tuple[str, Sighting], UnmappedCode] = {}

    def begin(self, store: Store, *, surely: bool) -> None:
        """Begin a batch: look for changed maps if it is time to, or if `surely`, when messages are read again."""
        if surely or self._maps.is_due:
            with store.reading() as connection:
                self._maps.refresh(connection)

    @property
    def maps(self) -> CodeMaps:
        """The maps that it applies."""
        return self._maps

    def read(self, reading: Reading, source: str) -> tuple[Reading, tuple[ItemCodes, ...]]:
        """Give the reading with mapped codes beside the senders' own, and the codes of each of its Items."""
        codes: list[ItemCodes] = []
        items: list[Item] = []
        changed = False
        for item in reading.items:
            if not isinstance(item, LabReportItem):
                items.append(item)
                codes.append(NO_CODES)
                continue
            owner = code_owner(item, source)
            report, sightings = apply_map(item.content, self._maps.of(owner))
            if report is not item.content:
                item = item.model_copy(update={"content": report})
                changed = True
            items.append(item)
            codes.append(ItemCodes(owner, sightings) if sightings else NO_CODES)
        return (replace(reading, items=tuple(items)) if changed else reading), tuple(codes)

    def tokens(self, codes: ItemCodes) -> set[int]:
        """Give the blind tokens of an Item's codes."""
        found: set[int] = set()
        for one in codes.sightings:
            found.add(self._token(codes.owner, one.term, None))
            if one.target is not None:
                found.add(self._token(codes.owner, one.term, one.target))
        return found

    def unmapped(self, codes: Sequence[ItemCodes]) -> tuple[UnmappedCode, ...]:
        """Give what a message's Items use that no map answers."""
        return tuple(
            [self._unmapped(owner, one) for owner, sightings in codes for one in sightings if one.target is None]
        )

    def _unmapped(self, owner: str, one: Sighting) -> UnmappedCode:
        # The same object for the same code: what goes to the engine's process then holds it once a batch.
        known = self._known.get((owner, one))
        if known is None:
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            kind, system, code = one.term
            known = UnmappedCode(owner, kind.value, system, code, _plain(one.label), _plain(one.unit), one.times)
            self._known[owner, one] = known
        return known

    def _token(self, owner: str, term: Term, target: Coding | None) -> int:
        key = (owner, term, None if target is None else (target.system, target.code))
        token = self._tokens.get(key)
        if token is None:
            if len(self._tokens) >= REMEMBERED:
                self._tokens.clear()
            token = self._tokens[key] = code_token(self._sealer, owner, term, target)
        return token


def code_token(sealer: Sealer, owner: str, term: Term, target: Coding | None = None) -> int:
    """Make the token of a sender's code, or of that code with the target that it was given."""
    if target is None:
        return sealer.token("code", owner, term.kind.value, term.system, term.code)
    return sealer.token("mapped code", owner, term.kind.value, term.system, term.code, target.system or "", target.code)


def _plain(text: str | None) -> str:
    return (text or "").replace("\0", "")
