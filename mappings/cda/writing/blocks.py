"""The blocks of results: acts of sections, batteries, isolates, specimens (cda-fr §5.2)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mappings.cda.oids import SNOMED_OID, oid_of_code_system
from mappings.cda.writing.bench import Around, Bench, Validation, validator
from mappings.cda.writing.codes import attributes_of, ii, named_oid
from mappings.cda.writing.markup import NULL, clean
from mappings.cda.writing.narrative import Page
from mappings.cda.writing.results import (
    ABORTED,
    UNDER_WAY,
    analysis_code,
    comment_act,
    observation,
    validation_of,
)
from mappings.cda.writing.times import interval, stamp
from mappings.french_time import write_moment
from mappings.lab_status import observations_of
from schemas.coding import LOINC, Identifier
from schemas.lab import LabChapter, ParentResult, Specimen

_BATTERY = (
    '<organizer classCode="BATTERY" moodCode="EVN">'
    '<templateId root="1.3.6.1.4.1.19376.1.3.1.4"/><templateId root="1.2.250.1.213.1.1.3.78"/>'
)
_ISOLATE = (
    '<organizer classCode="CLUSTER" moodCode="EVN">'
    '<templateId root="1.3.6.1.4.1.19376.1.3.1.5"/><templateId root="1.2.250.1.213.1.1.3.79"/>'
)
_PROCEDURE = (
    '<procedure classCode="PROC" moodCode="EVN">'
    '<templateId root="1.3.6.1.4.1.19376.1.3.1.2"/><templateId root="1.2.250.1.213.1.1.3.77"/>'
)
_RECEIVED = (
    '<entryRelationship typeCode="COMP"><act classCode="ACT" moodCode="EVN">'
    '<templateId root="1.3.6.1.4.1.19376.1.3.1.3"/><templateId root="1.2.250.1.213.1.1.3.107"/>'
    '<code code="SPRECEIVE" displayName="Échantillon reçu" codeSystem="1.3.5.1.4.1.19376.1.5.3.2"'
    ' codeSystemName="IHEActCode"/><effectiveTime value="{}"/></act></entryRelationship>'
)
_NCBI_OID = "2.16.840.1.113883.3.9471"


def act(bench: Bench, page: Page, chapter: LabChapter, specimens: Sequence[Specimen], media: str = "") -> str:
    """Write the one act of a section: specimens, batteries and isolates, results, images, and its comment."""
    code = next((one for one in chapter.codes if one.system == LOINC), None)
    others = [one for one in chapter.codes if one is not code]
    translations = "".join(f"<translation{attributes_of(one, chapter.title)}/>" for one in others)
    coded = attributes_of(code, chapter.title) if code is not None else ""
    written = f"<code{coded}>{translations}</code>" if coded or translations else '<code nullFlavor="NI"/>'
    waiting = chapter.status is None and bench.report.status in UNDER_WAY
    status = "active" if waiting else block_status(chapter)
    around = Around(tuple(one.id for one in specimens), _validation(chapter))
    collected = [f"{_COMP}{_specimen(bench, page, one)}</entryRelationship>" for one in specimens]
    whole = "" if chapter.parent is None else isolate(bench, page, chapter, around, named=False)
    inside = f"{_COMP}{whole}</entryRelationship>" if whole else ""
    comment = ""
    if not whole:
        parts = _parts(bench, page, chapter, around)
        inside = "".join(f"{_COMP}{part}</entryRelationship>" for part in parts)
        if chapter.comment and clean(chapter.comment).strip():
            said = comment_act(page.remark(clean(chapter.comment)))
            kind = '"SUBJ" inversionInd="true"' if inside or collected or media else '"COMP"'
            comment = f"<entryRelationship typeCode={kind}>{said}</entryRelationship>"
    if not (inside or collected or media or comment):
        # An act must hold something; an empty battery says nothing that was not said.
        comment = f"{_COMP}{_BATTERY}{_status(chapter)}</organizer></entryRelationship>"
    return (
        '<entry typeCode="DRIV"><templateId root="1.3.6.1.4.1.19376.1.3.1"/>'
        '<templateId root="1.2.250.1.213.1.1.3.21"/><act classCode="ACT" moodCode="EVN">'
        f'{written}<statusCode code="{status}"/>{validator(bench, *around.validation)}'
        f"{''.join(collected)}{inside}{media}{comment}</act></entry>"
    )


_COMP = '<entryRelationship typeCode="COMP">'


def _parts(bench: Bench, page: Page, chapter: LabChapter, around: Around) -> Iterator[str]:
    """Write the results of a block, then the blocks inside it, in the sender's order."""
    for one in chapter.observations:
        yield observation(bench, page, one, around)
    for inner in chapter.chapters:
        yield (isolate if inner.parent is not None else _battery)(bench, page, inner, around)


def _battery(bench: Bench, page: Page, chapter: LabChapter, around: Around) -> str:
    return f"{_BATTERY}{_name(page, chapter)}{_status(chapter)}{_components(bench, page, chapter, around)}</organizer>"


def _name(page: Page, chapter: LabChapter) -> str:
    """Write the code of a battery: its words in the narrative, LOINC code and translations."""
    title = clean(chapter.title).strip() if chapter.title else ""
    if title:
        return analysis_code(chapter.codes, title, page.heading(title))
    if chapter.codes:
        first = next((one for one in chapter.codes if one.system == LOINC), None)
        others = "".join(f"<translation{attributes_of(one)}/>" for one in chapter.codes if one is not first)
        return f"<code{attributes_of(first) if first is not None else ''}>{others}</code>"
    return ""


