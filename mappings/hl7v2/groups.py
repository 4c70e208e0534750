"""Segments grouped by adjacency: patients, their orders, the results and specimens of each order.

The grammar of ORU_R01 is not enforced: senders omit ORC, put SPM before or after the OBX, repeat PID. Each segment
belongs to the nearest one before it that can hold it (fact sheet hl7v2-fr §5).
"""

from __future__ import annotations

from mappings.hl7v2.er7 import Segment
from mappings.hl7v2.notebook import Notebook


class Result:
    """An OBX with the NTE and PRT that follow it."""

    __slots__ = ("notes", "obx", "participants")

    def __init__(self, obx: Segment) -> None:
        self.obx = obx
        self.notes: list[Segment] = []
        self.participants: list[Segment] = []


class SpecimenGroup:
    """An SPM with the NTE and OBX that describe the specimen itself."""

    __slots__ = ("notes", "results", "spm")

    def __init__(self, spm: Segment) -> None:
        self.spm = spm
        self.notes: list[Segment] = []
        self.results: list[Result] = []


class Order:
    """An OBR with its ORC, comments, results, specimens; `obr` is None for results that come before any OBR."""

    __slots__ = ("notes", "obr", "orc", "participants", "results", "specimens", "txa")

    def __init__(self, obr: Segment | None, orc: Segment | None, remarks: list[Segment]) -> None:
        self.obr = obr
        self.orc = orc
        self.txa: Segment | None = None
        self.notes = remarks
        self.participants: list[Segment] = []
        self.results: list[Result] = []
        self.specimens: list[SpecimenGroup] = []


class PatientGroup:
    """A PID (None when the message has none) with what surrounds it, and its orders."""

    __slots__ = ("around", "contacts", "notes", "orders", "pd1", "pid", "pv1", "pv2")

    def __init__(self, pid: Segment | None) -> None:
        self.pid = pid
        self.pd1: Segment | None = None
        self.pv1: Segment | None = None
        self.pv2: Segment | None = None
        self.around: list[Segment] = []
        self.contacts: list[Segment] = []
        self.notes: list[Segment] = []
        self.orders: list[Order] = []


def group(notes: Notebook) -> list[PatientGroup]:
    """Group the segments of a message that carries orders and results (ORU, MDM)."""
    patients: list[PatientGroup] = []
    patient = PatientGroup(None)
    order: Order | None = None
    pending: Segment | None = None
    result: Result | None = None
    specimen: SpecimenGroup | None = None
    remarks: list[Segment] = patient.notes
    participants: list[Segment] | None = None
    before: list[Segment] = []
    """NTE between an ORC and its OBR."""

    for segment in notes.message.segments:
        name = segment.name
        if name == "OBX":
            result = Result(segment)
            if order is None:
                order = Order(None, pending, before)
                pending, before = None, []
                patient.orders.append(order)
                notes.warn("hl7v2.obx.without_order", segment.where(), "a result comes before any OBR")
            if specimen is not None:
                specimen.results.append(result)
            else:
                order.results.append(result)
            remarks, participants = result.notes, result.participants
        elif name == "NTE":
            remarks.append(segment)
        elif name == "OBR":
            if order is not None and order.obr is None and order.txa is not None and not order.results:
                order.obr, order.orc = segment, order.orc or pending
                order.notes.extend(before)
            else:
                order = Order(segment, pending, before)
                patient.orders.append(order)
            pending = specimen = None
            before = []
            remarks, participants = order.notes, order.participants
        elif name == "ORC":
            if pending is not None:
                notes.leave(pending)
            pending, specimen = segment, None
            remarks = before
        elif name == "SPM":
            if order is None:
                order = Order(None, pending, before)
                pending, before = None, []
                patient.orders.append(order)
            group_of_specimen = SpecimenGroup(segment)
            # Before its results, an SPM says what they were measured in; after them, OBX describe the specimen.
            specimen = group_of_specimen if order.results else None
            order.specimens.append(group_of_specimen)
            remarks = group_of_specimen.notes
        elif name == "PRT":
            if participants is None:
                notes.leave(segment)
            else:
                participants.append(segment)
        elif name == "PID":
            if patient.pid is None:
                patient.pid = segment
            else:
                patient = PatientGroup(segment)
            patients.append(patient)
            order = specimen = None
            remarks, participants = patient.notes, None
        elif name == "PV1" and patient.pv1 is None:
            patient.pv1 = segment
        elif name == "PV2" and patient.pv2 is None:
            patient.pv2 = segment
        elif name == "PD1" and patient.pd1 is None:
            patient.pd1 = segment
        elif name in ("PV1", "PV2", "PD1"):
            notes.leave(segment)
        elif name == "NK1":
            patient.contacts.append(segment)
        elif name in ("ROL", "ZFD"):
            patient.around.append(segment)
        elif name == "TXA":
            if order is None:
                order = Order(None, pending, before)
                pending, before = None, []
                patient.orders.append(order)
            order.txa = segment
    if pending is not None:
        notes.leave(pending)
    return patients or [patient]
