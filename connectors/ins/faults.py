"""INSi's SOAP faults: told apart by their codes, transient or permanent; none of them means «nobody found»."""

from __future__ import annotations

import re

from lxml import etree

from connectors.ins.answers import NoAnswer, Rejected

_CODE = re.compile(r"(?:siram|desir|insi)_\d{1,6}", re.ASCII)

CALLER_REFUSED = {
    "siram_100": "INSi does not accept this caller",
    "desir_550": "INSi does not know the authorisation number of this software",
    "desir_560": "the certificate gives no right to INSi: its common name is INSI-AUTO or INSI-MANU",
}
"""Codes for which no call of this installation will be served, whoever it asks about."""

TECHNICAL = {
    "siram_40": "INSi has a technical trouble",
    "insi_102": "the search of INSi failed",
}
"""Codes worth another try. Public tests had them for a name that exists nowhere as well: still no «not found»."""


def read_fault(fault: etree._Element) -> NoAnswer | Rejected:
    """Read a SOAP 1.2 fault, its codes by local names; what is unknown is judged by Sender or Receiver."""
    values = [_tail(element.text) for element in fault.iter("*") if etree.QName(element).localname == "Value"]
    errors = [_tail(element.get("code")) for element in fault.iter("*") if etree.QName(element).localname == "Erreur"]
    codes = [code for code in (*errors, *values[1:]) if _CODE.fullmatch(code)]
    for code in codes:
        if code in CALLER_REFUSED:
            return Rejected(code, CALLER_REFUSED[code], everyone=True)
    for code in codes:
        if code in TECHNICAL:
            return NoAnswer(code, TECHNICAL[code])
    shown = codes[0] if codes else "insi.fault"
    if values and values[0] == "sender":
        return Rejected(shown, "INSi refuses this request")
    return NoAnswer(shown, "INSi answered by a fault")


def _tail(text: str | None) -> str:
    """Give a code without its prefix (`S:siram_40`, `soap:siram_40`), in lower case."""
    return (text or "").strip().rpartition(":")[2].lower()
