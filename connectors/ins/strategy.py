"""In which order INSi is asked about one person: a pure generator, which gives queries and is sent replies.

    steps = search(sought)
    query = next(steps)                       # then steps.send(reply), until StopIteration carries the last word

Name, first given name, sex and date to begin with. Several found: narrow (all given names, then the birth place).
Nobody found: the place, each other given name alone, the whole list as one, other spellings. One person, or no
answer at all, ends it: what INSi did not say is not asked again in other words.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator

from connectors.ins.answers import NotFound, Reply, Several
from connectors.ins.codec import TraitsQuery
from connectors.ins.sought import Sought

MOST_QUERIES = 5
"""Queries about one person at most."""

Search = Generator[TraitsQuery, Reply, Reply]


def search(sought: Sought) -> Search:
    """Ask; returns the reply that ended the search, Several if any query found several, else NotFound."""
    asked: set[TraitsQuery] = set()
    several: Several | None = None
    last: Reply = NotFound()
    waiting = iter([_query(sought, (sought.first_given_name,))])
    while len(asked) < MOST_QUERIES:
        query = next((one for one in waiting if one not in asked), None)
        if query is None:
            break
        asked.add(query)
        last = yield query
        if isinstance(last, Several) and several is None:
            several, waiting = last, _narrower(sought, query)
        elif isinstance(last, NotFound) and several is None and len(asked) == 1:
            waiting = _wider(sought)
        elif not isinstance(last, Several | NotFound):
            return last
    return several or last


def _query(sought: Sought, given: tuple[str, ...], place: str | None = None, name: str | None = None) -> TraitsQuery:
    return TraitsQuery(name or sought.birth_name, given, sought.sex, sought.birth_date, place)


def _narrower(sought: Sought, query: TraitsQuery) -> Iterator[TraitsQuery]:
    yield _query(sought, sought.given_names, query.birth_place, query.birth_name)
    if sought.birth_place is not None:
        yield _query(sought, query.given_names, sought.birth_place, query.birth_name)
        yield _query(sought, sought.given_names, sought.birth_place, query.birth_name)


def _wider(sought: Sought) -> Iterator[TraitsQuery]:
    for other in sought.others:
        yield _query(sought, (other,))
    if sought.others:
        yield _query(sought, (" ".join(sought.given_names),))
    if sought.birth_place is not None:
        yield _query(sought, (sought.first_given_name,), sought.birth_place)
    for spelling in _spellings(sought.first_given_name):
        yield _query(sought, (spelling,))
    for spelling in _spellings(sought.birth_name):
        yield _query(sought, (sought.first_given_name,), name=spelling)


def _spellings(name: str) -> Iterator[str]:
    """Give the other spelling of a compound name: blanks for hyphens, or hyphens for blanks."""
    if "-" in name.replace("--", ""):
        yield name.replace("-", " ")
    elif " " in name:
        yield name.replace(" ", "-")
