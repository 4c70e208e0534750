"""Show, value by value, from which bytes a canonical value came and where it goes: by trying.

Each piece of the content is changed a little and the content read again: the canonical values that change come from
that piece. Then each canonical value is changed a little and written again in every target: the pieces of the target
that change are where it goes. Nothing is declared by the mappings themselves, so that this holds for any format, a
third party's too, and cannot drift away from what the code does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from pydantic import ValidationError

from mappings.contracts import Format, FormatError, Position, ReadContext, Reading, WriteContext
from mappings.leaves import differences, leaves_of
from mappings.mutation import byte_candidates, is_identity, parts, text_candidates
from schemas.item import ITEM, Item

SPREAD = 0.4
"""A piece that moves more than this share of all values is structure (a delimiter, a version), not a source."""
FEW = 12
"""A change of at most this many values is taken at once; beyond, another candidate may be more telling."""
MOST = 3000
"""Beyond this many pieces the rest is not tried (`Explanation.complete` says so)."""


Going = Callable[[int, int], bool]
"""Told how many pieces or values are done of how many; False ends the trying there."""


def _always(_done: int, _of: int) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class ExplainedValue:
    """One canonical value, the pieces of the content that it comes from, and of each target that it goes to."""

    path: str
    value: str
    sources: tuple[Position, ...]
    targets: Mapping[str, tuple[Position, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Explanation:
    """Everything that was found.

    `values` has the Items' values, then what the Reading says of the message (`message.control_id`…). `structure` are
    pieces that decide what others mean: their change makes the content another one, or unreadable. `checked` only
    change what the Findings say; `silent` influence nothing. `renditions` are what each target wrote, an Item each;
    `not_written` are the targets that cannot carry one of them, with the reason's code.
    """

    values: tuple[ExplainedValue, ...]
    structure: tuple[Position, ...]
    checked: tuple[Position, ...]
    silent: tuple[Position, ...]
    renditions: Mapping[str, tuple[bytes, ...]]
    not_written: Mapping[str, str]
    complete: bool


def explain(content: bytes, fmt: Format, context: ReadContext, targets: Sequence[Format]) -> Explanation:
    """Explain a content. Raises FormatError when it cannot be read."""
    reading = fmt.read(content, context)
    leaves = leaves_of(reading)
    back = trace_back(content, fmt, context, reading)
    writer = WriteContext(
        now=context.received_at or datetime(2000, 1, 1, tzinfo=UTC), identity="EXPLAIN1", timezone=context.timezone
    )
    renditions: dict[str, tuple[bytes, ...]] = {}
    not_written: dict[str, str] = {}
    destinations: dict[str, dict[str, tuple[Position, ...]]] = {}
    for target in targets:
        try:
            tracer = Tracer(target, writer, reading.items)
        except FormatError as refused:
            not_written[target.name] = refused.code
            continue
        renditions[target.name] = tracer.contents
        for path, found in tracer.trace():
            destinations.setdefault(path, {})[target.name] = found
    values = tuple(
        ExplainedValue(path, value, tuple(back.sources.get(path, ())), destinations.get(path, {}))
        for path, value in leaves.items()
    )
    return Explanation(
        values=values,
        structure=tuple(back.structure),
        checked=tuple(back.checked),
        silent=tuple(back.silent),
        renditions=renditions,
        not_written=not_written,
        complete=back.complete,
    )


# --- from bytes to values


@dataclass(slots=True)
class Back:
    """From which pieces each canonical value comes; what the other pieces do is told as in `Explanation`.

    `complete` is False when there were too many pieces, or when the trying was ended.
    """

    sources: dict[str, list[Position]] = field(default_factory=dict)
    structure: list[Position] = field(default_factory=list)
    checked: list[Position] = field(default_factory=list)
    silent: list[Position] = field(default_factory=list)
    complete: bool = True


def trace_back(content: bytes, fmt: Format, context: ReadContext, reading: Reading, *, going: Going = _always) -> Back:
    """Find the pieces that each value of a Reading of this content comes from."""
    back = Back()
    leaves = leaves_of(reading)
    most = max(FEW, SPREAD * len(leaves))
    positions = fmt.positions(content)
    back.complete = len(positions) <= MOST
    for done, position in enumerate(positions[:MOST]):
        if not going(done, min(MOST, len(positions))):
            back.complete = False
            break
        changed, noticed, readable = _influence(content, fmt, context, position, reading)
        known = changed & leaves.keys()
        if not readable or len(known) > most or (changed and not known):
            back.structure.append(position)
        elif known:
            for path in known:
                back.sources.setdefault(path, []).append(position)
        else:
            (back.checked if noticed else back.silent).append(position)
    return back


def _influence(
    content: bytes, fmt: Format, context: ReadContext, position: Position, reading: Reading
) -> tuple[set[str], bool, bool]:
    """Give the values that a piece changes, whether it changes the Findings, and whether any change was readable."""
    changed: set[str] = set()
    noticed = readable = False
    for start, end in parts(content[position.start : position.end]):
        first, last = position.start + start, position.start + end
        best: set[str] | None = None
        for candidate in byte_candidates(content[first:last]):
            try:
                other = fmt.read(content[:first] + candidate + content[last:], context)
            except FormatError:
                continue
            readable = True
            moved = differences(reading, other)
            noticed = noticed or other.findings != reading.findings
            if moved and (best is None or len(moved) < len(best)):
                best = moved
            if best is not None and len(best) <= FEW:
                break
        changed |= best or set()
    return changed, noticed, readable


class Tracer:
    """Follows the values of Items into one target format. Raises FormatError when it cannot carry one of them."""

    def __init__(self, target: Format, context: WriteContext, items: Sequence[Item]) -> None:
        self.target = target
        self.context = context
        self.items = items
        self.contents = tuple(target.write(item, context).content for item in items)
        self.positions = tuple(target.positions(content) for content in self.contents)

    def trace(self, going: Going = _always) -> Iterator[tuple[str, tuple[Position, ...]]]:
        """Give each value's path with the pieces that it reaches, until `going` says no."""
        for index, item in enumerate(self.items):
            dump = ITEM.dump_python(item, mode="json")
            held = list(_holders(dump, f"items[{index}]"))
            for done, (path, holder, key) in enumerate(held):
                if not going(done, len(held)):
                    return
                found = self._reach(index, dump, holder, key)
                if found:
                    yield path, found

    def _reach(self, index: int, dump: object, holder: _Holder, key: _Key) -> tuple[Position, ...]:
        before = holder[key]  # type: ignore[index]  # a dictionary has its keys, a list its indices
        try:
            for candidate in _value_candidates(before):
                holder[key] = candidate  # type: ignore[index]  # as above
                try:
                    content = self.target.write(ITEM.validate_python(dump), self.context).content
                except (ValidationError, FormatError):
                    continue
                if content != self.contents[index]:
                    return self._changed(index, content, str(before))
        finally:
            holder[key] = before  # type: ignore[index]  # as above
        return ()

    def _changed(self, index: int, content: bytes, text: str) -> tuple[Position, ...]:
        """Give the pieces that differ; among many, those that show the value itself (the others carry its digest)."""
        before, pieces = self.contents[index], self.positions[index]
        if len(content) == len(before):
            changed = [one for one in pieces if content[one.start : one.end] != before[one.start : one.end]]
        else:
            after = {one.where: content[one.start : one.end] for one in self.target.positions(content)}
            changed = [one for one in pieces if after.get(one.where) != before[one.start : one.end]]
        if len(changed) <= 1:
            return tuple(changed)
        shown = {text.encode(), text.encode("cp1252", "replace")}
        telling = [one for one in changed if any(form in before[one.start : one.end] for form in shown)]
        telling = telling or [one for one in changed if not is_identity(before[one.start : one.end])]
        return tuple(telling or changed)


_Holder = dict[str, object] | list[object]
_Key = str | int


def _holders(node: object, path: str) -> Iterator[tuple[str, _Holder, _Key]]:
    """List the values of a dump with what holds them, so that each can be changed in place and put back."""
    entries: Iterator[tuple[_Key, object]]
    if isinstance(node, dict):
        entries = iter(list(node.items()))
    elif isinstance(node, list):
        entries = iter(list(enumerate(node)))
    else:
        return
    for key, value in entries:
        below = f"{path}[{key}]" if isinstance(key, int) else f"{path}.{key}"
        if isinstance(value, (dict, list)):
            yield from _holders(value, below)
        elif value is not None and value != "" and key not in {"id", "kind"}:
            yield below, node, key


def _value_candidates(value: object) -> Iterator[object]:
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, int):
        yield value + 1
    elif isinstance(value, str):
        yield from text_candidates(value)
