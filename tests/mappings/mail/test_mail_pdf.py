"""The PDF that travels beside a document: its own, the sender's, or one made of what it says."""

from __future__ import annotations

import base64
import re
import zlib
from datetime import UTC, datetime
from email import message_from_bytes, policy

from mails import DOCTOR, SENDER
from xdm_archives import PDF, cda, xdm

from mappings.cda.narrative import narrative_of
from mappings.contracts import ReadContext, WriteContext
from mappings.mail import FORMAT
from mappings.mail.narrative_text import text_lines
from mappings.xdm import FORMAT as XDM
from schemas.attachment import Attachment
from schemas.item import DocumentItem

BODY = """<component><structuredBody><component><section><title>Motif d'hospitalisation</title>
<text><paragraph><caption>Motif</caption>Chute<br/>à domicile<footnote ID="f">Vue hier</footnote></paragraph>
<list listType="ordered"><caption>Suivi</caption><item>Pansement</item><item>Marche</item></list>
<table><thead><tr><th>Analyse</th><th>Valeur</th></tr></thead>
<tbody><tr><td>Hémoglobine</td><td>7,1 g/dL</td></tr></tbody></table></text>
<component><section><title>Évolution</title><text>Favorable</text></section></component>
</section></component></structuredBody></component>"""
STRUCTURED = re.sub(rb"<component><nonXMLBody>.*</nonXMLBody>\s*</component>", BODY.encode(), cda(), flags=re.DOTALL)
LINES = [
    "",
    "MOTIF D'HOSPITALISATION",
    "  Motif Chute",
    "  à domicile[1]",
    "  Suivi",
    "  1. Pansement",
    "  2. Marche",
    "  Analyse | Valeur",
    "  Hémoglobine | 7,1 g/dL",
    "  [1] Vue hier",
    "",
    "  Évolution",
    "    Favorable",
]


def pdfs(content: bytes, *beside: bytes) -> list[bytes]:
    """The PDF copies in the mail of a document that came with these files beside it."""
    (item,) = XDM.read(xdm(document=content), ReadContext()).items
    assert isinstance(item, DocumentItem)
    more = (Attachment(media_type="application/pdf", data=base64.b64encode(one).decode()) for one in beside)
    document = item.content.model_copy(update={"attachments": (*item.content.attachments, *more)})
    options = {"from": SENDER, "to": DOCTOR}
    context = WriteContext(now=datetime(2026, 3, 5, tzinfo=UTC), identity="P-1", options=options)
    rendition = FORMAT.write(item.model_copy(update={"content": document}), context)
    parts = list(message_from_bytes(rendition.content, policy=policy.default).walk())
    return [part.get_payload(decode=True) for part in parts if part.get_content_type() == "application/pdf"]


def test_the_narrative_as_lines() -> None:
    assert list(text_lines(narrative_of(STRUCTURED))) == LINES


def test_a_structured_document_has_the_copy_that_was_sent_else_one_is_made() -> None:
    (made,) = pdfs(STRUCTURED)
    streams = re.findall(rb"FlateDecode>>\nstream\n(.*?)\nendstream", made, re.DOTALL)
    drawn = b"".join(map(zlib.decompress, streams)).decode("cp1252")
    for said in ("Patient : FICTIVE-ROSE MIREILLE", "Type : Lettre de liaison", "Hémoglobine | 7,1 g/dL", "Favorable"):
        assert said in drawn
    assert pdfs(STRUCTURED, PDF) == [PDF]


def test_the_copy_of_a_level_1_document_is_its_own_body() -> None:
    assert pdfs(cda()) == [PDF]
    assert pdfs(cda(), PDF + b"% autre") == [PDF]


def test_a_text_body_becomes_a_pdf() -> None:
    text = re.sub(
        rb'<text mediaType="application/pdf".*?</text>', b'<text mediaType="text/plain">Bonne nuit</text>', cda()
    )
    (made,) = pdfs(text)
    assert made.startswith(b"%PDF-")
