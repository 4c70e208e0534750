"""SOAP 1.2 envelopes with WS-Addressing 1.0, written and read strictly (fact sheet dmp §2). Pure.

An answer is believed when it is one envelope of SOAP 1.2 with one body of one element, and relates to our message.
"""

from __future__ import annotations

from dataclasses import dataclass

from lxml import etree

from mappings.contracts import FormatError
from mappings.xml_source import parse_xml

SOAP = "http://www.w3.org/2003/05/soap-envelope"
SOAP_11 = "http://schemas.xmlsoap.org/soap/envelope/"
WSA = "http://www.w3.org/2005/08/addressing"
WSSE = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
ANONYMOUS = f"{WSA}/anonymous"
MEDIA_TYPE = "application/soap+xml"

LIMIT = 64 * 1024 * 1024
"""Bytes of one envelope at most: a search may list thousands of documents."""


class NotAnAnswer(Exception):
    """What came back cannot be taken for an answer to our message: a stable code, and one sentence."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True)
class SoapFault:
    """A fault: its codes from the general one (`Sender`, `Receiver`) inwards, without prefixes; its text stays here."""

    codes: tuple[str, ...]
    text: str


def write_envelope(
    action: str, message_id: str, to: str, assertion: etree._Element | None, body: etree._Element
) -> bytes:
    """Write a request; `assertion` goes into wsse:Security as it is."""
    envelope = etree.Element(f"{{{SOAP}}}Envelope", nsmap={"soap": SOAP, "wsa": WSA})
    header = etree.SubElement(envelope, f"{{{SOAP}}}Header")
    etree.SubElement(header, f"{{{WSA}}}MessageID").text = message_id
    etree.SubElement(header, f"{{{WSA}}}To").text = to
    reply = etree.SubElement(header, f"{{{WSA}}}ReplyTo")
    etree.SubElement(reply, f"{{{WSA}}}Address").text = ANONYMOUS
    etree.SubElement(header, f"{{{WSA}}}Action").text = action
    if assertion is not None:
        security = etree.SubElement(header, f"{{{WSSE}}}Security", nsmap={"wsse": WSSE})
        security.append(assertion)
    etree.SubElement(envelope, f"{{{SOAP}}}Body").append(body)
    return etree.tostring(envelope, xml_declaration=True, encoding="UTF-8")


def read_envelope(content: bytes, message_id: str) -> etree._Element | SoapFault:
    """Read an answer to `message_id`: the element of its body, or a fault. Raises NotAnAnswer.

    A fault is believed without RelatesTo, for servers fault before they have read the headers; one that names another
    message is not.
    """
    try:
        root = parse_xml(content, code="dmp.answer", limit=LIMIT)
    except FormatError as problem:
        raise NotAnAnswer(problem.code, problem.message) from None
    if root.tag == f"{{{SOAP_11}}}Envelope":
        raise NotAnAnswer("dmp.answer.soap_11", "the answer is in SOAP 1.1, which the DMP does not speak")
    if root.tag != f"{{{SOAP}}}Envelope":
        raise NotAnAnswer("dmp.answer.not_soap", "the answer is no SOAP envelope")
    headers = root.findall(f"{{{SOAP}}}Header")
    bodies = root.findall(f"{{{SOAP}}}Body")
    others = [one for one in root if one.tag not in (f"{{{SOAP}}}Header", f"{{{SOAP}}}Body")]
    if len(headers) > 1 or len(bodies) != 1 or others or len(bodies[0]) != 1:
        raise NotAnAnswer("dmp.answer.structure", "the answer is not one envelope with one body of one element")
    relates = [] if not headers else headers[0].findall(f"{{{WSA}}}RelatesTo")
    said = [(one.text or "").strip() for one in relates]
    content_of = bodies[0][0]
    is_fault = content_of.tag == f"{{{SOAP}}}Fault"
    if said != [message_id] and not (is_fault and not said):
        raise NotAnAnswer("dmp.answer.relates_to", "the answer is to another message than ours")
    return _fault(content_of) if is_fault else content_of


def _fault(element: etree._Element) -> SoapFault:
    codes: list[str] = []
    code = element.find(f"{{{SOAP}}}Code")
    while code is not None:
        value = code.find(f"{{{SOAP}}}Value")
        if value is not None and value.text:
            codes.append(value.text.strip().rpartition(":")[2])
        code = code.find(f"{{{SOAP}}}Subcode")
    texts = element.iterfind(f"{{{SOAP}}}Reason/{{{SOAP}}}Text")
    return SoapFault(tuple(codes), " ".join((one.text or "").strip() for one in texts))
