"""What national services said, in the reader's language: their codes stay as they came, our sentence is translated."""

from __future__ import annotations

from functools import cache

from markupsafe import Markup, escape

from connectors.dmp.errors import meanings
from mappings.xds.guards import PREFIX
from router.web.texts import Texts
from schemas.finding import Finding


def in_words(text: str, texts: Texts) -> str:
    """Give a detail with the sentences of known codes in the reader's language; the rest stays as it is."""
    if texts.language != "fr" or ": " not in text:
        return text
    for english, french in _sentences():
        if english in text:
            text = text.replace(english, french)
    return text


def finding_text(finding: Finding, texts: Texts) -> Markup:
    """Give the sentence of a finding: for a guard of the DMP, in the reader's language."""
    if texts.language == "fr" and finding.code.startswith(PREFIX):
        name = finding.code.removeprefix(PREFIX)
        if texts.has(f"dmp_guard.{name}"):
            return texts.word("dmp_guard", name)
    return escape(in_words(finding.message, texts))


@cache
def _sentences() -> tuple[tuple[str, str], ...]:
    return tuple((one.sentence, f"{one.code} : {one.fr}") for one in meanings().values())
