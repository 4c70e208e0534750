"""The segments of a message as a tree: patients, their orders, results, and comments at every level (hprim 3.3)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from mappings.hprim_sante.syntax import Message, Segment
from mappings.notes import Notes


@dataclass(slots=True)
class Result:
    """An OBX and its comments."""

    obx: Segment
    comments: list[Segment] = field(default_factory=list)


@dataclass(slots=True)
class Order:
    """An OBR (None when results stand without one), its comments and results."""

    obr: Segment | None
    comments: list[Segment] = field(default_factory=list)
    results: list[Result] = field(default_factory=list)

    @property
    def where(self) -> str:
        """The order's address, that of its first result when it has no OBR."""
        return self.obr.address if self.obr else self.results[0].obx.address if self.results else "OBR"


@dataclass(slots=True)
class Patient:
    """A P (None when orders stand without one), its comments, insurances (AP, AC) and orders."""

    p: Segment | None
    comments: list[Segment] = field(default_factory=list)
    insurances: list[Segment] = field(default_factory=list)
    orders: list[Order] = field(default_factory=list)


@dataclass(slots=True)
class Tree:
    """A message by its meaning; `loose` are segments that stand where nothing expects them."""

    message: Message
    patients: list[Patient] = field(default_factory=list)
    errors: list[Segment] = field(default_factory=list)
    loose: list[Segment] = field(default_factory=list)
    end: Segment | None = None

    @property
    def header(self) -> Segment:
        """The segment H."""
        return self.message.header


def segments_of(patient: Patient) -> Iterator[Segment]:
    """Walk through all segments of a patient."""
    yield from (segment for segment in (patient.p,) if segment)
    yield from patient.comments
    yield from patient.insurances
    for order in patient.orders:
        yield from (segment for segment in (order.obr,) if segment)
        yield from order.comments
        for result in order.results:
            yield result.obx
            yield from result.comments


def plant(message: Message, notes: Notes) -> Tree:
    """Give every segment its place; one whose end is missing (a file cut in the middle) has none."""
    tree = Tree(message)
    comments: list[Segment] = tree.loose
    for segment in message.segments[1:]:
        if segment is message.cut:
            notes.leave(segment.address, message.delimiters.plain(segment.text))
            continue
        match segment.name:
            case "C":
                comments.append(segment)
            case "P":
                patient = Patient(segment)
                tree.patients.append(patient)
                comments = patient.comments
            case "AP" | "AC":
                patient = _last_patient(tree, segment)
                patient.insurances.append(segment)
                comments = tree.loose
            case "OBR":
                order = Order(segment)
                _last_patient(tree, segment).orders.append(order)
                comments = order.comments
            case "OBX":
                result = Result(segment)
                _last_order(tree, segment, notes).results.append(result)
                comments = result.comments
            case "ERR":
                tree.errors.append(segment)
                comments = tree.loose
            case "L":
                tree.end = segment
                comments = tree.loose
            case _:
                tree.loose.append(segment)
                comments = tree.loose
    _check_end(tree, notes)
    return tree


def _last_patient(tree: Tree, segment: Segment) -> Patient:
    if not tree.patients:
        tree.patients.append(Patient(None))
    return tree.patients[-1]


def _last_order(tree: Tree, segment: Segment, notes: Notes) -> Order:
    patient = _last_patient(tree, segment)
    if not patient.orders:
        notes.error("hprim.segment.orphan", segment.address, "a result without an OBR before it")
        patient.orders.append(Order(None))
    return patient.orders[-1]


def _check_end(tree: Tree, notes: Notes) -> None:
    """Check the segment L: missing, or counting segments that are not there (only a warning: hprim 3.10)."""
    if tree.end is None:
        notes.warning("hprim.trailer.missing", "L", "the segment L is missing: the message may not be whole")
        return
    patients, segments = tree.end.text_of(3), tree.end.text_of(4)
    found = sum(one.p is not None for one in tree.patients)
    if patients.isascii() and patients.isdigit() and int(patients[:9]) != found:
        notes.warning("hprim.trailer.count", tree.end.where(3), "L.3 does not count the patients that are there")
    whole = len(tree.message.segments)
    if segments.isascii() and segments.isdigit() and int(segments[:9]) > whole:
        notes.warning("hprim.trailer.count", tree.end.where(4), "L.4 counts more segments than there are")
