"""Which subscriptions are to be told of what changed: the searches that they are, with their readers' own eyes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from router.dossier.context import Reader
from router.dossier.door import Door
from router.dossier.queue import still_told
from router.dossier.store.access import Access, ToldAccess
from router.dossier.store.requests import KIND
from router.dossier.store.searching import Found, Search, TooWide
from router.dossier.subscriptions.keeping import Changed, Line, Pending
from router.dossier.tools.registry import find_tool
from router.dossier.tools.tokens import reader_for
from router.journal.view import View
from schemas.coding import Identifier

_ANYBODY = frozenset[int]()


class Matcher:
    """Matches within one look at the journal; readers are made once."""

    def __init__(self, view: View, door: Door, now: int) -> None:
        self._view = view
        self._door = door
        self._now = now
        self._readers: dict[tuple[str, tuple[tuple[str, str], ...]], Reader | None] = {}

    def matched(self, lines: Sequence[Line], changes: Sequence[Changed]) -> dict[int, list[Changed]]:
        """Give what each subscription is to be told of, in order."""
        found: dict[int, list[Changed]] = {}
        for line in lines:
            those = [one for one in changes if one.at > line.cursor and _may_match(line, one)]
            if those and (seen := self._seen(line, those)):
                found[line.id] = seen
        return found

    def _seen(self, line: Line, changes: Sequence[Changed]) -> list[Changed]:
        search = self.search(line)
        if search is None:
            return []
        matched: set[str] = set()
        for kind, query in line.wanted.queries().items():
            ids = [one.logical_id for one in changes if one.type == kind]
            about = search.about(query) if ids else None
            if about is not None:
                ids = [one.logical_id for one in changes if one.type == kind and one.patient in about]
            if not ids:
                continue
            try:
                page = search.page(replace(query, ids=tuple(dict.fromkeys(ids)), count=len(ids)), counted=False)
            except TooWide:
                continue  # its owner learns it from $status: the search itself says so
            matched.update(one.key for one in page.matches)
        return [one for one in changes if f"{one.type}/{one.logical_id}" in matched]

    def search(self, line: Line) -> Search | None:
        """Give the eyes of a subscription; None when its tool is no longer good."""
        reader = self.reader(line)
        return None if reader is None else Search(Access(self._view, self._door, reader, self._now))

    def reader(self, line: Line) -> Reader | None:
        """Give the reader on whose behalf a subscription was made."""
        key = line.tool, line.wanted.users
        if key not in self._readers:
            tool = find_tool(self._view.connection, line.tool)
            users = tuple(Identifier(system=system, value=value) for system, value in line.wanted.users)
            good = tool is not None and tool.is_good(self._now)
            self._readers[key] = reader_for(tool, users, self._view.sealer) if tool is not None and good else None
        return self._readers[key]

    def focus(self, line: Line, kind: str, logical_id: str) -> Found | None:
        """Give a resource as its subscriber may see it at this moment, None when not."""
        search = self.search(line)
        return None if search is None else search.one(kind, logical_id)

    def told(self, line: Line, one: Pending) -> Found | None:
        """Give the resource of a notice that a subscription carries, None when it may not be told any more.

        Being told is less than reading: what is given is what the alert itself says.
        """
        reader = self.reader(line)
        if reader is None or one.patient is None or one.notice is None:
            return None
        if not still_told(self._view, one.notice, reader, now=self._now):
            return None
        eyes = ToldAccess(self._view, self._door, reader, self._now, one.patient, one.resource_id)
        return Search(eyes).one(one.type, one.logical_id)

    def accepts(self, line: Line, change: Changed) -> bool:
        """Say whether the resource of an alert is what a subscription asked for."""
        reader, query = self.reader(line), line.wanted.queries().get(change.type)
        if reader is None or query is None or change.patient is None:
            return False
        if line.wanted.categories is not None and change.category not in line.wanted.categories:
            return False
        eyes = ToldAccess(self._view, self._door, reader, self._now, change.patient, change.resource_id)
        try:
            page = Search(eyes).page(replace(query, ids=(change.logical_id,), count=1), counted=False)
        except TooWide:
            return False
        return bool(page.matches)

    def is_shut(self, line: Line) -> bool:
        """Say whether nothing of whom a subscription is about is open to its reader any more."""
        reader = self.reader(line)
        if reader is None:
            return True
        search = Search(Access(self._view, self._door, reader, self._now))
        abouts = [search.about(query) for query in line.wanted.queries().values()]
        if any(about is None for about in abouts):
            return False
        people = frozenset().union(*(about or _ANYBODY for about in abouts))
        return bool(people) and not self._door.visible(self._view, reader, people, self._now)


def _may_match(line: Line, one: Changed) -> bool:
    if one.type not in line.wanted.types or (one.patient is None and one.type != KIND):
        return False
    return line.wanted.categories is None or one.category in line.wanted.categories
