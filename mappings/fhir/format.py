"""The formats `fhir` and `pdsm`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from mappings import json_positions
from mappings.contracts import (
    Format,
    FormatError,
    Piece,
    Position,
    ReadContext,
    Reading,
    Rendition,
    WriteContext,
    WriteRefused,
)
from mappings.fhir.reading.bundle import read_bundle
from mappings.fhir.writing.item import write_item
from mappings.safe_names import safe_stem
from schemas.item import DocumentItem, Item, ItemKind

_PUBLICATIONS = {"comprehensive": "pdsm", "simplified": "pdsm-simplified"}
_START = re.compile(rb"(?:\xef\xbb\xbf)?\s*\{")
_RESOURCE_TYPE = re.compile(rb'"resourceType"\s*:\s*"[A-Z][A-Za-z]+"')


class FhirFormat:
    """FHIR R4 in JSON.

    Options of a partner: `local_codes`, the URI that its local codes have on both sides (by default one a sender);
    `fr_core = "2.1"`, for a receiver that knows identity statuses by the older list of FR Core; `document`, the form of
    documents (`inline`, `pdsm`, `pdsm-simplified`), and `document_source_id`, the OID of the submissions' source;
    `note = "cdl"`, for a receiver whose notes are DocumentReferences of the "cahier de liaison" (else Communications).
    """

    name = "fhir"
    media_type = "application/fhir+json"
    extension = ".json"
    reads = frozenset(ItemKind) - {ItemKind.RECEIPT}
    writes = frozenset(ItemKind) - {ItemKind.RECEIPT}

    def sniff(self, content: bytes) -> float:
        """Recognise a JSON object that says its resource type."""
        if not _START.match(content):
            return 0.0
        if _RESOURCE_TYPE.search(content, 0, 4096):
            return 0.9
        return 0.5 if _RESOURCE_TYPE.search(content) else 0.0

    def read(self, content: bytes, context: ReadContext) -> Reading:
        """Read a Bundle of any type, or a single resource."""
        return read_bundle(content, context)

    def write(self, item: Item, context: WriteContext) -> Rendition:
        """Write a transaction Bundle in which a resend or a correction updates what was sent before."""
        content, findings = write_item(item, context)
        filename = safe_stem(context.identity) + self.extension
        return Rendition(content=content, media_type=self.media_type, filename=filename, findings=findings)

    def positions(self, content: bytes) -> Sequence[Position]:
        """List the values with their JSON paths."""
        return json_positions.positions(content)

    def pieces(self, content: bytes) -> Sequence[Piece]:
        """Show the content key by key."""
        return json_positions.pieces(json_positions.load(content))


class PdsmFormat(FhirFormat):
    """Documents as the French document-sharing guide asks for them (PDSm, after IHE MHD); read as any FHIR is.

    The option `publication` is `comprehensive` (ITI-65, the default) or `simplified` (ITI-105); the others are those of
    `fhir`. It never recognises a content: `fhir` does.
    """

    name = "pdsm"
    writes = frozenset({ItemKind.DOCUMENT})

    def sniff(self, content: bytes) -> float:
        """Leave the recognition to `fhir`, which reads the same."""
        return 0.0

    def write(self, item: Item, context: WriteContext) -> Rendition:
        """Write the submission of a document. Raises WriteRefused for anything else."""
        if not isinstance(item, DocumentItem):
            raise WriteRefused("fhir.write.kind", "", "document sharing carries documents only")
        publication = context.options.get("publication", "comprehensive")
        if publication not in _PUBLICATIONS:
            known = ", ".join(_PUBLICATIONS)
            raise FormatError("fhir.option", "publication", f"the option publication is one of {known}")
        options = {**context.options, "document": _PUBLICATIONS[publication]}
        return super().write(item, replace(context, options=options))


FORMAT: Format = FhirFormat()
PDSM_FORMAT: Format = PdsmFormat()
