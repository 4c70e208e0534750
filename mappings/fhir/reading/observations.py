"""Observations from FHIR: chapters, results, what they have of their own, and their specimens."""

from __future__ import annotations

from collections.abc import Sequence

from mappings.fhir import systems
from mappings.fhir.reading.actors import split_references
from mappings.fhir.reading.datatypes import (
    element_id,
    read_coding,
    read_concept,
    read_flags,
    read_identifiers,
    read_note,
    read_one_code,
    read_reference_range,
    take_value,
)
from mappings.fhir.reading.source import Entry, Source
from mappings.fhir.reading.taking import (
    Node,
    child,
    children,
    forget,
    said,
    take_element_id,
    take_extension,
    take_extensions,
    take_moment,
    take_own_text,
    take_text,
)
from schemas.coding import LOINC
from schemas.finding import Severity
from schemas.lab import (
    LabChapter,
    Observation,
    ParentResult,
    PreviousResult,
    ResultStatus,
    SecondResult,
    Specimen,
)

_STATUSES = {status.value: status for status in ResultStatus} | {"appended": ResultStatus.AMENDED}
_OWN_ABSENCES = frozenset({"not-performed", "temp-unknown", "as-text", "unknown"})


def read_status(node: Node, source: Source, where: str) -> ResultStatus:
    """Read the status of a report or result; one that FHIR does not have is a Finding."""
    status = _STATUSES.get(said(node, "status"))
    if status is None:
        source.note(Severity.WARNING, "fhir.status.unknown", f"{where}.status", "this status is not known")
        return ResultStatus.UNKNOWN
    forget(node, "status")
    return status


def hush_category(node: Node) -> None:
    """Drop the category that says laboratory: what is read here is."""
    for one in children(node, "category"):
        for coding in children(one, "coding"):
            if said(coding, "code") in {"LAB", "laboratory"}:
                forget(coding, "system", "code", "display")
                forget(one, "text")


def has_value(node: Node) -> bool:
    """Tell whether an Observation or component has a `value[x]`."""
    return any(key.startswith("value") for key in node)


def is_chapter(node: Node) -> bool:
    """Tell a grouping Observation: it has members and no value, or it is a chapter whose results are all comments."""
    if has_value(node):
        return False
    marked = said(child(node, "_status") or {}, "id") == "report"
    return bool(children(node, "hasMember")) or marked


