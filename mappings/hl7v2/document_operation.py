"""What the sender of a document asks: to send it, to replace one, to delete one (fact sheet §6)."""

from __future__ import annotations

from mappings.hl7v2.groups import Order, Result
from mappings.hl7v2.notebook import Notebook
from schemas.document import DocumentOperation

ORDER_CONTROLS = {"NW": "create", "RO": "replace", "CA": "delete"}
STATUSES = {"F": "create", "C": "replace", "D": "delete"}
EVENTS = {"T02": "create", "T10": "replace", "T04": "delete", "T11": "delete"}
_BASE_EVENTS = {"T02": "create", "T04": "replace", "T06": "create", "T08": "replace", "T10": "replace", "T11": "delete"}
"""What the events of MDM mean outside the French profile, where T04 is a change of status and T08 an edition."""


def is_french(notes: Notebook, lines: list[Result]) -> bool:
    """Recognise the ANS profile: it is named in MSH-21, or its metadata are there."""
    return bool(lines) or "CISIS_CDA" in notes.message.header.raw(21)


def read_operation(
    notes: Notebook, order: Order, files: list[Result], event: str, *, french: bool
) -> DocumentOperation:
    """Read the operation from where it is said; in the ANS profile the OBX decides, and they must all agree."""
    if not french and event in _BASE_EVENTS:
        if _is_withdrawn(order, files):
            return DocumentOperation.DELETE
        return DocumentOperation(_BASE_EVENTS[event])
    said: dict[str, str] = {}
    if event in EVENTS:
        said["MSH-9"] = EVENTS[event]
    if order.orc is not None and (asked := ORDER_CONTROLS.get(order.orc.code(1))):
        said[order.orc.where(1)] = asked
    for result in files:
        if asked := STATUSES.get(result.obx.code(11)):
            said[result.obx.where(11)] = asked
    if len(set(said.values())) > 1:
        notes.error(
            "hl7v2.document.operation", ", ".join(said), "the operation (send, replace, delete) is said differently"
        )
    return DocumentOperation(said[next(reversed(said))]) if said else DocumentOperation.CREATE


def _is_withdrawn(order: Order, files: list[Result]) -> bool:
    """Say whether order and result both take the document back, which no event of the base standard contradicts."""
    cancelled = order.orc is not None and ORDER_CONTROLS.get(order.orc.code(1)) == "delete"
    return cancelled and bool(files) and all(STATUSES.get(result.obx.code(11)) == "delete" for result in files)
