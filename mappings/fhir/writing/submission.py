"""PDSm: a document as the French guide of document sharing over FHIR asks for it (MHD comprehensive and simplified).

Everybody is contained in what mentions him. What a profile demands and the Item does not say is assumed where there is
an obvious value, marked with the element id `assumed` so that it is not read back as said, and told in a Finding; what
cannot be assumed is a warning.
"""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from mappings.fhir import systems
from mappings.fhir.writing.actors import organization, professional
from mappings.fhir.writing.bundle import BundleBuilder, Resource, entry_url, name_uuid, token
from mappings.fhir.writing.datatypes import concept, date_time
from mappings.fhir.writing.files import detach, measure
from mappings.fhir.writing.patient import patient_resource
from mappings.xds.vocabulary import class_of_type, coding_of, content_type_of_encounter
from schemas.actors import Organization
from schemas.document import Document, DocumentOperation
from schemas.finding import Severity
from schemas.item import DocumentItem

Subject = Callable[[Resource], Resource]
"""Gives the reference to the patient of a resource, which it may put the patient into."""

ASSUMED = "assumed"
_MANDATORY = ("type", "category", "author", "securityLabel")
_MANDATORY_CONTEXT = ("facilityType", "practiceSetting")
_ONE_FILE = "PDSm shares one file at a time: the further files of the document were not sent"


def content_type(document: Document) -> str:
    """Give the kind of care that the document's submission comes from (contentTypeCode, TRE_R209)."""
    encounter = document.encounter_type
    return content_type_of_encounter(encounter.code if encounter is not None else None).code


