"""Files inside a CDA document: the body of level 1, and every `observationMedia`."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator

from lxml import etree

from mappings.cda.narrative_tree import Media
from mappings.contracts import FormatError
from mappings.xml_source import parse_xml

V3 = "{urn:hl7-org:v3}"
CODE = "cda.narrative"
UNKNOWN_TYPE = "application/octet-stream"

_MEDIA_TYPE = re.compile(r"^[a-z0-9][a-z0-9!#$&^_.+-]{0,63}/[a-z0-9][a-z0-9!#$&^_.+-]{0,63}$")


def open_document(content: bytes) -> etree._Element:
    """Give the `ClinicalDocument` of a content, which a wrapper may hold (self-presenting documents).

    Raises FormatError `cda.narrative.no_document`, or what `parse_xml` raises.
    """
    root = parse_xml(content, code=CODE)
    found = next(root.iter(f"{V3}ClinicalDocument"), None)
    if found is None:
        raise FormatError(f"{CODE}.no_document", "", "there is no ClinicalDocument in it")
    return found


def media_elements(document: etree._Element) -> Iterator[etree._Element]:
    """Give the elements that hold files, in the order that `Media.rank` counts: a level 1 body, then the others."""
    yield from document.iterfind(f"{V3}component/{V3}nonXMLBody/{V3}text")
    for media in document.iter(f"{V3}observationMedia"):
        value = media.find(f"{V3}value")
        if value is not None:
            yield value


def media_of(element: etree._Element, rank: int) -> Media:
    """Describe a file without decoding it."""
    text = element.text or ""
    size = len(text)
    if _is_base64(element):
        size -= sum(text.count(blank) for blank in " \t\r\n")
        size = size * 3 // 4 - text[-20:].count("=")
    return Media(rank, media_type_of(element), max(0, size), held=bool(text) and not text.isspace())


class MediaIndex:
    """The files of one document, by element and by the `ID` that a narrative refers to."""

    def __init__(self, document: etree._Element) -> None:
        # The elements are kept beside what is known of them: lxml makes a new proxy once the last one is dropped.
        self._elements = list(media_elements(document))
        self._media = {element: media_of(element, rank) for rank, element in enumerate(self._elements)}
        self._named: dict[str, Media] = {}
        for element, media in self._media.items():
            for name in _names(element):
                self._named.setdefault(name, media)
        self._shown = {
            self._named[name]
            for figure in document.iter(f"{V3}renderMultiMedia")
            for name in (figure.get("referencedObject") or "").split()
            if name in self._named
        }

    def named(self, name: str) -> Media | None:
        """Give the file that `renderMultiMedia/@referencedObject` names."""
        return self._named.get(name)

    def body(self, element: etree._Element) -> Media:
        """Give the file of a level 1 body."""
        return self._media[element]

    def only_in_entries(self, section: etree._Element) -> Iterator[Media]:
        """Give the files of a section's own entries that no narrative shows."""
        for value in section.iterfind(f"{V3}entry//{V3}observationMedia/{V3}value"):
            media = self._media.get(value)
            if media is not None and media not in self._shown:
                yield media


def _names(element: etree._Element) -> Iterator[str]:
    """Give the names of an `observationMedia`, and of the region of interest that holds it."""
    holder = element.getparent()
    while holder is not None and holder.tag in {f"{V3}observationMedia", f"{V3}regionOfInterest"}:
        if holder.get("ID"):
            yield holder.get("ID", "")
        relation = holder.getparent()
        holder = relation.getparent() if relation is not None else None


def media_type_of(element: etree._Element) -> str:
    """Give the media type that an element states, lower case, without parameters; the unknown one if it is not one."""
    stated = (element.get("mediaType") or "text/plain").partition(";")[0].strip().lower()
    return stated if _MEDIA_TYPE.match(stated) else UNKNOWN_TYPE


def bytes_of(element: etree._Element) -> bytes:
    """Decode the file of an element; text that is not valid base64 is given as it stands."""
    text = element.text or ""
    if not _is_base64(element):
        return text.encode()
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        return text.encode()


def media_content(content: bytes, rank: int) -> tuple[str, bytes] | None:
    """Give the media type and the bytes of a document's file; None when it has no such file.

    Raises FormatError as `open_document` does.
    """
    for position, element in enumerate(media_elements(open_document(content))):
        if position == rank:
            return media_type_of(element), bytes_of(element)
    return None


def _is_base64(element: etree._Element) -> bool:
    return (element.get("representation") or "TXT").strip().upper() == "B64"
