"""Requests against the public schemas of INSi, when the user has their folder (that of the WSDL)."""

from __future__ import annotations

from pathlib import Path

from lxml import etree

_PARTS = {
    "{http://www.cnamts.fr/INSiRecSans}RECSANSVITALE": "xsd/ServiceIdentiteCertifiee/INSi_RECSANS_INS.xsd",
    "{urn:siram:bam:ctxbam}ContexteBAM": "xsd/CTX/ROOT_ctxbam_CTXBAM_V01_02.xsd",
    "{urn:siram:lps:ctxlps}ContexteLPS": "xsd/CTX/ROOT_ctxlps_CTXLPS_V01_00.xsd",
}
"""What a search holds, and the file that says how; SOAP and WS-Addressing are looked at by hand."""

_ACTION = "{http://www.w3.org/2005/08/addressing}Action"
_MESSAGE_ID = "{http://www.w3.org/2005/08/addressing}MessageID"


class RequestSchemas:
    """The compiled schemas. Raises OSError or lxml's XMLSchemaParseError when the folder does not hold them."""

    def __init__(self, folder: Path) -> None:
        self._schemas = {name: etree.XMLSchema(etree.parse(folder / path)) for name, path in _PARTS.items()}

    def problems(self, envelope: etree._Element) -> list[str]:
        """Say what an envelope breaks: sentences of the schema processor, for the developer who reads them."""
        found: list[str] = []
        for name, schema in self._schemas.items():
            parts = list(envelope.iter(name))
            if len(parts) != 1:
                found.append(f"{name}: {len(parts)} times instead of once")
            for part in parts:
                # Validated in a tree of its own, as the part of the WSDL's message that it is.
                alone = etree.fromstring(etree.tostring(part))
                try:
                    schema.assertValid(alone)
                except etree.DocumentInvalid as problem:
                    found.append(f"{name}: {problem}")
        addressing = (name for name in (_ACTION, _MESSAGE_ID) if len(list(envelope.iter(name))) != 1)
        return found + [f"{name}: not there once" for name in addressing]
