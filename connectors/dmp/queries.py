"""Stored queries of the registry (ITI-18) and the retrieval of documents (ITI-43), as XML. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from lxml import etree

from mappings.xds import vocabulary as urns

QUERY = "urn:oasis:names:tc:ebxml-regrep:xsd:query:3.0"
APPROVED = "urn:oasis:names:tc:ebxml-regrep:StatusType:Approved"
DEPRECATED = "urn:oasis:names:tc:ebxml-regrep:StatusType:Deprecated"
ARCHIVED = "urn:asip:ci-sis:2010:StatusType:Archived"

FIND_DOCUMENTS = "urn:uuid:14d4debf-8f97-4251-9a74-a90016b0af0d"
FIND_SUBMISSION_SETS = "urn:uuid:f26abbcb-ac74-4422-8a30-edb644bbc1a9"
GET_DOCUMENTS = "urn:uuid:5c4f972b-d56b-40ac-a5fc-c8ca9b40b9d4"
GET_ASSOCIATIONS = "urn:uuid:a7ae438b-4bc2-4642-93e9-be891f7bb155"
GET_DOCUMENTS_AND_ASSOCIATIONS = "urn:uuid:bab9529a-4a10-40b3-a01f-f68a615d247a"


@dataclass(frozen=True, slots=True)
class Query:
    """One stored query: parameters by name, values as ebRIM writes them; whole objects, or references alone."""

    id: str
    parameters: Mapping[str, tuple[str, ...]]
    references: bool = False


def text(value: str) -> str:
    """Write a text as a literal."""
    return "'" + value.replace("'", "''") + "'"


def any_of(values: Iterable[str]) -> str:
    """Write a list of texts, any of which will do."""
    return "(" + ",".join(text(one) for one in values) + ")"


def find_documents(
    patient: str, *, since: str | None = None, statuses: Iterable[str] = (APPROVED,), references: bool = False
) -> Query:
    """Find a patient's documents by status, those alone whose service began at `since` or later."""
    parameters = {
        "$XDSDocumentEntryPatientId": (text(patient),),
        "$XDSDocumentEntryStatus": (any_of(statuses),),
    }
    if since is not None:
        parameters["$XDSDocumentEntryServiceStartTimeFrom"] = (since,)
    return Query(FIND_DOCUMENTS, parameters, references)


def find_submission_sets(patient: str, since: str) -> Query:
    """Find what was submitted for a patient since a time."""
    return Query(
        FIND_SUBMISSION_SETS,
        {
            "$XDSSubmissionSetPatientId": (text(patient),),
            "$XDSSubmissionSetStatus": (any_of((APPROVED,)),),
            "$XDSSubmissionSetSubmissionTimeFrom": (since,),
        },
    )


def get_documents(unique_ids: Iterable[str], *, references: bool = False) -> Query:
    """Give documents by uniqueId, in all their versions (TD3.1b with `references`)."""
    return Query(GET_DOCUMENTS, {"$XDSDocumentEntryUniqueId": (any_of(unique_ids),)}, references)


def get_documents_and_associations(entries: Iterable[str]) -> Query:
    """Give documents by entry UUID, with what relates them to others."""
    return Query(GET_DOCUMENTS_AND_ASSOCIATIONS, {"$XDSDocumentEntryEntryUUID": (any_of(entries),)})


def get_associations(objects: Iterable[str]) -> Query:
    """Give what relates objects, by their UUIDs."""
    return Query(GET_ASSOCIATIONS, {"$uuid": (any_of(objects),)})


def write_query(query: Query) -> etree._Element:
    """Write an AdhocQueryRequest."""
    root = etree.Element(f"{{{QUERY}}}AdhocQueryRequest", nsmap={"query": QUERY, "rim": urns.RIM})
    option = etree.SubElement(root, f"{{{QUERY}}}ResponseOption", returnComposedObjects="true")
    option.set("returnType", "ObjectRef" if query.references else "LeafClass")
    adhoc = etree.SubElement(root, f"{{{urns.RIM}}}AdhocQuery", id=query.id)
    for name, values in query.parameters.items():
        slot = etree.SubElement(adhoc, f"{{{urns.RIM}}}Slot", name=name)
        listed = etree.SubElement(slot, f"{{{urns.RIM}}}ValueList")
        for value in values:
            etree.SubElement(listed, f"{{{urns.RIM}}}Value").text = value
    return root


def write_retrieve(repository: str, unique_id: str) -> etree._Element:
    """Write the request of one document."""
    root = etree.Element(f"{{{urns.XDS_B}}}RetrieveDocumentSetRequest", nsmap={"xds": urns.XDS_B})
    request = etree.SubElement(root, f"{{{urns.XDS_B}}}DocumentRequest")
    etree.SubElement(request, f"{{{urns.XDS_B}}}RepositoryUniqueId").text = repository
    etree.SubElement(request, f"{{{urns.XDS_B}}}DocumentUniqueId").text = unique_id
    return root
