"""A laboratory report: DiagnosticReport, its Observations, Specimens, ServiceRequest and Encounter.

A chapter is an Observation whose `hasMember` lists its results and sub-chapters, in order; the report's `result` lists
the chapters. Results are told apart by report, code and sub-id, so that a resend or a correction updates them, and a
result that a later message leaves out stays.
"""

from __future__ import annotations

import base64
from functools import lru_cache

import orjson

from mappings.fhir import systems
from mappings.fhir.writing.actors import organization, professional, put_recipients, put_sender
from mappings.fhir.writing.bundle import BundleBuilder, Resource, entry_url, token
from mappings.fhir.writing.datatypes import (
    analysis_code,
    coding,
    concept,
    extend,
    extension,
    identifier,
    number_text,
    put_bare_unit,
    put_date_time,
    put_instant,
    put_reference,
    put_value,
    usable,
)
from mappings.fhir.writing.files import attachment
from mappings.fhir.writing.outlines import common_text, is_plain, outline_of
from mappings.fhir.writing.patient import patient
from schemas.coding import LOINC, Coding
from schemas.item import LabReportItem
from schemas.lab import LabChapter, Observation, ParentResult, PreviousResult, QuantityValue, ResultStatus, Specimen
from schemas.value_sets import INTERPRETATION, abnormal_flags

_LABORATORY = orjson.Fragment(
    orjson.dumps([{"coding": [{"system": systems.OBSERVATION_CATEGORY, "code": "laboratory"}]}])
)
_REPORT_CATEGORY = orjson.Fragment(orjson.dumps([{"coding": [{"system": systems.DIAGNOSTIC_SERVICE, "code": "LAB"}]}]))
_NOT_OBSERVED = {ResultStatus.CANCELLED: "not-performed", ResultStatus.REGISTERED: "temp-unknown"}


@lru_cache(maxsize=256)
def _interpretation(flags: tuple[str, ...]) -> orjson.Fragment:
    known = abnormal_flags()
    written: list[Resource] = []
    for flag in filter(None, flags):
        code = known[flag].interpretation if flag in known else None
        written.append({"coding": [{"system": INTERPRETATION, "code": code}]} if code else {"text": flag})
    return orjson.Fragment(orjson.dumps(written))


@lru_cache(maxsize=16)
def _absent(reason: str) -> orjson.Fragment:
    return orjson.Fragment(orjson.dumps({"coding": [{"system": systems.DATA_ABSENT, "code": reason}]}))


def _put_status(out: Resource, status: ResultStatus, *, inherited: bool = False) -> None:
    """Set an Observation's status; `partial`, which only reports have, is preliminary."""
    partial = status is ResultStatus.PARTIAL
    out["status"] = "preliminary" if partial else status.value
    if inherited:
        out["_status"] = {"id": "report"}
    elif partial:
        out["_status"] = {"id": "partial"}


