"""What a replay would change in one message: what is kept of it beside what would be read now, value by value."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pydantic import ValidationError

from mappings.contracts import Reading
from mappings.leaves import leaves_of
from mappings.registry import formats
from router.journal.mapping_versions import MappingVersion, mapping_version
from router.journal.operations import BODY_PLACE
from router.journal.prepared import PreparedMessage
from router.journal.queries_message import MessageDetail, delivery_content, item_body, load_message
from router.journal.readers import ReaderChoice
from router.journal.tables import DeliveryState
from router.journal.view import View
from router.web.desk import Desk
from router.web.faults import NotThere
from router.web.filters import row_number
from router.web.previews import visible
from router.whatif.differences import Difference, ItemSeen, Report, Seen, Sent, differences
from router.whatif.replaying import seen
from schemas.item import ITEM, Item

CHARSETS = ("utf-8", "cp1252", "iso8859-1", "iso8859-15", "cp850", "utf-16")
"""Charsets that a message may be read by, as Python names them."""

MOST = 300
"""Values that are shown at most."""

CUT = 200


@dataclass(frozen=True, slots=True)
class ValueChange:
    """One canonical value that would be another; an empty side is one where it is not."""

    path: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Rereading:
    """What would change: of the message and its sendings, and of its values; `more` values are not listed."""

    differences: tuple[Difference, ...]
    values: tuple[ValueChange, ...]
    more: int = 0

    @property
    def same(self) -> bool:
        """Whether it would come out as it is."""
        return not self.differences and not self.values


def readers() -> list[str]:
    """List the formats that can read something."""
    return [name for name, fmt in formats().items() if fmt.reads]


def chosen_reader(name: str, charset: str) -> ReaderChoice:
    """Read a choice of a form; what is not on offer is as the source is configured."""
    return ReaderChoice(name if name in readers() else "", charset if charset in CHARSETS else "")


async def version_asked(desk: Desk, asked: str) -> MappingVersion | None:
    """Give the version of the mappings that a form or an address names; None: those in force. Raises NotThere."""
    if not asked:
        return None
    number = row_number(asked)
    found = None
    if number is not None:
        found = await desk.look(lambda view: mapping_version(view.connection, number))
    if found is None:
        raise NotThere
    return found


def reread(view: View, detail: MessageDetail, prepared: PreparedMessage) -> Rereading:
    """Compare what is kept with what would be read now."""
    sources = {detail.line.id: detail.line.source}
    after = seen(view.blobs, view.sealer, prepared, sources)
    found = tuple(differences(_kept(view, detail), after))
    bodies = [item_body(view, one.line.id) or b"" for one in detail.current]
    now = [view.sealer.open(one.sealed_body, BODY_PLACE) for one in prepared.items]
    changed = list(_changes(_items(bodies), _items(now)))
    return Rereading(found, tuple(changed[:MOST]), max(0, len(changed) - MOST))


def reread_many(view: View, prepared: Sequence[PreparedMessage]) -> Report:
    """Gather in what the present readings of messages differ from those that are kept."""
    report = Report()
    for one in prepared:
        detail = load_message(view, one.message_id)
        if detail is not None:
            sources = {one.message_id: detail.line.source}
            report.add(_kept(view, detail), seen(view.blobs, view.sealer, one, sources))
    return report


def _kept(view: View, detail: MessageDetail) -> Seen:
    """Give what is kept in the form that is compared; of several sendings to one destination, the first one."""
    items = []
    for one in detail.current:
        sent: dict[str, Sent] = {}
        for delivery in one.deliveries:
            if delivery.replay_of is not None:
                continue
            rank = sum(name.partition("#")[0] == delivery.destination for name in sent)
            name = f"{delivery.destination}#{rank + 1}" if rank else delivery.destination
            content = delivery_content(view, delivery.id)
            written = content is not None and delivery.size > 0
            refusal = "" if written or delivery.state is not DeliveryState.DEAD else delivery.detail
            sent[name] = Sent(
                delivery.format, content.content if content else b"", content.beside if content else {}, refusal
            )
        items.append(ItemSeen(one.line.kind, one.line.state.value, one.line.reason or "", one.line.patient_id, sent))
    codes = tuple(finding.code for finding in detail.findings)
    return Seen(detail.line.id, detail.line.source, detail.line.state.value, codes, tuple(items))


def _items(bodies: Sequence[bytes]) -> tuple[Item, ...]:
    found = []
    for body in bodies:
        try:
            found.append(ITEM.validate_json(body))
        except ValidationError:
            continue  # kept under an older model: all of it counts as new
    return tuple(found)


def _changes(before: tuple[Item, ...], after: tuple[Item, ...]) -> Iterator[ValueChange]:
    one, other = leaves_of(Reading(items=before)), leaves_of(Reading(items=after))
    for path in dict.fromkeys((*one, *other)):
        was, would = one.get(path, ""), other.get(path, "")
        if was != would:
            yield ValueChange(path, visible(was[:CUT]), visible(would[:CUT]))
