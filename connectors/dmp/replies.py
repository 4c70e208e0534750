"""Reading the bodies of answers: registry responses, lists, documents. Pure, strict on structure, open on codes."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping

from lxml import etree

from connectors.dmp.answers import Listed, Refusal, Registered, Retrieved, Trouble
from connectors.dmp.errors import Kind, Meaning, meaning_of
from connectors.dmp.mtom import Malformed, cid_of
from connectors.dmp.queries import QUERY
from connectors.dmp.soap import NotAnAnswer, SoapFault
from mappings.notes import Notes
from mappings.xds import vocabulary as urns
from mappings.xds.ebrim_reading import read_submission

RS = "urn:oasis:names:tc:ebxml-regrep:xsd:rs:3.0"
_STATUS = "urn:oasis:names:tc:ebxml-regrep:ResponseStatusType:"
SUCCESS = f"{_STATUS}Success"
FAILURE = f"{_STATUS}Failure"
PARTIAL = "urn:ihe:iti:2007:ResponseStatusType:PartialSuccess"
_GENERAL = frozenset({"Sender", "Receiver"})
_INCLUDE = f"{{{urns.XOP}}}Include"


def read_registry(element: etree._Element) -> Registered | Refusal:
    """Read a RegistryResponse. Raises NotAnAnswer."""
    if element.tag != f"{{{RS}}}RegistryResponse":
        raise NotAnAnswer("dmp.answer.other", "the answer is not that of a registry")
    return _judged(element)


def _judged(element: etree._Element) -> Registered | Refusal:
    status = element.get("status")
    errors = tuple(_errors(element))
    if status == SUCCESS:
        return Registered(tuple(meaning for meaning, _ in errors))
    if status == PARTIAL:
        return Registered(tuple(meaning for meaning, _ in errors), partial=True)
    if status != FAILURE:
        raise NotAnAnswer("dmp.answer.status", "the answer has no status that XDS knows")
    reasons = tuple(meaning for meaning, is_error in errors if is_error) or tuple(one for one, _ in errors)
    return Refusal(reasons or (meaning_of("XDSRepositoryError"),))


def _errors(element: etree._Element) -> list[tuple[Meaning, bool]]:
    found = element.iterfind(f"{{{RS}}}RegistryErrorList/{{{RS}}}RegistryError")
    return [
        (meaning_of((one.get("errorCode") or "").strip()), not (one.get("severity") or "").endswith("Warning"))
        for one in found
    ]


def read_list(element: etree._Element) -> Listed | Refusal:
    """Read an AdhocQueryResponse. Raises NotAnAnswer."""
    if element.tag != f"{{{QUERY}}}AdhocQueryResponse":
        raise NotAnAnswer("dmp.answer.other", "the answer is not that of a search")
    judged = _judged(element)
    if isinstance(judged, Refusal):
        return judged
    lists = element.findall(f"{{{urns.RIM}}}RegistryObjectList")
    if len(lists) > 1:
        raise NotAnAnswer("dmp.answer.structure", "the answer has more than one list")
    if not lists:
        return Listed()
    return Listed(
        submission=read_submission(lists[0], Notes()),
        references=tuple(one.get("id") or "" for one in lists[0].iterfind(f"{{{urns.RIM}}}ObjectRef")),
        sets=tuple(one.get("id") or "" for one in lists[0].iterfind(f"{{{urns.RIM}}}RegistryPackage")),
    )


def read_document(element: etree._Element, parts: Mapping[str, bytes], unique_id: str) -> Retrieved | Refusal:
    """Read a RetrieveDocumentSetResponse of one document. Raises NotAnAnswer, and Malformed of its reference."""
    if element.tag != f"{{{urns.XDS_B}}}RetrieveDocumentSetResponse":
        raise NotAnAnswer("dmp.answer.other", "the answer is not that of a retrieval")
    response = element.find(f"{{{RS}}}RegistryResponse")
    if response is None:
        raise NotAnAnswer("dmp.answer.structure", "the answer has no status")
    judged = _judged(response)
    if isinstance(judged, Refusal):
        return judged
    documents = element.findall(f"{{{urns.XDS_B}}}DocumentResponse")
    if len(documents) != 1:
        return Refusal(judged.warnings or (meaning_of("XDSDocumentUniqueIdError"),))
    given = documents[0].findtext(f"{{{urns.XDS_B}}}DocumentUniqueId", "").strip()
    if given != unique_id:
        raise NotAnAnswer("dmp.answer.document", "another document came than the one that was asked for")
    media_type = documents[0].findtext(f"{{{urns.XDS_B}}}mimeType", "").strip() or "text/xml"
    inside = documents[0].find(f"{{{urns.XDS_B}}}Document")
    if inside is None:
        raise NotAnAnswer("dmp.answer.structure", "the answer has no document")
    return Retrieved(unique_id, media_type, _content(inside, parts))


def _content(element: etree._Element, parts: Mapping[str, bytes]) -> bytes:
    include = element.find(_INCLUDE)
    if include is not None:
        cid = cid_of(include.get("href") or "")
        if cid not in parts:
            raise Malformed("part_missing", "a document that is referred to is not among the parts")
        return parts[cid]
    try:
        return base64.b64decode("".join((element.text or "").split()), validate=True)
    except (binascii.Error, ValueError):
        raise NotAnAnswer("dmp.answer.document", "the document is not in base64") from None


def trouble_of_fault(fault: SoapFault) -> Trouble:
    """Make a trouble of a fault: its innermost known code decides, its text is not repeated."""
    inner = [meaning_of(code) for code in reversed(fault.codes)] or [meaning_of("Receiver")]
    meaning = next((one for one in inner if not _is_unknown(one)), inner[0])
    if meaning.code in _GENERAL or _is_unknown(meaning):
        # A subcode that is not known here says more than what it stands in.
        kind, said = meaning.kind, meaning.en
        if _about_us(fault.text):
            kind, said = Kind.CALLER, "the DMP refuses our certificate, assertion or addressing"
        return Trouble(inner[0].code, f"{inner[0].code}: {said}", kind)
    return Trouble(meaning.code, meaning.sentence, meaning.kind)


def _is_unknown(meaning: Meaning) -> bool:
    return meaning.en.startswith("the DMP refuses, with a code")


def _about_us(text: str) -> bool:
    """Say whether a fault speaks of what identifies us; the DMP's table of codes for this is not public."""
    lowered = text.lower()
    words = ("certificat", "vihf", "assertion", "addressing property", "structure introuvable", "ps et structure")
    return any(word in lowered for word in words)