class Submission:
    """One document on its way into a shared repository: the DocumentReference completed, and its submission set."""

    def __init__(self, builder: BundleBuilder, item: DocumentItem, *, simplified: bool) -> None:
        self.builder = builder
        self.item = item
        self.simplified = simplified
        self._source: Resource = {}

    def subject(self, container: Resource) -> Resource:
        """Contain the patient as the source knows him, and refer to the one that the receiver knows by his number."""
        resource, key = patient_resource(self.builder, self.item.patient, container)
        self._source = self.builder.contain(container, resource)
        if key is None:
            self.builder.note(
                Severity.WARNING,
                "fhir.patient.no_identifier",
                "patient.identifiers",
                "the patient has no identifier that may serve as a key: the receiver cannot tell that it knows him",
            )
            return dict(self._source)
        return {"reference": f"Patient?{key}"}

    def finish(self, out: Resource) -> bytes:
        """Complete the DocumentReference and give the content."""
        profile = "pdsm-simplified-publish" if self.simplified else "pdsm-comprehensive-document-reference"
        out["meta"] = {"profile": [systems.PDSM + profile]}
        name = self._name(out)
        self._complete(out)
        form = self._one_file(out)
        if self.simplified:
            self.builder.post(out, name)
            return self.builder.finish_alone()
        for file in self.item.content.attachments[:1]:
            measure(form, file)
        self._bundle(out, form, name)
        return self.builder.finish(systems.PDSM + "pdsm-comprehensive-provide-document-bundle")

    def _name(self, out: Resource) -> str:
        """Name the document, by its own number or by the Item's when it has none."""
        number = self.item.content.document_id
        if number is None:
            uuid = entry_url(f"document|{self.item.id}")
            out["masterIdentifier"] = {"id": ASSUMED, "system": systems.URI, "value": uuid}
        return f"document|{self.builder.sender}|{number or self.item.id}"

    def _complete(self, out: Resource) -> None:
        context = out.setdefault("context", {})
        document = self.item.content
        if not isinstance(context, dict):
            raise TypeError("the context of a DocumentReference is an object")
        context["sourcePatientInfo"] = self._source
        if document.operation is DocumentOperation.DELETE:
            self.builder.note(
                Severity.WARNING,
                "fhir.pdsm.deletion",
                "content.operation",
                "PDSm deletes with a PATCH of its own, made by the connector pdsm; any other connector sends "
                "the document with the status entered-in-error",
            )
        moment = date_time(self.item.occurred_at or "", self.builder.zone)
        now = self.builder.context.now.astimezone(self.builder.zone).isoformat(timespec="seconds")
        if "date" not in out:
            self._assume("content.created_at")
            out["date"] = moment if moment and "T" in moment else now
            beside = out.setdefault("_date", {})
            if isinstance(beside, dict):
                beside["id"] = ASSUMED
        period = context.setdefault("period", {})
        if "start" not in period and "_start" not in period:
            self._assume("content.period_start")
            period["id"], period["start"] = ASSUMED, out["date"]
        self._custodian(out)
        self._confidentiality(out)
        known = class_of_type(document.type.code) if document.type is not None else None
        if "category" not in out and known is not None:
            self._assume("content.category")
            out["category"] = [{"id": ASSUMED, **concept((coding_of(known),), None, self.builder)}]
        missing = [name for name in _MANDATORY if name not in out]
        missing += [f"context.{name}" for name in _MANDATORY_CONTEXT if name not in context]
        for name in missing if not self.simplified else []:
            self._warn(name)

    def _confidentiality(self, out: Resource) -> None:
        """Say the one level of confidentiality that the profile wants beside what it says of visibility."""
        labels = out.setdefault("securityLabel", [])
        if not isinstance(labels, list):
            raise TypeError("the labels of a DocumentReference are a list")
        levels = (code for label in labels for code in label["coding"])
        if not any(code.get("system") == systems.CONFIDENTIALITY for code in levels):
            self._assume("content.confidentiality")
            normal = {"system": systems.CONFIDENTIALITY, "code": "N"}
            labels.insert(0, {"id": ASSUMED, "coding": [normal]})

    def _custodian(self, out: Resource) -> None:
        if "custodian" in out:
            return
        document = self.item.content
        place: Organization | None = document.author_organization or self.item.sender
        keeper = organization(self.builder, place, out) if place is not None else {}
        if keeper:
            self._assume("content.custodian")
            out["custodian"] = {"id": ASSUMED, **keeper}
        else:
            self._warn("custodian")

    def _one_file(self, out: Resource) -> Resource:
        """Keep the first file, and give its Attachment."""
        contents = out["content"]
        if not isinstance(contents, list):
            raise TypeError("the content of a DocumentReference is a list")
        if len(contents) > 1:
            self.builder.note(Severity.WARNING, "fhir.pdsm.one_file", "content.attachments", _ONE_FILE)
            del contents[1:]
        if "format" not in contents[0] and not self.simplified:
            self._warn("content.format")
        form: Resource = contents[0]["attachment"]
        if "title" not in form and self.item.content.title:
            form["title"] = self.item.content.title
        return form

    def _bundle(self, out: Resource, form: Resource, name: str) -> None:
        builder, document = self.builder, self.item.content
        form["creation"] = out["date"]
        members: list[Resource] = [{"item": {"reference": entry_url(name)}}]
        self._submission_set(members, str(out["date"]))
        master = out["masterIdentifier"]
        key = token(str(master["system"]), str(master["value"])) if isinstance(master, dict) else None
        if document.operation is DocumentOperation.DELETE:
            builder.put(out, name, key)
        else:
            builder.post_once(out, name, key)
        detach(builder, form, name)
        if document.operation is DocumentOperation.REPLACE and document.replaces_id:
            builder.supersede(token(*systems.document_number_out(document.replaces_id, builder.sender)))

    def _submission_set(self, members: list[Resource], created: str) -> None:
        builder, item = self.builder, self.item
        identity = builder.context.identity
        out: Resource = {
            "resourceType": "List",
            "meta": {"profile": [systems.PDSM + "pdsm-submissionset-comprehensive"]},
        }
        told = len(builder.findings)
        resource, key = patient_resource(builder, item.patient, out)
        # The DocumentReference holds the same patient: what it could not carry of him is told already.
        del builder.findings[told:]
        patient = builder.contain(out, resource)
        source_id = builder.context.options.get("document_source_id") or _oid_of(f"source|{builder.sender}")
        kind = {"coding": [{"system": systems.CONTENT_TYPES, "code": content_type(item.content)}]}
        out["extension"] = [
            {"url": systems.MHD + "ihe-designationType", "valueCodeableConcept": kind},
            {
                "url": systems.MHD + "ihe-sourceId",
                "valueIdentifier": {"system": systems.URI, "value": f"urn:oid:{source_id}"},
            },
        ]
        out["identifier"] = [
            {"use": "official", "system": systems.URI, "value": entry_url(f"submission|{identity}")},
            {"use": "usual", "system": systems.URI, "value": f"urn:oid:{_oid_of(f'submission|{identity}')}"},
        ]
        out["status"], out["mode"] = "current", "working"
        out["code"] = {"coding": [{"system": systems.LIST_TYPES, "code": "submissionset"}]}
        out["subject"] = {"reference": f"Patient?{key}"} if key else patient
        out["date"] = builder.context.now.astimezone(builder.zone).isoformat(timespec="seconds")
        who = item.author or item.content.author
        source = professional(builder, who, out) if who is not None else {}
        said = bool(source) and item.author is not None
        source = source or self._place_as_source(out)
        if source:
            out["source"] = source if said else {"id": ASSUMED, **source}
        else:
            self._warn("List.source")
        out["entry"] = members
        builder.post_once(out, f"submission|{identity}", token(systems.URI, entry_url(f"submission|{identity}")))

    def _place_as_source(self, out: Resource) -> Resource:
        """Give the place that submits, as a role that nobody is named for, where no person is known."""
        place = self.item.content.author_organization or self.item.sender
        keeper = organization(self.builder, place, out) if place is not None else {}
        if not keeper:
            return {}
        self._assume("List.source")
        return self.builder.contain(out, {"resourceType": "PractitionerRole", "organization": dict(keeper)})

    def _assume(self, where: str) -> None:
        message = "the profile asks for a value that the item does not say; one was assumed, and marked as such"
        self.builder.note(Severity.INFO, "fhir.pdsm.assumed", where, message)

    def _warn(self, where: str) -> None:
        self.builder.note(
            Severity.WARNING, "fhir.pdsm.missing", where, "PDSm asks for this element, and the item does not have it"
        )


def _oid_of(name: str) -> str:
    """Give the OID of a name: that of its UUID, under 2.25 (ITU-T X.667)."""
    return f"2.25.{UUID(name_uuid(name)).int}"
