"""One message as a draft would have it, value beside value: what is sent now, and what would be."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from mappings.contracts import FormatError
from mappings.registry import format_named
from router.config.load import Loaded
from router.engine.plan import plan_of
from router.engine.worker import Worker
from router.journal.store import Store
from router.whatif.differences import Aspect, Difference, Seen, Sent, by_place, differences, places
from router.whatif.replaying import load_raws, seen

MOST = 400
"""Values that are given at most."""


@dataclass(frozen=True, slots=True)
class ValueBeside:
    """A difference with what stands there now and what would; several values of one place are a line each."""

    difference: Difference
    before: tuple[str, ...]
    after: tuple[str, ...]


def values_beside(
    store: Store, present: Loaded, draft: Loaded, number: int, now: datetime
) -> tuple[ValueBeside, ...] | None:
    """Read a message both ways; None when there is no such message. Nothing is kept or sent."""
    raws = load_raws(store, store.sealer.clone(), [number])
    if not raws:
        return None
    sealer, sources = store.sealer.clone(), {number: raws[0].source}
    before, after = (
        seen(store.blobs, sealer, Worker(plan_of(loaded, store.sealer.master), store).process(raws, now)[0], sources)
        for loaded in (present, draft)
    )
    return tuple(_beside(before, after))[:MOST]


def _beside(before: Seen, after: Seen) -> Iterator[ValueBeside]:
    contents = _contents(before, after)
    for difference in dict.fromkeys(differences(before, after)):
        if difference.aspect is Aspect.CONTENT:
            found = [_at(was, would, difference.where) for was, would in contents.get(difference.subject, ())]
            for pair in [one for one in found if one is not None] or [((), ())]:
                yield ValueBeside(difference, *pair)
        else:
            yield ValueBeside(difference, (), ())


def _contents(before: Seen, after: Seen) -> dict[str, list[tuple[Sent, Sent]]]:
    found: dict[str, list[tuple[Sent, Sent]]] = {}
    for one, other in zip(before.items, after.items, strict=False):
        for destination in one.sent.keys() & other.sent.keys():
            found.setdefault(destination, []).append((one.sent[destination], other.sent[destination]))
    return found


def _at(was: Sent, would: Sent, where: str) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
    """Give the values of a place in two contents of one format; None where they are the same."""
    if was.format != would.format or where not in places(was.format, was.content, would.content, limit=MOST):
        return None
    try:
        fmt = format_named(was.format)
        one, other = (by_place(each.content, fmt.positions(each.content)) for each in (was, would))
    except FormatError:
        return None
    return _only(one.get(where, ()), other.get(where, ()))


def _only(one: Sequence[bytes], other: Sequence[bytes]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Leave out the values that stand on both sides: the differing ones are to be seen."""
    left, right = list(one), list(other)
    for value in one:
        if value in right:
            right.remove(value)
            left.remove(value)
    return tuple(_text(value) for value in left), tuple(_text(value) for value in right)


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")
