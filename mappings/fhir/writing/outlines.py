"""Plain results written once: an outline is all of an Observation's entry but its number, its name and its times.

A laboratory's analyses, units, ranges and flags are the same from one patient to the next; most results differ from
their like by a number alone. An outline is made by the ordinary writer, with marks where those differ, so that there is
one way to write an Observation and a quicker way to write it again.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import itemgetter
from typing import NamedTuple

import orjson

from mappings.fhir import systems
from mappings.fhir.writing.bundle import Resource
from mappings.recollection import Recollection
from schemas.lab import Observation, QuantityValue

_NUMBER, _SUBJECT, _URL = "@passerelle-number@", "@passerelle-subject@", "@passerelle-url@"
_MARKS = (_URL, f'"{_SUBJECT}"', f'"{_NUMBER}"', _URL, _URL)
"""What stands for them, in the order in which the ordinary writer leaves it."""

_TIMES = ("effectiveDateTime", "effectivePeriod")

REMEMBERED = 4096
"""Outlines that are kept; a pure function's memory, bounded."""


class Outline(NamedTuple):
    """The text between the marks of one entry."""

    before_url: str
    before_subject: str
    before_number: str
    before_identifier: str
    before_request: str
    end: str

    def filled(self, url: str, subject: str, number: str) -> bytes:
        """Give the entry. `subject` is the JSON of the reference and, after it, of the members that are inherited."""
        before_url, before_subject, before_number, before_identifier, before_request, end = self
        return (
            f"{before_url}{url}{before_subject}{subject}{before_number}{number}"
            f"{before_identifier}{url}{before_request}{url}{end}"
        ).encode()


_KNOWN: Recollection[dict[tuple[object, ...], Outline | None]] = Recollection(REMEMBERED)


_OWN = itemgetter(
    "effective_at",
    "issued_at",
    "comment",
    "previous",
    "sub_id",
    "specimen",
    "second",
    "method",
    "performer",
    "validated_by",
    "access",
)
_NOTHING = (None, None, None, (), None, None, None, None, None, None, None)
_ALIKE = itemgetter("codes", "label", "unit", "reference", "flags")


def is_plain(given: Observation) -> bool:
    """Tell a number that differs from its like by nothing but that number."""
    # Through the dictionary: each look at an attribute of a pydantic model costs several of a dictionary.
    said = given.__dict__
    value = said["value"]
    return (
        isinstance(value, QuantityValue)
        and _OWN(said) == _NOTHING
        and (
            not value.text or value.text == (f"{value.comparator}{value.number}" if value.comparator else value.number)
        )
    )


def outline_of(
    given: Observation, sender: str, local_codes: str | None, write: Callable[[Observation], Resource]
) -> Outline | None:
    """Give the outline of a plain result, or None when it has none; `write` is the ordinary writer.

    None is for texts that hold our marks or leave an empty element behind, which only the ordinary way prunes.
    """
    said = given.__dict__
    value = said["value"]
    comparator = value.comparator if isinstance(value, QuantityValue) else None
    # Results of one analysis share these objects, and each is of one analysis.
    alike = _ALIKE(said)
    way = sender, local_codes, said["status"], comparator
    outlines = _KNOWN.of(*alike)
    if outlines is None:
        outlines = _KNOWN.keep({}, *alike)
    try:
        return outlines[way]
    except KeyError:
        outline = outlines[way] = _made(write(given))
    return outline


def _made(resource: Resource) -> Outline | None:
    quantity = resource.get("valueQuantity")
    if not isinstance(quantity, dict):
        return None
    # Members keep the place that the ordinary writer gave them; only their values become marks.
    own = {key: value for key, value in resource.items() if not key.endswith(_TIMES)}
    marked = {**own, "subject": _SUBJECT, "valueQuantity": {**quantity, "value": _NUMBER}}
    marked["identifier"] = [{"system": systems.URI, "value": _URL}]
    request = {"method": "PUT", "url": f"Observation?identifier={systems.URI}|{_URL}"}
    text = orjson.dumps({"fullUrl": _URL, "resource": marked, "request": request}).decode()
    if _leaves_something_empty(text):
        return None
    pieces: list[str] = []
    for mark in _MARKS:
        piece, found, text = text.partition(mark)
        if not found:
            return None
        pieces.append(piece)
    pieces.append(text)
    return None if any("@passerelle-" in piece for piece in pieces) else Outline(*pieces)


def common_text(subject: Resource, inherited: Resource) -> str | None:
    """Write what all plain results of a report have in common: the patient's reference and the time they inherit."""
    text = orjson.dumps({"subject": subject, **inherited}).decode()
    return None if _leaves_something_empty(text) else text.removeprefix('{"subject":').removesuffix("}")


def _leaves_something_empty(text: str) -> bool:
    return '""' in text or "{}" in text or "[]" in text
