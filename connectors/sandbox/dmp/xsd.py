"""Messages against the public schemas, in and out, when the user has their folder (`IHE`, `ebRS`, `HL7V3`, `saml`)."""

from __future__ import annotations

import copy
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import cast

from lxml import etree

from connectors.sandbox.dmp import names
from connectors.sandbox.dmp.names import clark

_HL7 = "HL7V3/NE2009/multicacheschemas"
_FILES = {
    clark(names.XDS, "ProvideAndRegisterDocumentSetRequest"): "IHE/XDS.b_DocumentRepository.xsd",
    clark(names.XDS, "RetrieveDocumentSetRequest"): "IHE/XDS.b_DocumentRepository.xsd",
    clark(names.XDS, "RetrieveDocumentSetResponse"): "IHE/XDS.b_DocumentRepository.xsd",
    clark(names.LCM, "SubmitObjectsRequest"): "ebRS/lcm.xsd",
    clark(names.QUERY, "AdhocQueryRequest"): "ebRS/query.xsd",
    clark(names.QUERY, "AdhocQueryResponse"): "ebRS/query.xsd",
    clark(names.RS, "RegistryResponse"): "ebRS/rs.xsd",
    clark(names.HL7, "PRPA_IN201307UV02"): f"{_HL7}/PRPA_IN201307UV02.xsd",
    clark(names.HL7, "PRPA_IN201308UV02"): f"{_HL7}/PRPA_IN201308UV02.xsd",
}


_SAML = "saml/sstc-saml-schema-assertion-2.0.xsd"
_TYPE = "{http://www.w3.org/2001/XMLSchema-instance}type"


class MessageSchemas:
    """The schemas, each compiled when the first message needs it.

    `violations` counts what our own answers broke: it stays empty, or the sandbox has a defect.
    """

    def __init__(self, folder: Path) -> None:
        missing = sorted({path for path in (*_FILES.values(), _SAML) if not (folder / path).is_file()})
        if missing:
            raise FileNotFoundError(2, "the schema is not there", str(folder / missing[0]))
        self._folder = folder
        self._compiled: dict[str, etree.XMLSchema] = {}
        self._lock = threading.Lock()
        self.violations: list[str] = []

    def problems(self, body: etree._Element) -> list[str]:
        """Say what a SOAP body's child breaks: line and rule of the processor, without the content."""
        path = _FILES.get(str(body.tag))
        return [] if path is None else self._broken(path, _inlined(body))

    def vihf_problems(self, assertion: etree._Element) -> list[str]:
        """Say what a VIHF breaks of SAML 2.0; HL7's types in it are none that the SAML schema could know."""
        made = copy.deepcopy(assertion)
        for one in made.iter(clark(names.HL7, "Role"), clark(names.HL7, "PurposeOfUse")):
            if _TYPE in one.attrib:
                del one.attrib[_TYPE]
        return self._broken(_SAML, made)

    def _broken(self, path: str, alone: etree._Element) -> list[str]:
        with self._lock:
            if path not in self._compiled:
                self._compiled[path] = etree.XMLSchema(etree.parse(self._folder / path))
            schema = self._compiled[path]
            if schema.validate(alone):
                return []
            return [f"line {one.line}: {one.type_name}" for one in cast("Iterable[etree._LogEntry]", schema.error_log)]


def _inlined(body: etree._Element) -> etree._Element:
    """Put base64 where the schema wants it; any will do, the bytes are compared elsewhere."""
    made = copy.deepcopy(body)
    for include in list(made.iter(clark(names.XOP, "Include"))):
        parent = include.getparent()
        if parent is not None:
            parent.remove(include)
            parent.text = "AA=="
    return made
