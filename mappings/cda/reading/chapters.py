"""Chapters, sub-chapters, batteries and isolates of a CR-BIO (cda-fr §5, §5.2)."""

from __future__ import annotations

from collections.abc import Iterator

from mappings.cda.reading.datatypes import Concept, concept, identifier, span
from mappings.cda.reading.narrative import plain_text
from mappings.cda.reading.node import Node
from mappings.cda.reading.results import (
    Surroundings,
    comment_of,
    is_comment,
    observation_of,
    performer_of,
    status_of,
    validation_of,
)
from mappings.cda.reading.scribe import Scribe
from mappings.cda.reading.specimens import Specimens, specimen_of
from schemas.actors import Organization, Professional
from schemas.coding import Coding
from schemas.lab import LabChapter, ParentResult, ResultStatus

_RELATIONS = frozenset({"entryRelationship", "component", "entry"})
_NOTHING = LabChapter()
_STATEMENTS = frozenset({"act", "organizer", "observation", "procedure"})


class Chapters:
    """Reads the chapters of one report; what the report itself says of laboratory and validator is not repeated."""

    def __init__(
        self, scribe: Scribe, specimens: Specimens, laboratory: Organization | None, validator: Professional | None
    ) -> None:
        self._scribe = scribe
        self._specimens = specimens
        self._laboratory = laboratory
        self._validator = validator

    def of_section(self, section: Node) -> LabChapter:
        """Read a chapter or sub-chapter: its entry's blocks are its own results and chapters."""
        named = self._named(section)
        title = section.first("title")
        codes = dict.fromkeys(named.codes)
        parts: list[LabChapter] = []
        for entry in section.all("entry"):
            act = entry.first("act")
            block = self._block(act if act is not None else entry, Surroundings())
            codes |= dict.fromkeys(block.codes)
            parts.append(block)
        inner = [
            self.of_section(nested) for one in section.all("component") if (nested := one.first("section")) is not None
        ]
        text = section.first("text")
        comment = [part.comment for part in parts if part.comment]
        if text is not None and text.element is not None and (parts or inner):
            text.use()
        elif text is not None and text.element is not None and (said := plain_text(text.element)):
            text.use()
            comment.append(said)
        statuses = {part.status for part in parts if part.status is not None}
        whole = _whole_isolate(parts) if not inner and not comment else None
        if whole is not None:
            return whole.model_copy(
                update={"title": (title.text if title is not None else None) or named.text, "codes": tuple(codes)}
            )
        return LabChapter(
            title=(title.text if title is not None else None) or named.text,
            codes=tuple(codes),
            status=statuses.pop() if len(statuses) == 1 else None,
            comment="\n".join(comment) or None,
            observations=tuple(one for part in parts for one in part.observations),
            chapters=(*(one for part in parts for one in part.chapters), *inner),
        )

    def _named(self, node: Node) -> Concept:
        code = node.first("code")
        return concept(self._scribe, code) if code is not None else Concept((), None)

    def _block(self, node: Node, around: Surroundings) -> LabChapter:
        """Read an act, battery or isolate with all that it holds."""
        scribe = self._scribe
        around = self._around(node, around)
        observations = []
        chapters: list[LabChapter] = []
        for part in _parts(node):
            if part.name == "observation":
                observations.append(observation_of(scribe, part, self._in_specimen(part, around)))
            elif part.name == "organizer" or (part.name == "act" and not is_comment(part)):
                block = self._block(part, around)
                if block.model_copy(update={"status": None}) != _NOTHING:
                    chapters.append(block)
        named = self._named(node)
        parent = self._isolate(node)
        return LabChapter(
            title=named.text,
            codes=named.codes,
            status=self._status(node),
            comment=comment_of(scribe, node),
            parent=parent,
            observations=tuple(observations),
            chapters=tuple(chapters),
        )

    def _status(self, node: Node) -> ResultStatus | None:
        if node.first("statusCode") is None:
            return None
        status = status_of(self._scribe, node, node.name)
        return ResultStatus.PARTIAL if status is ResultStatus.PRELIMINARY else status

    def _around(self, node: Node, around: Surroundings) -> Surroundings:
        """Say what a block says of its results: its only specimen, its laboratory, its validating biologist."""
        scribe = self._scribe
        ids = {
            found
            for part in _parts(node)
            if part.name == "procedure" and (found := specimen_of(scribe, part, self._specimens)) is not None
        }
        span(scribe, node.first("effectiveTime"), node.name)
        laboratory = performer_of(scribe, node) or around.laboratory
        validation = validation_of(scribe, node)
        validator = validation.professional or around.validator
        return Surroundings(
            specimen=ids.pop() if len(ids) == 1 else None if ids else around.specimen,
            laboratory=laboratory if not _same_place(laboratory, self._laboratory) else None,
            validator=validator if not same_person(validator, self._validator) else None,
            validated_at=validation.at or around.validated_at,
        )

    def _in_specimen(self, observation: Node, around: Surroundings) -> Surroundings:
        """Apply what a result itself says of its specimen: the number of one of the report's, or that it is unknown."""
        number = observation.first("specimen", "specimenRole", "id")
        if number is None:
            return around
        if number.peek("root") is None:
            return around._replace(specimen=None)
        found = self._specimens.named(number.peek("root"), number.peek("extension"))
        if found is None:
            return around
        number.use()
        return around._replace(specimen=found)

    def _isolate(self, node: Node) -> ParentResult | None:
        """Read the organism of an isolate: its code, its number, and the sender's words for it."""
        role = node.first("specimen", "specimenRole")
        if role is None:
            return None
        number = role.first("id")
        found = identifier(number) if number is not None else None
        code = role.first("specimenPlayingEntity", "code")
        if code is None and found is None:
            return None
        named = concept(self._scribe, code) if code is not None else Concept((), None)
        first = named.codes[0] if named.codes else None
        return ParentResult(
            code=first or (Coding(code=named.text, display=named.text) if named.text else None),
            sub_id=found.value if found is not None else None,
            text=named.text,
            translations=named.codes[1:],
        )


def _whole_isolate(parts: list[LabChapter]) -> LabChapter | None:
    """Give the isolate that is all of a section, when it has no name of its own: the section is that isolate."""
    if len(parts) != 1 or parts[0].observations or len(parts[0].chapters) != 1:
        return None
    (isolate,) = parts[0].chapters
    return isolate if isolate.parent is not None and not (isolate.title or isolate.codes) else None


def _parts(node: Node) -> Iterator[Node]:
    """Walk through what an act, organizer or entry holds: acts, organizers, observations, procedures."""
    for relation in (node,) if node.name == "entry" else node.children:
        if relation.name in _RELATIONS:
            yield from (part for part in relation.children if part.name in _STATEMENTS)


def _same_place(one: Organization | None, other: Organization | None) -> bool:
    """Tell whether two mentions are of one organisation: the same identifiers, else the same name."""
    if one is None or other is None:
        return one is other
    if one.identifiers and other.identifiers:
        return bool(set(one.identifiers) & set(other.identifiers))
    return one.name == other.name


def same_person(one: Professional | None, other: Professional | None) -> bool:
    """Tell whether two mentions are of one person: the same identifiers, else the same names."""
    if one is None or other is None:
        return one is other
    if one.identifiers and other.identifiers:
        return bool(set(one.identifiers) & set(other.identifiers))
    return (one.family_name, one.given_name) == (other.family_name, other.given_name)
