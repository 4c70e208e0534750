"""The links between a message's original, what was understood of it, and one of its Deliveries.

They are observed, not declared (`docs/decisions/0003-explain-by-perturbation.md`): the original is read again with one
piece altered at a time, and the Item is written again with one value altered at a time. Pieces are named by where they
stand, not by their bytes: what is kept of a sending may differ from what is written again in a time or a number.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from mappings.contracts import Format, FormatError, Position, ReadContext, Reading, WriteContext
from mappings.explain import Tracer, trace_back
from mappings.leaves import leaves_of
from mappings.registry import detect, format_named
from router.conversion import read_content
from schemas.item import ITEM

Told = Callable[[int, int], bool]
"""Told how many trials are done of how many; False ends them there."""


@dataclass(frozen=True, slots=True)
class LinksAsked:
    """What a child process is given: bytes and plain values, nothing of the journal.

    `items` are the kept Items as canonical JSON, in their order. `leaving` is the one that was sent as it left (its
    patient completed), with its place among the Items; None when nothing was sent.
    """

    content: bytes
    format: str
    reading: ReadContext
    items: tuple[bytes, ...] = ()
    leaving: tuple[int, bytes] | None = None
    target: str = ""
    writing: WriteContext | None = None


@dataclass(slots=True)
class Links:
    """What was found: by path of a canonical value, the names of the pieces that it comes from and goes to.

    `structure`, `checked` and `silent` are as in `mappings.explain.Explanation`. `complete` is False when there was no
    time for everything. `unwritable` is the code for which the Item cannot be written today, `unreadable` likewise.
    `drifted` are values that today's reader gives otherwise than they are kept.
    """

    back: dict[str, tuple[str, ...]] = field(default_factory=dict)
    forward: dict[str, tuple[str, ...]] = field(default_factory=dict)
    structure: frozenset[str] = frozenset()
    checked: frozenset[str] = frozenset()
    silent: frozenset[str] = frozenset()
    complete: bool = True
    unreadable: str = ""
    unwritable: str = ""
    drifted: tuple[str, ...] = ()


class _Whole:
    """A format that reads a file of several messages as one content; all else is the format's own."""

    def __init__(self, fmt: Format) -> None:
        self._format = fmt

    def read(self, content: bytes, context: ReadContext) -> Reading:
        return read_content(self._format, content, context)

    def __getattr__(self, name: str) -> object:
        return getattr(self._format, name)


def find_links(asked: LinksAsked, told: Told) -> Links:
    """Find the links. `told` counts both halves together: each is a half of a thousand."""
    links = Links()
    try:
        _back(asked, links, _scaled(told, 0))
    except FormatError as refused:
        links.unreadable = refused.code
    if asked.leaving is not None and asked.writing is not None:
        try:
            _forward(asked, links, _scaled(told, 500))
        except FormatError as refused:
            links.unwritable = refused.code
    return links


def _scaled(told: Told, begin: int) -> Told:
    return lambda done, of: told(begin + done * 500 // max(1, of), 1000)


def _back(asked: LinksAsked, links: Links, told: Told) -> None:
    fmt: Format = _Whole(format_named(asked.format) if asked.format else detect(asked.content))  # type: ignore[assignment]  # it lends the rest
    reading = fmt.read(asked.content, asked.reading)
    back = trace_back(asked.content, fmt, asked.reading, reading, going=told)
    links.back = {path: _named(found) for path, found in back.sources.items()}
    links.structure, links.checked, links.silent = (
        frozenset(_named(found)) for found in (back.structure, back.checked, back.silent)
    )
    links.complete = back.complete
    kept = leaves_of(Reading(items=tuple(ITEM.validate_json(body) for body in asked.items)))
    now = leaves_of(reading)
    # A file's bytes are kept apart from the Item, and a code map adds codings: only what both say is compared.
    links.drifted = tuple(
        path for path, value in kept.items() if path in now and now[path] != value and "attachment" not in path
    )


def _forward(asked: LinksAsked, links: Links, told: Told) -> None:
    assert asked.leaving is not None  # noqa: S101 - the caller looked
    assert asked.writing is not None  # noqa: S101 - the same
    place, body = asked.leaving
    tracer = Tracer(format_named(asked.target), asked.writing, (ITEM.validate_json(body),))
    ended = False

    def going(done: int, of: int) -> bool:
        nonlocal ended
        ended = not told(done, of)
        return not ended

    for path, found in tracer.trace(going):
        links.forward[f"items[{place}]" + path.removeprefix("items[0]")] = _named(found)
    links.complete = links.complete and not ended


def _named(positions: Sequence[Position]) -> tuple[str, ...]:
    return tuple(one.where for one in positions)
