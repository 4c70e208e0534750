"""SPM (and OBR-15 of old messages) to canonical specimens."""

from __future__ import annotations

from mappings.hl7v2.datatypes import coded, coding, entity
from mappings.hl7v2.er7 import Segment
from mappings.hl7v2.groups import Order, SpecimenGroup
from mappings.hl7v2.notebook import Notebook
from mappings.hl7v2.remarks import text_of
from mappings.hl7v2.syntax import NULL
from schemas.coding import Identifier
from schemas.lab import Specimen


class Specimens:
    """The specimens of one report: each is kept once, under an id that is unique in the report."""

    __slots__ = ("_by_content", "found")

    def __init__(self) -> None:
        self.found: list[Specimen] = []
        self._by_content: dict[Specimen, str] = {}

    def add(self, specimen: Specimen, wanted: str | None) -> str:
        """Keep a specimen and give its id; the same content (whatever its id) is the same specimen."""
        bare = specimen.model_copy(update={"id": ""})
        known = self._by_content.get(bare)
        if known is not None:
            return known
        taken = {one.id for one in self.found}
        name = wanted if wanted and wanted not in taken else f"SPM-{len(self.found) + 1}"
        while name in taken:
            name += "'"
        self.found.append(specimen.model_copy(update={"id": name}))
        self._by_content[bare] = name
        return name


def specimen_of_order(notes: Notebook, order: Order, specimens: Specimens) -> str | None:
    """Read the specimens of one order; give the id of the one that its results were measured in, if it is certain."""
    ids = [_read(notes, one, specimens) for one in order.specimens]
    if order.obr is not None and order.obr.raw(15):
        if ids:
            notes.leave_fields(order.obr, 15)
        elif (old := _from_obr(notes, order.obr)) is not None:
            ids.append(specimens.add(old, None))
    return ids[0] if len(set(ids)) == 1 else None


def _read(notes: Notebook, group: SpecimenGroup, specimens: Specimens) -> str:
    spm = group.spm
    syntax = notes.syntax
    identifiers: list[Identifier] = []
    for part, kind in zip(syntax.components(spm.first(2)), ("PLAC", "FILL"), strict=False):
        found = entity(syntax.subcomponents(part), syntax, kind)
        if found is not None:
            identifiers.append(found)
    described = [syntax.text(raw) for raw in spm.repetitions(14) if raw != NULL]
    remark = text_of(notes, group.notes)
    collected = syntax.code(spm.first(17).split(syntax.component, 1)[0])
    condition = coded(spm.first(24), syntax)
    specimen = Specimen(
        id="",
        identifiers=tuple(identifiers),
        type=coding(spm.first(4), syntax),
        site=coding(spm.first(8), syntax),
        method=coding(spm.first(7), syntax),
        text="\n".join([*described, *([remark] if remark else [])]) or None,
        collected_at=notes.time_text(collected, spm.where(17, 1)),
        received_at=notes.time(spm, 18),
        condition=condition.text or (condition.codes[0].code if condition.codes else None),
    )
    return specimens.add(specimen, identifiers[-1].value if identifiers else None)


def _from_obr(notes: Notebook, obr: Segment) -> Specimen | None:
    """Read OBR-15 (SPS): type, additives, text, site, all in subcomponents."""
    syntax = notes.syntax
    parts = syntax.components(obr.raw(15))
    parts += [""] * (4 - len(parts))
    as_components = [part.replace(syntax.subcomponent, syntax.component) for part in parts]
    kind, site = coding(as_components[0], syntax), coding(as_components[3], syntax)
    text = syntax.code(parts[2]) or None
    if kind is None and site is None and text is None:
        return None
    return Specimen(id="", type=kind, site=site, text=text)