class LabWriter:
    """Writes one report; holds what its Observations share."""

    def __init__(self, builder: BundleBuilder, item: LabReportItem) -> None:
        self.builder = builder
        self.item = item
        self.report = item.content
        self.key = f"{builder.sender}|{item.content.report_id or item.id}"
        self.names: dict[str, int] = {}
        self.specimens: dict[str, Resource] = {}
        self.by_code: dict[tuple[str, str | None], Resource] = {}
        self.subject: Resource = {}
        self.effective: Resource = {}
        self.inherited: Resource = {}
        self.common: str | None = None

    def write(self) -> None:
        """Add every resource of the report to the Bundle."""
        builder, report = self.builder, self.report
        self.subject = patient(builder, self.item.patient, self.item.id)
        out: Resource = {"resourceType": "DiagnosticReport"}
        encounter = self._encounter()
        request = self._request(encounter)
        for specimen in report.specimens:
            self.specimens[specimen.id] = self._specimen(specimen)
        self._put_effective()
        self.common = common_text(self.subject, self.inherited)
        results = self._results()
        out["identifier"] = self._identifiers()
        if request is not None:
            out["basedOn"] = [request]
        out["status"] = report.status.value
        out["category"] = _REPORT_CATEGORY
        default = () if report.codes else (Coding(system=LOINC, code=systems.LAB_REPORT_CODE),)
        out["code"] = concept(report.codes or default, report.title, builder)
        out["subject"] = self.subject
        if encounter is not None:
            out["encounter"] = encounter
        out.update(self.effective)
        put_instant(out, "issued", report.issued_at, builder.zone)
        self._put_actors(out)
        if self.specimens:
            out["specimen"] = list(self.specimens.values())
        if results:
            out["result"] = results
        if report.conclusion:
            out["conclusion"] = report.conclusion
        forms = self._presented()
        if forms:
            out["presentedForm"] = forms
        self._put_rest(out)
        if not report.report_id:
            builder.put(out, f"report|{self.key}")
        else:
            system = systems.number_system(report.report_authority, "report", builder.sender)
            builder.put(out, f"report|{self.key}", token(system, report.report_id))

    def _identifiers(self) -> list[Resource]:
        """Name the report at the laboratory (FILL) and at the prescriber (PLAC)."""
        found: list[Resource] = []
        report = self.report
        sender = self.builder.sender
        for code, kind, value, authority in (
            ("FILL", "report", report.report_id, report.report_authority),
            ("PLAC", "order", report.order_id, report.order_authority),
        ):
            if value:
                system = systems.number_system(authority, kind, sender)
                found.append({"type": systems.type_concept(code), "system": system, "value": value})
        return found

    def _encounter(self) -> Resource | None:
        """Point at the hospital stay; when the receiver has not heard of it, nothing but its number is known."""
        visit = self.report.visit
        if visit is None or not usable((visit,)):
            return None
        stub: Resource = {
            "resourceType": "Encounter",
            "identifier": [identifier(visit, self.builder)],
            "status": "unknown",
            "class": {"system": systems.NULL_FLAVOR, "code": "UNK"},
            "subject": self.subject,
        }
        system = systems.identifier_system_out(visit, self.builder.sender)
        return self.builder.post_once(stub, f"encounter|{system}|{visit.value}", token(system, visit.value))

    def _request(self, encounter: Resource | None) -> Resource | None:
        report, builder = self.report, self.builder
        if not (report.prescriber or report.order_id or report.clinical_information):
            return None
        out: Resource = {"resourceType": "ServiceRequest"}
        key = None
        if report.order_id:
            system = systems.number_system(report.order_authority, "order", builder.sender)
            kind = systems.type_concept("PLAC")
            out["identifier"] = [{"type": kind, "system": system, "value": report.order_id}]
            key = token(system, report.order_id)
        out["status"] = "unknown"
        out["intent"] = "order"
        out["subject"] = self.subject
        if encounter is not None:
            out["encounter"] = encounter
        if report.prescriber is not None:
            requester = professional(builder, report.prescriber, out)
            if requester:
                out["requester"] = requester
        if report.clinical_information:
            out["note"] = [{"text": report.clinical_information}]
        return builder.post_once(out, f"request|{key or self.key}", key)

    def _specimen(self, given: Specimen) -> Resource:
        builder = self.builder
        out: Resource = {"resourceType": "Specimen"}
        numbers = usable(given.identifiers)
        if numbers:
            out["identifier"] = [identifier(one, builder) for one in numbers]
        if given.type is not None:
            out["type"] = concept((given.type,), None, builder)
        out["subject"] = self.subject
        put_date_time(out, "receivedTime", given.received_at, builder.zone)
        collection: Resource = {}
        put_date_time(collection, "collectedDateTime", given.collected_at, builder.zone)
        if given.method is not None:
            collection["method"] = concept((given.method,), None, builder)
        if given.site is not None:
            collection["bodySite"] = concept((given.site,), None, builder)
        if collection:
            out["collection"] = collection
        if given.condition:
            out["condition"] = [{"text": given.condition}]
        if given.text:
            out["note"] = [{"text": given.text}]
        return builder.put(out, f"specimen|{self.key}|{given.id}")

    def _put_effective(self) -> None:
        """Set the time of sampling, a period when its end is known; results without their own inherit it, marked."""
        report, zone = self.report, self.builder.zone
        if report.collected_until is not None:
            period: Resource = {}
            put_date_time(period, "start", report.collected_at, zone)
            put_date_time(period, "end", report.collected_until, zone)
            self.effective = {"effectivePeriod": period}
            self.inherited = {"effectivePeriod": {"id": "report", **period}}
        else:
            put_date_time(self.effective, "effectiveDateTime", report.collected_at, zone)
            if "effectiveDateTime" in self.effective:
                self.inherited = {**self.effective, "_effectiveDateTime": {"id": "report"}}

    def _put_actors(self, out: Resource) -> None:
        builder, report = self.builder, self.report
        performers = []
        if report.laboratory is not None:
            performers.append(organization(builder, report.laboratory, out))
        if self.item.author is not None:
            performers.append(professional(builder, self.item.author, out))
        performers = [one for one in performers if one]
        if performers:
            out["performer"] = performers
        if report.validated_by is not None:
            interpreter = professional(builder, report.validated_by, out)
            if interpreter:
                out["resultsInterpreter"] = [interpreter]
        put_sender(builder, self.item.sender, report.laboratory, out)
        put_recipients(builder, self.item.recipients, out)

    def _presented(self) -> list[Resource]:
        """Give the readable report, then the attached files."""
        forms: list[Resource] = []
        if self.report.text:
            data = base64.b64encode(self.report.text.encode()).decode()
            forms.append({"id": "text", "contentType": "text/plain; charset=utf-8", "data": data})
        for file in self.report.attachments:
            form = attachment(self.builder, file, "content.attachments")
            if file.media_type.startswith("text/plain"):
                form["id"] = "file"
            forms.append(form)
        return forms

    def _put_rest(self, out: Resource) -> None:
        report = self.report
        if report.comment:
            extend(out, {"url": systems.REPORT_NOTE, "valueAnnotation": {"text": report.comment}})
        if report.received_at is not None:
            received: Resource = {"url": systems.OUR_EXT + "received"}
            put_date_time(received, "valueDateTime", report.received_at, self.builder.zone)
            extend(out, received)
        if self.item.replaces:
            extend(out, extension("replaces", "valueString", self.item.replaces))

    # --- results

    def _results(self) -> list[Resource]:
        chapters = self.report.chapters
        if len(chapters) == 1 and not chapters[0].title and not chapters[0].codes:
            only = chapters[0]
            if only == LabChapter(observations=only.observations):
                return [self._observation(one) for one in only.observations]
        return [self._chapter(chapter) for chapter in chapters]

    def _chapter(self, given: LabChapter) -> Resource:
        builder = self.builder
        members = [self._observation(one) for one in given.observations]
        members.extend(self._chapter(one) for one in given.chapters)
        out: Resource = {"resourceType": "Observation"}
        _put_status(out, given.status or self.report.status, inherited=given.status is None)
        categories: list[Resource] = [{"coding": [{"system": systems.OBSERVATION_CATEGORY, "code": "laboratory"}]}]
        if given.section:
            section = Coding(system=systems.DIAGNOSTIC_SERVICE, code=given.section)
            categories.append({"id": "section", "coding": [coding(section, builder)]})
        out["category"] = categories
        untitled = (Coding(system=LOINC, code=systems.UNTITLED_CHAPTER_CODE),)
        out["code"] = concept(given.codes or (() if given.title else untitled), given.title, builder)
        out["subject"] = self.subject
        out.update(self.inherited)
        if given.comment:
            out["note"] = [{"text": given.comment}]
        if given.parent is not None:
            self._put_parent(out, given.parent)
        if members:
            out["hasMember"] = members
        else:
            out["dataAbsentReason"] = _absent("as-text" if given.comment else "unknown")
        name = given.codes[0].code if given.codes else given.title or ""
        return builder.put(out, self._ranked(f"chapter|{self.key}|{name}"))

    def _put_parent(self, out: Resource, given: ParentResult) -> None:
        builder = self.builder
        inside: list[Resource] = []
        if given.code is not None:
            inside.append({"url": "code", "valueCoding": coding(given.code, builder)})
            source = self.by_code.get((given.code.code, given.sub_id))
            if source is not None:
                out["derivedFrom"] = [source]
        if given.sub_id:
            inside.append({"url": "sub-id", "valueString": given.sub_id})
        if given.text:
            inside.append({"url": "text", "valueString": given.text})
        if inside:
            extend(out, {"url": systems.OUR_EXT + "parent-result", "extension": inside})

    def _ranked(self, name: str) -> str:
        """Give an Observation's name, with a rank when it was met before in this report."""
        rank = self.names.get(name, 0) + 1
        self.names[name] = rank
        return name if rank == 1 else f"{name}|{rank}"

    def _observation(self, given: Observation) -> Resource:
        name = given.codes[0].code if given.codes else given.label or ""
        full_name = self._ranked(f"observation|{self.key}|{name}|{given.sub_id or ''}")
        reference = self._plain(given, full_name)
        if reference is None:
            reference = self.builder.put(self._written(given), full_name)
        self.by_code[name, given.sub_id] = reference
        return reference

    def _plain(self, given: Observation, name: str) -> Resource | None:
        """Write a plain result from its outline; None when it must be written the ordinary way."""
        if self.common is None or not is_plain(given):
            return None
        builder = self.builder
        outline = outline_of(given, builder.sender, builder.local_codes, self._written)
        if outline is None or not isinstance(given.value, QuantityValue):
            return None
        url = entry_url(name)
        return builder.put_written(url, outline.filled(url, self.common, number_text(given.value.number)))

    def _written(self, given: Observation) -> Resource:
        builder = self.builder
        out: Resource = {"resourceType": "Observation"}
        _put_status(out, given.status)
        out["category"] = _LABORATORY
        code = out["code"] = analysis_code(given.codes, given.label, builder)
        out["subject"] = self.subject
        if given.effective_at is not None:
            put_date_time(out, "effectiveDateTime", given.effective_at, builder.zone)
        elif self.inherited:
            out.update(self.inherited)
        put_instant(out, "issued", given.issued_at, builder.zone)
        if given.value is not None:
            put_value(out, given.value, given.unit, builder)
        else:
            reason = _NOT_OBSERVED.get(given.status, "as-text" if given.comment else "unknown")
            out["dataAbsentReason"] = _absent(reason)
            if given.unit is not None:
                put_bare_unit(out, given.unit)
        if any(given.flags):
            out["interpretation"] = _interpretation(given.flags)
        if given.comment:
            out["note"] = [{"text": given.comment}]
        if given.reference is not None:
            put_reference(out, given.reference, given.unit)
        self._put_details(out, given, code)
        return out

    def _put_details(self, out: Resource, given: Observation, code: orjson.Fragment) -> None:
        builder = self.builder
        if given.method is not None:
            out["method"] = concept((given.method,), None, builder)
        if given.specimen is not None and given.specimen in self.specimens:
            out["specimen"] = self.specimens[given.specimen]
        if given.performer is not None or given.validated_by is not None:
            performers = []
            if given.performer is not None:
                performers.append(organization(builder, given.performer, out))
            if given.validated_by is not None:
                performers.append(professional(builder, given.validated_by, out))
            performers = [one for one in performers if one]
            if performers:
                out["performer"] = performers
        if given.second is not None:
            second = given.second
            component: Resource = {"code": code}
            put_value(component, second.value, second.unit, builder)
            if any(second.flags):
                component["interpretation"] = _interpretation(second.flags)
            if second.reference is not None:
                put_reference(component, second.reference, second.unit)
            out["component"] = [component]
        if given.previous:
            extend(out, *(self._previous(one) for one in given.previous))
        if given.sub_id:
            extend(out, extension("sub-id", "valueString", given.sub_id))
        if given.access:
            extend(out, extension("access", "valueString", given.access))

    def _previous(self, given: PreviousResult) -> Resource:
        value: Resource = {"url": "value"}
        put_value(value, given.value, given.unit, self.builder)
        inside = [value]
        if given.effective_at is not None:
            effective: Resource = {"url": "effective"}
            put_date_time(effective, "valueDateTime", given.effective_at, self.builder.zone)
            inside.append(effective)
        return {"url": systems.OUR_EXT + "previous-result", "extension": inside}
