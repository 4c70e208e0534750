"""SOAP 1.2 with WS-Addressing: requests read strictly, answers written.

A SOAP 1.1 envelope, a missing addressing header, an Action that is not the body's: each has its Fault.
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import uuid4
from xml.sax.saxutils import escape

from lxml import etree

from connectors.sandbox.dmp import names
from connectors.sandbox.dmp.names import clark
from connectors.sandbox.dmp.refusals import FaultRaised
from mappings.contracts import FormatError
from mappings.xml_source import parse_xml

ROOT_LIMIT = 16 * 1024 * 1024
"""Bytes of the SOAP part at most; the documents travel beside it."""

FAULT_ACTION = "http://www.w3.org/2005/08/addressing/soap/fault"


@dataclass(frozen=True, slots=True)
class Request:
    """A SOAP message as it was read: `body` is the only child of soap:Body, `security` the wsse:Security header."""

    message_id: str
    action: str
    body: etree._Element
    security: etree._Element | None
    envelope: etree._Element


def read_request(content: bytes) -> Request:
    """Read an envelope. Raises FaultRaised with what is missing."""
    try:
        envelope = parse_xml(content, code="sandbox", limit=ROOT_LIMIT)
    except FormatError as problem:
        raise FaultRaised(f"the SOAP part cannot be read: {problem}") from None
    if envelope.tag == clark(names.SOAP_11, "Envelope"):
        raise FaultRaised("the envelope is SOAP 1.1, SOAP 1.2 is expected", side="VersionMismatch")
    if envelope.tag != clark(names.SOAP, "Envelope"):
        raise FaultRaised("the SOAP part is not an Envelope")
    header, body = envelope.find(clark(names.SOAP, "Header")), envelope.find(clark(names.SOAP, "Body"))
    if header is None or body is None or len(body) != 1:
        raise FaultRaised("the envelope has not one Header and one Body with one child")
    for one in header:
        _understood(one)
    message_id = _addressing(header, "MessageID")
    action = _addressing(header, "Action")
    _addressing(header, "To", may_be_empty=True)
    reply_to = header.findall(clark(names.ADDRESSING, "ReplyTo"))
    if len(reply_to) != 1:
        raise _missing("ReplyTo")
    if (reply_to[0].findtext(clark(names.ADDRESSING, "Address")) or "").strip() != names.ANONYMOUS:
        raise FaultRaised("ReplyTo/Address is not the anonymous address")
    return Request(message_id, action, body[0], header.find(clark(names.SECURITY, "Security")), envelope)


def _understood(header: etree._Element) -> None:
    # The DMP refuses a Security header that asks to be understood; every other header is understood here.
    asked = header.get(clark(names.SOAP, "mustUnderstand"), "").strip()
    if header.tag == clark(names.SECURITY, "Security") and asked in ("1", "true"):
        raise FaultRaised("mustUnderstand headers not understood: wsse:Security", side="MustUnderstand")


def _addressing(header: etree._Element, name: str, *, may_be_empty: bool = False) -> str:
    found = header.findall(clark(names.ADDRESSING, name))
    if len(found) != 1:
        raise _missing(name)
    text = (found[0].text or "").strip()
    if not text and not may_be_empty:
        raise _missing(name)
    return text


def _missing(name: str) -> FaultRaised:
    return FaultRaised(
        f"A required header representing a Message Addressing Property is not present ({name})",
        subcode="MessageAddressingHeaderRequired",
    )


def answer(action: str, relates_to: str, body: str) -> bytes:
    """Write the envelope of an answer around a body that is XML already."""
    return (
        '<?xml version="1.0" encoding="UTF-8"?>'
        f'<soap:Envelope xmlns:soap="{names.SOAP}"><soap:Header>'
        f'<Action xmlns="{names.ADDRESSING}">{escape(action)}</Action>'
        f'<MessageID xmlns="{names.ADDRESSING}">urn:uuid:{uuid4()}</MessageID>'
        f'<To xmlns="{names.ADDRESSING}">{names.ANONYMOUS}</To>'
        f'<RelatesTo xmlns="{names.ADDRESSING}">{escape(relates_to)}</RelatesTo>'
        f"</soap:Header><soap:Body>{body}</soap:Body></soap:Envelope>"
    ).encode()


def fault(raised: FaultRaised, relates_to: str) -> bytes:
    """Write a SOAP Fault; the subcode is in the DMP's namespace, which is not public: a placeholder of ours."""
    sub = (
        f'<soap:Subcode><soap:Value xmlns:dmp="urn:dmp">dmp:{escape(raised.subcode)}</soap:Value></soap:Subcode>'
        if raised.subcode
        else ""
    )
    return answer(
        FAULT_ACTION,
        relates_to,
        f"<soap:Fault><soap:Code><soap:Value>soap:{raised.side}</soap:Value>{sub}</soap:Code>"
        f'<soap:Reason><soap:Text xml:lang="fr">{escape(raised.text)}</soap:Text></soap:Reason></soap:Fault>',
    )
