"""The request of INSi's search by traits: SOAP 1.2, `rechercherInsAvecTraitsIdentite` (WSDL DESIR_ICIR 1.5.0).

Pure: identifiers and the clock's time are given. The order of elements is the schemas'.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from lxml import etree

from mappings.contracts import FormatError
from mappings.xml_source import parse_xml

SOAP = "http://www.w3.org/2003/05/soap-envelope"
WSA = "http://www.w3.org/2005/08/addressing"
WSSE = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
SAML = "urn:oasis:names:tc:SAML:2.0:assertion"
BAM = "urn:siram:bam:ctxbam"
LPS = "urn:siram:lps:ctxlps"
SEARCH = "http://www.cnamts.fr/INSiRecSans"

ACTION = "urn:ServiceIdentiteCertifiee:1.0.0:rechercherInsAvecTraitsIdentite"
CONTENT_TYPE = f'application/soap+xml; charset=utf-8; action="{ACTION}"'

ASSERTION_LIMIT = 256 * 1024
"""Bytes of a professional's assertion at most."""


@dataclass(frozen=True, slots=True)
class TraitsQuery:
    """Traits as INSi takes them: normalised names, `F` or `M`, `YYYY-MM-DD` (lunar dates too), COG or None."""

    birth_name: str
    given_names: tuple[str, ...]
    sex: str
    birth_date: str
    birth_place: str | None = None


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, as the contexts BAM and LPS say it; `instance` is the UUID of this installation."""

    emitter: str
    authorisation: str
    software_name: str
    software_version: str
    instance: str


@dataclass(frozen=True, slots=True)
class Stamp:
    """What is new in each call: three UUIDs and the time, with its zone."""

    bam_id: str
    lps_id: str
    message_id: str
    at: datetime


def read_assertion(content: bytes) -> etree._Element:
    """Read a SAML 2.0 assertion as it was given. Raises FormatError (`insi.assertion.…`)."""
    root = parse_xml(content, code="insi.assertion", limit=ASSERTION_LIMIT)
    if root.tag != f"{{{SAML}}}Assertion":
        raise FormatError("insi.assertion.other", "", "this is not a SAML 2.0 assertion")
    return root


def write_search(query: TraitsQuery, caller: Caller, stamp: Stamp, assertion: etree._Element | None = None) -> bytes:
    """Write the envelope; `assertion` goes into wsse:Security untouched, so that its signature still verifies."""
    envelope = etree.Element(f"{{{SOAP}}}Envelope", nsmap={"soap": SOAP})
    header = etree.SubElement(envelope, f"{{{SOAP}}}Header")
    _contexts(header, caller, stamp)
    _text(header, WSA, "Action", ACTION, prefix="wsa")
    _text(header, WSA, "MessageID", f"uuid:{stamp.message_id}", prefix="wsa")
    if assertion is not None:
        security = etree.SubElement(header, f"{{{WSSE}}}Security", nsmap={"wsse": WSSE})
        security.append(assertion)
    body = etree.SubElement(envelope, f"{{{SOAP}}}Body")
    sought = etree.SubElement(body, f"{{{SEARCH}}}RECSANSVITALE", nsmap={"rec": SEARCH})
    _text(sought, SEARCH, "NomNaissance", query.birth_name)
    for name in query.given_names:
        _text(sought, SEARCH, "Prenom", name)
    _text(sought, SEARCH, "Sexe", query.sex)
    _text(sought, SEARCH, "DateNaissance", query.birth_date)
    if query.birth_place is not None:
        _text(sought, SEARCH, "LieuNaissance", query.birth_place)
    return etree.tostring(envelope, xml_declaration=True, encoding="UTF-8")


def _contexts(header: etree._Element, caller: Caller, stamp: Stamp) -> None:
    at = stamp.at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    bam = etree.SubElement(header, f"{{{BAM}}}ContexteBAM", nsmap={"ctxbam": BAM}, Nature="CTXBAM", Version="01_02")
    lps = etree.SubElement(header, f"{{{LPS}}}ContexteLPS", nsmap={"ctxlps": LPS}, Nature="CTXLPS", Version="01_00")
    for context, namespace, identifier in ((bam, BAM, stamp.bam_id), (lps, LPS, stamp.lps_id)):
        _text(context, namespace, "Id", identifier)
        _text(context, namespace, "Temps", at)
        _text(context, namespace, "Emetteur", caller.emitter)
    etree.SubElement(bam, f"{{{BAM}}}COUVERTURE")
    software = etree.SubElement(lps, f"{{{LPS}}}LPS")
    # R="4": the number is the authorisation that the CNDA gave to the software.
    _text(software, LPS, "IDAM", caller.authorisation).set("R", "4")
    _text(software, LPS, "Version", caller.software_version)
    _text(software, LPS, "Instance", caller.instance)
    _text(software, LPS, "Nom", f"urn:lps:{caller.software_name}:{caller.software_version}")


def _text(parent: etree._Element, namespace: str, name: str, value: str, prefix: str | None = None) -> etree._Element:
    known = {prefix: namespace} if prefix is not None else None
    element = etree.SubElement(parent, f"{{{namespace}}}{name}", nsmap=known)
    element.text = value
    return element