class ObservationReader:
    """Reads the results of one report; remembers which Observations it has taken, and the specimens they name."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.specimens: dict[str, Specimen] = {}
        self.seen: set[int] = set()

    def chapters(self, references: list[Node], container: Node) -> tuple[LabChapter, ...]:
        """Read a report's `result`: grouping Observations are chapters, runs of others a chapter without a title."""
        entries = [found for one in references if (found := self._resolve(one, container)) is not None]
        chapters: list[LabChapter] = []
        loose: list[Observation] = []
        members = {
            id(found.resource)
            for entry in entries
            for one in children(entry.resource, "hasMember")
            if (found := self.source.find(one, entry.resource)) is not None
        }
        for entry in entries:
            if id(entry.resource) in self.seen or id(entry.resource) in members:
                continue
            if children(entry.resource, "hasMember") and not has_value(entry.resource):
                if loose:
                    chapters.append(LabChapter(observations=tuple(loose)))
                    loose = []
                chapters.append(self.chapter(entry))
            elif is_chapter(entry.resource):
                chapters.append(self.chapter(entry))
            else:
                loose.extend(self.observations(entry))
        if loose:
            chapters.append(LabChapter(observations=tuple(loose)))
        return tuple(chapters)

    def _resolve(self, reference: Node, container: Node) -> Entry | None:
        found = self.source.resolve(reference, container)
        return found if found is not None and found.kind == "Observation" else None

    def chapter(self, entry: Entry) -> LabChapter:
        """Read a grouping Observation with its members."""
        self.seen.add(id(entry.resource))
        found = self.source.once(entry, "chapter", lambda: self._read_chapter(entry))
        self._remember_chapter(found)
        return found

    def _remember_chapter(self, chapter: LabChapter) -> None:
        self._remember(chapter.observations)
        for inner in chapter.chapters:
            self._remember_chapter(inner)

    def _remember(self, observations: Sequence[Observation]) -> None:
        """Keep the specimens of results, read here or for another report."""
        for one in observations:
            if one.specimen is not None:
                self.specimens.setdefault(one.specimen, self.source.specimens[one.specimen])

    def _read_chapter(self, entry: Entry) -> LabChapter:
        node, source = entry.resource, self.source
        entry.read = True
        codes, title = read_concept(child(node, "code"), source)
        codes = tuple(one for one in codes if one.code != systems.UNTITLED_CHAPTER_CODE or one.system != LOINC)
        observations: list[Observation] = []
        chapters: list[LabChapter] = []
        for reference in children(node, "hasMember"):
            found = self._resolve(reference, node)
            if found is None or id(found.resource) in self.seen:
                continue
            if is_chapter(found.resource):
                chapters.append(self.chapter(found))
            else:
                observations.extend(self.observations(found))
        self._hush_context(node)
        forget(node, "derivedFrom")
        return LabChapter(
            title=title or next((one.display for one in codes if one.display), None),
            codes=codes,
            section=self._section(node),
            status=self._observation_status(node, entry.where),
            comment=read_note(node),
            parent=self._parent(node),
            observations=tuple(observations),
            chapters=tuple(chapters),
        )

    def _section(self, node: Node) -> str | None:
        hush_category(node)
        for one in children(node, "category"):
            if take_text(one, "id") == "section" or any(
                said(coding, "system") == systems.DIAGNOSTIC_SERVICE for coding in children(one, "coding")
            ):
                code = read_one_code(one, self.source)
                return code.code if code else None
        return None

    def _parent(self, node: Node) -> ParentResult | None:
        found = take_extension(node, systems.OUR_EXT + "parent-result")
        if found is None:
            return None
        code, sub_id, text = (take_extension(found, name) for name in ("code", "sub-id", "text"))
        return ParentResult(
            code=read_coding(child(code, "valueCoding") or {}, self.source) if code else None,
            sub_id=take_text(sub_id, "valueString") if sub_id else None,
            text=take_text(text, "valueString") if text else None,
        )

    def _hush_context(self, node: Node) -> None:
        """Drop what an Observation repeats from its report."""
        for key in ("subject", "encounter", "basedOn"):
            for reference in children(node, key):
                if self.source.find(reference, node) is not None:
                    forget(reference, "reference", "type", "display")
        inherited = element_id(node, "effectiveDateTime") or element_id(node, "effectivePeriod")
        if inherited == "report":
            forget(node, "effectiveDateTime", "effectivePeriod")
        for one in children(child(node, "dataAbsentReason") or {}, "coding"):
            if said(one, "code") in _OWN_ABSENCES:
                forget(one, "system", "code", "display")

    def _observation_status(self, node: Node, where: str) -> ResultStatus | None:
        marked = take_element_id(node, "status")
        status = read_status(node, self.source, where)
        return None if marked == "report" else ResultStatus.PARTIAL if marked == "partial" else status

    def observations(self, entry: Entry) -> list[Observation]:
        """Read an Observation, once even when several reports name it."""
        self.seen.add(id(entry.resource))
        found = self.source.once(entry, "results", lambda: self._results(entry))
        self._remember(found)
        return found

    def _results(self, entry: Entry) -> list[Observation]:
        """Read an Observation, then what it has that are results of their own: other components, members."""
        node, source = entry.resource, self.source
        entry.read = True
        components = children(node, "component")
        second_at = next((one for one in components if one.get("code") == node.get("code")), None)
        second = self._second(second_at) if second_at is not None and has_value(node) else None
        hush_category(node)
        self._hush_context(node)
        codes, label = read_concept(child(node, "code"), source)
        codes = tuple(one for one in codes if one.code != systems.UNCODED_TEST_CODE or one.system != LOINC)
        value, unit = take_value(node, source)
        performer, validator = split_references(children(node, "performer"), node, source)
        specimen = child(node, "specimen")
        period = child(node, "effectivePeriod") or {}
        effective = take_moment(node, "effectiveDateTime") or take_moment(node, "effectiveInstant")
        read = Observation(
            label=label or next((one.display for one in codes if one.display), None),
            codes=codes,
            sub_id=take_own_text(node, "sub-id"),
            value=value,
            unit=unit,
            reference=read_reference_range(node),
            flags=read_flags(node),
            status=self._observation_status(node, entry.where) or ResultStatus.UNKNOWN,
            effective_at=effective or take_moment(period, "start"),
            issued_at=take_moment(node, "issued"),
            method=read_one_code(child(node, "method"), source),
            specimen=self.specimen(specimen, node) if specimen else None,
            second=second,
            previous=self._previous(node),
            comment=read_note(node),
            performer=performer,
            validated_by=validator,
            access=take_own_text(node, "access"),
        )
        nothing = value is None and components and second is None
        found = [] if nothing else [read]
        found.extend(self._component(one, read) for one in components if one is not second_at or second is None)
        for reference in children(node, "hasMember"):
            member = self._resolve(reference, node)
            if member is not None and id(member.resource) not in self.seen:
                found.extend(self.observations(member))
        return found

    def _component(self, node: Node, whole: Observation) -> Observation:
        """Read a component as a result of its own, at the time and with the status of the whole."""
        codes, label = read_concept(child(node, "code"), self.source)
        value, unit = take_value(node, self.source)
        return Observation(
            label=label or next((one.display for one in codes if one.display), None),
            codes=codes,
            value=value,
            unit=unit,
            reference=read_reference_range(node),
            flags=read_flags(node),
            status=whole.status,
            effective_at=whole.effective_at,
            specimen=whole.specimen,
        )

    def _second(self, node: Node) -> SecondResult | None:
        value, unit = take_value(node, self.source)
        if value is None:
            return None
        forget(node, "code")
        return SecondResult(value=value, unit=unit, reference=read_reference_range(node), flags=read_flags(node))

    def _previous(self, node: Node) -> tuple[PreviousResult, ...]:
        found = []
        for one in take_extensions(node, systems.OUR_EXT + "previous-result"):
            inner, moment = take_extension(one, "value"), take_extension(one, "effective")
            value, unit = take_value(inner, self.source) if inner is not None else (None, None)
            if value is not None:
                effective = take_moment(moment, "valueDateTime") if moment else None
                found.append(PreviousResult(value=value, unit=unit, effective_at=effective))
        return tuple(found)

    def specimen(self, reference: Node, container: Node) -> str | None:
        """Read a Specimen and give its name within the report."""
        entry = self.source.resolve(reference, container)
        if entry is None or entry.kind != "Specimen":
            return None
        specimen = self.source.once(entry, "specimen", lambda: self._read_specimen(entry))
        self.specimens[specimen.id] = specimen
        return specimen.id

    def _read_specimen(self, entry: Entry) -> Specimen:
        node, source = entry.resource, self.source
        name = f"S{len(source.specimens) + 1}"
        forget(node, "subject", "status")
        collection = child(node, "collection") or {}
        period = child(collection, "collectedPeriod") or {}
        conditions = [read_concept(one, source)[1] for one in children(node, "condition")]
        source.specimens[name] = specimen = Specimen(
            id=name,
            identifiers=read_identifiers(entry),
            type=read_one_code(child(node, "type"), source),
            site=read_one_code(child(collection, "bodySite"), source),
            method=read_one_code(child(collection, "method"), source),
            text=read_note(node),
            collected_at=take_moment(collection, "collectedDateTime") or take_moment(period, "start"),
            received_at=take_moment(node, "receivedTime"),
            condition=next((text for text in conditions if text), None),
        )
        return specimen
