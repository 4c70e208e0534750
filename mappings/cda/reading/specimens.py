"""Specimens of a CR-BIO: procedures with what was taken, where, when, by whom (cda-fr §5.2)."""

from __future__ import annotations

from mappings.cda.oids import SPECIMEN_RECEIVED, identifier_of
from mappings.cda.reading.datatypes import coding, concept, identifier, point, time_of
from mappings.cda.reading.node import Node
from mappings.cda.reading.scribe import Scribe
from schemas.coding import Coding, Identifier
from schemas.lab import Specimen

_WHERE = "procedure"


class Specimens:
    """The specimens of one report; each is kept once, under an id that is unique in the report."""

    __slots__ = ("_by_content", "found")

    def __init__(self) -> None:
        self.found: list[Specimen] = []
        self._by_content: dict[Specimen, str] = {}

    def add(self, specimen: Specimen, wanted: str | None) -> str:
        """Keep a specimen and give its id; the same content is the same specimen."""
        known = self._by_content.get(specimen)
        if known is not None:
            return known
        taken = {one.id for one in self.found}
        name = wanted if wanted and wanted not in taken else f"SPM-{len(self.found) + 1}"
        while name in taken:
            name += "'"
        self._by_content[specimen] = name
        self.found.append(specimen.model_copy(update={"id": name}))
        return name

    def named(self, root: str | None, extension: str | None) -> str | None:
        """Give the id of the specimen that has this number, or None."""
        if root is None:
            return None
        number = identifier_of(root, extension, "FILL")
        bare = (number.system, number.value)
        return next((one.id for one in self.found for has in one.identifiers if (has.system, has.value) == bare), None)


def specimen_of(scribe: Scribe, procedure: Node, specimens: Specimens) -> str | None:
    """Read one specimen and give its id; None for a procedure that says nothing of one."""
    material = _material(procedure)
    number = kind = None
    text = None
    if material is not None:
        first = material.first("id")
        number = identifier(first, "FILL") if first is not None else None
        code = material.first("playingEntity", "code")
        kind = coding(scribe, code)
        text = _words(scribe, code, kind)
    method = coding(scribe, procedure.first("methodCode") or procedure.first("code"))
    specimen = Specimen(
        id="",
        identifiers=_identifiers(number),
        type=kind,
        site=coding(scribe, procedure.first("targetSiteCode")),
        method=method,
        text=text,
        collected_at=point(scribe, procedure.first("effectiveTime"), f"{_WHERE}/effectiveTime"),
        received_at=_received(scribe, procedure),
    )
    if specimen == Specimen(id=""):
        return None
    return specimens.add(specimen, number.value if number is not None else None)


def _identifiers(number: Identifier | None) -> tuple[Identifier, ...]:
    return (number,) if number is not None else ()


def _material(procedure: Node) -> Node | None:
    for participant in procedure.all("participant"):
        who = participant.first("participantRole")
        if who is not None and who.first("playingEntity") is not None:
            return who
    return next((who for one in procedure.all("participant") if (who := one.first("participantRole"))), None)


def _words(scribe: Scribe, code: Node | None, kind: Coding | None) -> str | None:
    """Give the sender's own words for the material where they differ from the name of its code."""
    if code is None or kind is None or code.first("originalText") is None:
        return None
    said = concept(scribe, code).text
    return said if said and said != kind.display else None


def _received(scribe: Scribe, procedure: Node) -> str | None:
    """Read when the laboratory received it (act SPRECEIVE)."""
    for relation in procedure.all("entryRelationship"):
        act = relation.first("act")
        code = act.first("code") if act is not None else None
        if act is not None and code is not None and code.peek("code") == SPECIMEN_RECEIVED:
            code.use()
            time = act.first("effectiveTime")
            return time_of(scribe, time, f"{_WHERE}/SPRECEIVE") or point(scribe, time, f"{_WHERE}/SPRECEIVE")
    return None
