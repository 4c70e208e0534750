"""One result as an observation, with its line in the narrative (cda-fr §5.2)."""

from __future__ import annotations

from mappings.cda.oids import LOINC_OID, SUB_ID_OID
from mappings.cda.writing.bench import Around, Bench, Validation, performer, validator
from mappings.cda.writing.codes import attributes_of, ii, names_its_system, usable, value_set
from mappings.cda.writing.markup import NULL, attribute, clean, escaped
from mappings.cda.writing.narrative import Page, content, lines
from mappings.cda.writing.times import ts
from mappings.cda.writing.values import Written, is_parallel, reference_range, value_element, without_value, words_of
from mappings.lab_text import range_text
from schemas.coding import LOINC, Coding, Identifier
from schemas.lab import Observation, PreviousResult, Reference, ResultStatus
from schemas.value_sets import abnormal_flags

_START = (
    '<observation classCode="OBS" moodCode="EVN">'
    '<templateId root="1.3.6.1.4.1.19376.1.3.1.6"/><templateId root="1.2.250.1.213.1.1.3.80"/>'
)
_COMMENT = (
    '<act classCode="ACT" moodCode="EVN"><templateId root="2.16.840.1.113883.10.20.1.40"/>'
    '<templateId root="1.3.6.1.4.1.19376.1.5.3.1.4.2"/><templateId root="1.2.250.1.213.1.1.3.32"/>'
    f'<code code="48767-8" displayName="Commentaire" codeSystem="{LOINC_OID}" codeSystemName="LOINC"/>'
)
ABORTED = frozenset({ResultStatus.CANCELLED, ResultStatus.REGISTERED, ResultStatus.ENTERED_IN_ERROR})
"""Statuses that a CR-BIO writes `aborted`: no result, or one that must not be used."""
UNDER_WAY = frozenset({ResultStatus.PRELIMINARY, ResultStatus.PARTIAL, ResultStatus.REGISTERED})
_SAID = {
    ResultStatus.PRELIMINARY: "résultat provisoire",
    ResultStatus.PARTIAL: "résultat provisoire",
    ResultStatus.REGISTERED: "en cours",
    ResultStatus.CANCELLED: "annulé",
    ResultStatus.ENTERED_IN_ERROR: "saisi par erreur",
    ResultStatus.CORRECTED: "résultat corrigé",
    ResultStatus.AMENDED: "résultat corrigé",
}
_ROUND_TRIP = frozenset({ResultStatus.FINAL, ResultStatus.CANCELLED})


def comment_act(page_name: str) -> str:
    """Write a comment that stands in the narrative under that ID."""
    return f'{_COMMENT}<text><reference value="#{page_name}"/></text><statusCode code="completed"/></act>'


def analysis_code(codes: tuple[Coding, ...], label: str, name: str) -> str:
    """Write what was analysed: the LOINC code, else no code at all; every other code is a translation."""
    codes = usable(codes)
    loinc = next((one for one in codes if one.system == LOINC), None)
    first = attributes_of(loinc, label) if loinc is not None else ""
    others = "".join(f"<translation{attributes_of(one, label)}/>" for one in codes if one is not loinc)
    return f'<code{first}><originalText><reference value="#{name}"/></originalText>{others}</code>'


def observation(bench: Bench, page: Page, given: Observation, around: Around) -> str:
    """Write one result."""
    case = bench.case
    notes, zone = case.notes, case.zone
    name = page.names.new("r")
    label = (given.label and clean(given.label).strip()) or next(
        (one.display or one.code for one in given.codes), "Résultat"
    )
    if not given.label:
        notes.info("cda.write.filled", "observation.label", "a result without a name is called by its code")
    written = _value(bench, given, f"{name}v")
    other = _second(bench, given, f"{name}w")
    reference_words = _reference_words(given.reference)
    method, method_words = _method(given.method, f"{name}m")
    page.row(
        (
            content(name, label) + method_words,
            _result_words(bench, given, name, written, other),
            content(f"{name}n", reference_words) if reference_words else "",
            lines(", ".join(_flag_words(flag) for flag in given.flags if flag)),
            "<br/>".join(lines(_earlier(one, bench)) for one in given.previous),
        )
    )
    comment = clean(given.comment).strip("\n") if given.comment else ""
    relations = "".join(_previous(bench, given, one) for one in given.previous)
    if comment:
        act = comment_act(page.remark(comment))
        relations += f'<entryRelationship typeCode="SUBJ" inversionInd="true">{act}</entryRelationship>'
    if not all(names_its_system(code) for code in given.codes):
        message = "the system of a code has no OID: it is named beside ours"
        notes.info("cda.write.code_system", "observation.codes", message)
    sub_id = given.sub_id
    number = ii("id", Identifier(system=f"urn:oid:{SUB_ID_OID}", value=sub_id)) if sub_id else ""
    if given.access:
        bench.lost("observation.access", "who may see a result")
    pointed = f"{name}n" if reference_words else None
    return (
        _START
        + number
        + analysis_code(given.codes, label, name)
        + f'<statusCode code="{_status(bench, given.status)}"/>'
        + (ts("effectiveTime", given.effective_at, zone) if given.effective_at else "")
        + (written.xml if written is not None else "")
        + (other.xml if other is not None else "")
        + _interpretations(bench, given.flags)
        + method
        + _specimen(bench, given, around)
        + performer(bench, given.performer)
        + ("" if validation_of(given) == around.validation else validator(bench, *validation_of(given)))
        + relations
        + reference_range(given.reference, given.unit, given.second, pointed)
        + "</observation>"
    )