def _components(bench: Bench, page: Page, chapter: LabChapter, around: Around) -> str:
    written = "".join(f"<component>{part}</component>" for part in _parts(bench, page, chapter, around))
    if chapter.comment and clean(chapter.comment).strip():
        written += f"<component>{comment_act(page.remark(clean(chapter.comment)))}</component>"
    return written


def isolate(bench: Bench, page: Page, chapter: LabChapter, around: Around, *, named: bool = True) -> str:
    """Write an isolate with its results and its antibiogram; `named` unless the section around it bears its name."""
    parent = chapter.parent or ParentResult()
    words = clean(parent.text or (parent.code.display if parent.code is not None else None) or "").strip()
    name = page.heading(words or "Isolat", "Isolat : " if words else "")
    number = parent.sub_id
    identifier = ii("id", Identifier(system=f"urn:oid:{named_oid('isolate')}", value=number)) if number else ""
    organism = (
        '<specimen typeCode="SPC"><specimenRole classCode="SPEC">'
        f"{identifier or f'<id{NULL}/>'}"
        f'<specimenPlayingEntity classCode="MIC">{_organism(bench, parent, name if words else None)}'
        "</specimenPlayingEntity></specimenRole></specimen>"
    )
    return (
        f"{_ISOLATE}{_name(page, chapter) if named else ''}{_status(chapter)}{organism}"
        f"{_components(bench, page, chapter, around)}</organizer>"
    )


def _organism(bench: Bench, parent: ParentResult, name: str | None) -> str:
    """Write what the isolate is: a SNOMED CT or NCBI code where the sender gave one, the words always."""
    words = f'<originalText><reference value="#{name}"/></originalText>' if name else "<originalText/>"
    codes = [one for one in (parent.code, *parent.translations) if one is not None]
    snomed = next((one for one in codes if oid_of_code_system(one.system) == SNOMED_OID), None)
    ncbi = next((one for one in codes if oid_of_code_system(one.system) == _NCBI_OID), None)
    if any(one is not snomed and one is not ncbi and one.code != parent.text for one in codes):
        bench.lost("chapter.parent.code", "the code of the result that an isolate details, unless it names an organism")
    attributes = attributes_of(snomed, parent.text) if snomed is not None else ""
    translation = f"<translation{attributes_of(ncbi, parent.text)}/>" if ncbi is not None else ""
    return f"<code{attributes}>{words}{translation}</code>"


def _validation(chapter: LabChapter) -> Validation:
    """Give what all results of a section say of their validation, if they say the same."""
    found = {validation_of(one) for one in observations_of((chapter,))}
    return found.pop() if len(found) == 1 else Validation()


def _status(chapter: LabChapter) -> str:
    """Say how far a block is: what it says, unless a result of it is still under way."""
    return f'<statusCode code="{block_status(chapter)}"/>'


def block_status(chapter: LabChapter) -> str:
    """Give `completed`, `active` or `aborted` for a block of results."""
    statuses = {one.status for one in chapter.observations}
    if chapter.status in UNDER_WAY or not statuses.isdisjoint(UNDER_WAY):
        return "active"
    if chapter.status in ABORTED:
        return "aborted"
    inner = {block_status(one) for one in chapter.chapters}
    return "active" if "active" in inner else "completed"


def _specimen(bench: Bench, page: Page, given: Specimen) -> str:
    """Write a specimen: what it is, its number, when it was taken and received."""
    zone = bench.case.zone
    number = bench.specimens[given.id]
    if given.condition:
        bench.lost("specimen.condition", "the condition of a specimen")
    if len([one for one in given.identifiers if one.value.strip()]) > 1:
        bench.lost("specimen.identifiers", "a second number of a specimen")
    kind = given.type
    words = clean(given.text or (kind.display if kind is not None else "") or "").strip()
    pointer = ""
    if words:
        taken = f" — prélèvement : {write_moment(given.collected_at, zone)}" if given.collected_at else ""
        name = page.opening(words, "Échantillon : ", taken)
        pointer = f'<originalText><reference value="#{name}"/></originalText>'
    attributes = (
        attributes_of(kind, given.text, named=False) if kind is not None else ' nullFlavor="OTH"' if pointer else NULL
    )
    code = f"<code{attributes}>{pointer}</code>" if pointer else f"<code{attributes}/>"
    received = stamp(given.received_at, zone) if given.received_at else None
    method = f"<methodCode{attributes_of(given.method)}/>" if given.method is not None else ""
    site = f"<targetSiteCode{attributes_of(given.site)}/>" if given.site is not None else ""
    return (
        f"{_PROCEDURE}{interval('effectiveTime', None, given.collected_at, zone)}{method}{site}"
        f'<participant typeCode="PRD"><participantRole classCode="SPEC">{number}'
        f"<playingEntity>{code}</playingEntity></participantRole></participant>"
        f"{_RECEIVED.format(received) if received else ''}</procedure>"
    )


def specimen_number(bench: Bench, given: Specimen) -> str:
    """Write the number by which results name a specimen: its own, else one of ours within the report."""
    first = next((one for one in given.identifiers if one.value.strip()), None)
    if first is None:
        root = named_oid(f"specimens|{bench.report.report_id or bench.case.item.id}")
        return ii("id", Identifier(system=f"urn:oid:{root}", value=given.id))
    return ii("id", first)
