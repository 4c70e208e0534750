"""What every message of the ANS profile of documents (and its receipts) shares: version, name, labels, answers."""

from __future__ import annotations

from mappings.contracts import WriteContext

VERSION = "2.6"
PROFILE = "2.1^CISIS_CDA_HL7_V2"
"""MSH-21 of a document that is sent on to the DMP or to MSSanté."""

LPS = "CISIS_CDA_HL7_LPS"
"""Profile (MSH-21) of a document that came by mail: a second ED is that mail, Message-ID and subject in OBX-3."""

YES_NO = "expandedYes-NoIndicator"
ANSWERS = {True: f"Y^^{YES_NO}", False: f"N^^{YES_NO}"}


def now_stamp(context: WriteContext) -> str:
    """Give the moment of writing, with its offset (EVN-2)."""
    return context.now.astimezone(context.timezone).strftime("%Y%m%d%H%M%S%z")