def _value(bench: Bench, given: Observation, name: str) -> Written | None:
    if given.value is None:
        return without_value(given.unit) if given.unit is not None else None
    if given.unit is not None and given.value.type not in {"quantity", "range", "ratio"}:
        bench.lost("observation.unit", "the unit of a result that is not a number")
    return value_element(given.value, given.unit, given.second, name, bench.case.zone, bench.case.notes)


def _result_words(bench: Bench, given: Observation, name: str, written: Written | None, other: Written | None) -> str:
    """Write the cell of the result: value, the same in the second unit, and what its status says to people."""
    words = []
    if written is not None:
        words.append(content(f"{name}v", written.words) if written.pointed else lines(written.words))
    if other is not None:
        words.append(content(f"{name}w", other.words) if other.pointed else lines(other.words))
    elif given.second is not None:
        words.append(lines(words_of(given.second.value, given.second.unit, bench.case.zone)))
    said = _SAID.get(given.status)
    if said:
        words.append(f"({said})")
    return "<br/>".join(words)


def _reference_words(reference: Reference | None) -> str:
    if reference is None:
        return ""
    return clean(reference.text or range_text(reference)).strip()


def _flag_words(flag: str) -> str:
    known = abnormal_flags().get(flag)
    return f"{flag} ({known.fr})" if known is not None else clean(flag)


def _earlier(one: PreviousResult, bench: Bench) -> str:
    words = words_of(one.value, one.unit, bench.case.zone)
    day = (one.effective_at or "")[:10]
    return f"{words} ({'/'.join(reversed(day.split('-')))})" if day else words


def _second(bench: Bench, given: Observation, name: str) -> Written | None:
    """Write a second result that is not the same comparison in another unit as a second `value` (the XSD has a list).

    What of any second result has no place is said: its own flags, and a range in words.
    """
    second = given.second
    if second is None:
        return None
    if any(second.flags):
        bench.lost("observation.second.flags", "flags of the second unit")
    reference = second.reference
    if reference is not None and reference.low is None and reference.high is None and reference.text:
        bench.lost("observation.second.reference", "a range in words of the second unit")
    if is_parallel(given.value, second):
        return None
    return value_element(second.value, second.unit, None, name, bench.case.zone, bench.case.notes)


def _status(bench: Bench, status: ResultStatus) -> str:
    if status not in _ROUND_TRIP and status is not ResultStatus.UNKNOWN:
        message = f"the status {status} of a result is written in the narrative: a CR-BIO knows completed and aborted"
        bench.case.notes.warning("cda.write.status", f"observation.status {status}", message)
    elif status is ResultStatus.UNKNOWN:
        message = "a result of unknown status is written completed"
        bench.case.notes.info("cda.write.status", "observation.status unknown", message)
    return "aborted" if status in ABORTED else "completed"


def _interpretations(bench: Bench, flags: tuple[str, ...]) -> str:
    """Write each flag that ObservationInterpretation has; the others stand in the narrative alone."""
    written = []
    known = value_set("interpretation")
    for flag in filter(None, flags):
        code = known.get(flag)
        if code is None:
            message = "a flag that ObservationInterpretation does not have stands in the narrative alone"
            bench.case.notes.warning("cda.write.flag", "observation.flags", message)
            continue
        shown = attribute("code", code.code) + attribute("displayName", code.display)
        written.append(f'<interpretationCode{shown} codeSystem="{code.system}"/>')
    return "".join(written)


def _method(method: Coding | None, name: str) -> tuple[str, str]:
    """Write a method: its element, and its words under the name of the analysis; words alone are no code."""
    if method is None:
        return "", ""
    words = clean(method.display or method.code).strip()
    shown = f"<br/>({content(name, words)})" if words else ""
    pointer = f'<originalText><reference value="#{name}"/></originalText>' if words else ""
    attributes = "" if method.system is None and method.code == words else attributes_of(method)
    return f"<methodCode{attributes}>{pointer}</methodCode>", shown


def _specimen(bench: Bench, given: Observation, around: Around) -> str:
    """Write in which specimen it was measured, by the specimen's number, unless it is the only one of the block.

    Where the block names one and the result none, the number is unknown: silence would say that it is that one.
    """
    number = bench.specimens.get(given.specimen or "")
    if around.collected == ((given.specimen,) if number is not None else ()):
        return ""
    identifier = number if number is not None else f"<id{NULL}/>"
    return f'<specimen typeCode="SPC"><specimenRole classCode="SPEC">{identifier}</specimenRole></specimen>'


def validation_of(given: Observation) -> Validation:
    """Give who validated a result, and when it was obtained."""
    return Validation(given.validated_by, given.issued_at)


def _previous(bench: Bench, given: Observation, one: PreviousResult) -> str:
    """Write an earlier result: it must have a time, which is said to be unknown when the sender gave none."""
    case = bench.case
    loinc = next((code for code in given.codes if code.system == LOINC), None)
    label = given.label or next((code.display or code.code for code in given.codes), "Résultat")
    if loinc is not None:
        code = f"<code{attributes_of(loinc, label)}/>"
    else:
        code = "<code>" + "".join(f"<translation{attributes_of(code, label)}/>" for code in given.codes[:1]) + "</code>"
    written = value_element(one.value, one.unit, None, "", case.zone, case.notes)
    value = written.xml
    if written.pointed:
        value = value.replace('<reference value="#"/>', escaped(written.words), 1)
    time = ts("effectiveTime", one.effective_at, case.zone)
    return (
        '<entryRelationship typeCode="REFR"><observation classCode="OBS" moodCode="EVN">'
        f'{code}<statusCode code="completed"/>{time}{value}</observation></entryRelationship>'
    )
